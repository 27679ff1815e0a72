package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"

	"atelier/internal/dirtree"
	"atelier/internal/executor"
	protocol "atelier/internal/executor/host/supervisor"
	"atelier/internal/fault"
	"atelier/internal/plan"
	"atelier/internal/source"
)

// checkout puts a repository into the workspace. What is wrong with the repository is a result of the step, not an error.
func (s *session) checkout(ctx context.Context, step plan.Step, out io.Writer) (_ executor.Result, err error) {
	if err := s.takeGitSupervisor(); err != nil {
		return executor.Result{}, fmt.Errorf("start the supervisor of the checkout: %w", err)
	}
	git := s.executor.source
	if credential, ok := s.credentials[step.EndpointID]; ok {
		git = git.With(credential)
	}
	r, err := s.newRunner()
	if err != nil {
		return executor.Result{}, fmt.Errorf("make a directory for the checkout: %w", err)
	}
	defer func() { err = errors.Join(err, r.close(ctx)) }()
	err = git.Checkout(ctx, r, source.Checkout(*step.Checkout), out)
	if err == nil {
		return executor.Result{}, nil
	}
	why, public := fault.Public(err)
	if !public || ctx.Err() != nil {
		return executor.Result{}, err
	}
	if _, err := fmt.Fprintf(out, "%s\n", why); err != nil {
		return executor.Result{}, err
	}
	return executor.Result{ExitCode: 1, Reason: why}, nil
}

// takeGitSupervisor makes sure that there is a supervisor for git. It is not in the sandbox, where the server's credentials are not to be seen.
func (s *session) takeGitSupervisor() (err error) {
	if s.gitSupervisor == nil && s.executor.bubblewrap == nil {
		s.gitSupervisor = s.supervisor
	}
	if s.gitSupervisor == nil {
		if s.gitSupervisor, err = s.executor.supervisors.take(); err == nil {
			err = s.gitSupervisor.group.limit(s.limits)
		}
	}
	return err
}

// runner runs git as the build's steps are run, but as the server's user, with its configuration and credentials. It implements [source.Runner].
type runner struct {
	*session
	name string // of the new directory, in that of the executor, where no step comes to
	dir  *dirtree.Dir
}

func (s *session) newRunner() (r runner, err error) {
	r = runner{session: s, name: "checkout-" + rand.Text()}
	r.dir, err = s.executor.trash.Dir().Mkdir(r.name, 0o700)
	return r, err
}

// close removes what is left of the new directory.
func (r runner) close(ctx context.Context) error {
	ctx, cancel := tidying(ctx)
	defer cancel()
	return errors.Join(r.dir.Close(), r.executor.trash.Remove(ctx, r.executor.trash.Dir(), r.name))
}

// Check implements [source.Runner].
func (r runner) Check(dir string) error {
	root, err := r.Open()
	if err != nil {
		return err
	}
	defer root.Close()
	switch info, err := root.Stat(filepath.FromSlash(dir)); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil || !info.IsDir():
		return fault.Wrap(err, fault.Invalid, "the directory %s of the workspace cannot be made: something is in its way, or a link leads out of the workspace", dir)
	}
	switch _, err := root.Lstat(path.Join(dir, ".git")); {
	case err == nil:
		return fault.New(fault.Invalid, "there is already a repository in the workspace, at %s", dir)
	case !errors.Is(err, fs.ErrNotExist):
		return fault.Wrap(err, fault.Invalid, "the workspace cannot be used, at %s", dir)
	}
	return nil
}

// Place implements [source.Runner]. The files belong to who runs the steps before any step can come to them.
func (r runner) Place(ctx context.Context, dir string) error {
	if err := r.Check(dir); err != nil {
		return err
	}
	err := r.owner.giveTree(ctx, r.dir)
	if errors.Is(err, dirtree.ErrTooDeep) {
		return fault.Wrap(err, fault.Invalid, "the directories of the repository are nested too deep")
	} else if err != nil {
		return fmt.Errorf("give the files of the repository to the build's user: %w", err)
	}
	root, err := r.MakeDir(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	to, err := dirtree.Of(root)
	if err != nil {
		return fmt.Errorf("open the directory of the repository: %w", err)
	}
	defer to.Close()
	if err := r.dir.MoveInto(ctx, to, r.executor.trash); err != nil && ctx.Err() == nil {
		return fault.Wrap(err, fault.Invalid, "the repository cannot be put into the workspace, at %s: something is in its way", dir)
	}
	return context.Cause(ctx)
}

// giveTree makes what the server has made in a directory, where no step comes to, the steps' own. A file with several names may have one
// elsewhere: the steps get a copy of it.
func (o owner) giveTree(ctx context.Context, dir *dirtree.Dir) error {
	if o.user == 0 {
		return nil
	}
	return dir.Walk(ctx, func(e dirtree.Entry) error {
		if e.Mode().IsRegular() && e.Links() > 1 {
			if err := replaceByCopy(e.Dir, e.Name()); err != nil {
				return err
			}
		}
		return o.give(e.Dir, e.Name())
	})
}

// replaceByCopy gives a file that has several names an own content under this one.
func replaceByCopy(dir *dirtree.Dir, name string) error {
	copied := ".copy-" + rand.Text()
	if err := dirtree.CopyFile(dir, name, dir, copied); err != nil {
		return err
	}
	return dir.Rename(copied, dir, name)
}

// Git implements [source.Runner].
func (r runner) Git(ctx context.Context, dir string, args, env []string, out io.Writer) (exitCode int, err error) {
	git := r.executor.find("git")
	if git == "" {
		return 0, fault.New(fault.Unavailable, "the git program is not installed on the host that runs the build")
	}
	all := slices.Concat(r.executor.source.Environ(), env, []string{marker + "=" + r.record})
	done, err := r.run(ctx, r.gitSupervisor, protocol.Command{
		Path: git, Args: append([]string{"git"}, args...), Dir: filepath.Join(r.executor.dir, r.name, filepath.FromSlash(dir)), Env: lastOfEach(all),
	}, out)
	return done.ExitCode, err
}
