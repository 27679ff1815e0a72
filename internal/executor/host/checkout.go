package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"atelier/internal/executor"
	protocol "atelier/internal/executor/host/supervisor"
	"atelier/internal/fault"
	"atelier/internal/plan"
	"atelier/internal/source"
)

// checkout puts a repository into the workspace. What is wrong with the repository is a result of the step, not an error.
func (s *session) checkout(ctx context.Context, step plan.Step, out io.Writer) (executor.Result, error) {
	if err := s.takeGitSupervisor(); err != nil {
		return executor.Result{}, fmt.Errorf("start the supervisor of the checkout: %w", err)
	}
	git := s.executor.source
	if credential, ok := s.credentials[step.EndpointID]; ok {
		git = git.With(credential)
	}
	if s.executor.bubblewrap != nil || s.owner.user != 0 { // git is not kept from anything, the steps are
		if result, err := s.CheckPlanted(*step.Checkout, out); err != nil || !result.Succeeded() {
			return result, err
		}
	}
	err := git.Checkout(ctx, runner{s}, source.Checkout(*step.Checkout), out)
	if given := s.owner.giveAll(string(s.Directory)); given != nil {
		return executor.Result{}, errors.Join(err, given)
	}
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

// runner runs git as the build's steps are run, but as the server's user, with its configuration and credentials.
type runner struct{ *session }

// MakeDir implements [source.Runner].
func (r runner) MakeDir(_ context.Context, dir string) error {
	root, err := os.OpenRoot(string(r.Directory))
	if err != nil {
		return fmt.Errorf("open the workspace: %w", err)
	}
	defer root.Close()
	if dir != "" {
		if err := root.MkdirAll(filepath.FromSlash(dir), 0o755); err != nil {
			return fault.Wrap(err, fault.Invalid, "the directory %s of the workspace cannot be made: something is in its way, or a link leads out of the workspace", dir)
		}
	}
	if r.owner.user != 0 { // git works in no directory of somebody else; giveAll gives it back
		if err := root.Lchown(filepath.FromSlash(path.Join(".", dir)), os.Geteuid(), os.Getegid()); err != nil {
			return fmt.Errorf("take the directory of the repository: %w", err)
		}
	}
	switch _, err := root.Lstat(path.Join(dir, ".git")); {
	case err == nil:
		return fault.New(fault.Invalid, "there is already a repository in the workspace, at %s", path.Join(".", dir))
	case !errors.Is(err, fs.ErrNotExist):
		return fault.Wrap(err, fault.Invalid, "the workspace cannot be used, at %s", path.Join(".", dir))
	}
	return nil
}

// Git implements [source.Runner].
func (r runner) Git(ctx context.Context, dir string, args, env []string, out io.Writer) (exitCode int, err error) {
	git := r.executor.find("git")
	if git == "" {
		return 0, fault.New(fault.Unavailable, "the git program is not installed on the host that runs the build")
	}
	all := slices.Concat(r.executor.source.Environ(), env, []string{marker + "=" + r.record})
	done, err := r.run(ctx, r.gitSupervisor, protocol.Command{
		Path: git, Args: append([]string{"git"}, args...), Dir: filepath.Join(string(r.Directory), filepath.FromSlash(dir)), Env: lastOfEach(all),
	}, out)
	return done.ExitCode, err
}
