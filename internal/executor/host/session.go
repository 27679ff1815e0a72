package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"atelier/internal/dirtree"
	"atelier/internal/executor"
	protocol "atelier/internal/executor/host/supervisor"
	"atelier/internal/fault"
	"atelier/internal/plan"
	"atelier/internal/source"
)

// session is one build. It implements [executor.Session].
type session struct {
	executor.Directory // the workspace
	owner              owner
	executor           *Executor
	record             string
	dir                string
	buildDir           *dirtree.Dir // the same, opened before any step could change it

	insidePath  string // what the steps call dir
	made        bool   // whether dir is this build's
	fresh       bool   // no command has run in it yet
	over        bool   // no step can be run any more
	env         []string
	caches      []executor.Cache
	credentials map[string]source.Credential // of checkouts, by service endpoint
	limits      limits

	supervisor      *supervisor // runs the steps; nil before it was started
	gitSupervisor   *supervisor // runs git; the same without a sandbox, and nil before it is needed
	unsweptSessions []int       // of supervisors that did not end as they should, whose processes may be there
}

// Run implements [executor.Session].
func (s *session) Run(ctx context.Context, step plan.Step, out io.Writer) (executor.Result, error) {
	if step.Image != "" {
		if _, err := fmt.Fprintf(out, "The image %s is not used: this build runs with the tools of its host.\n", step.Image); err != nil {
			return executor.Result{}, err
		}
	}
	if s.over || s.supervisor == nil {
		return executor.Result{}, errors.New("the build is closed")
	}
	root, err := s.Open()
	if why, public := fault.Public(err); public {
		return executor.Result{ExitCode: 1, Reason: why}, nil
	} else if err != nil {
		return executor.Result{}, err
	}
	root.Close()
	switch {
	case step.Checkout != nil:
		return s.checkout(ctx, step, out)
	case step.Script != nil:
		return s.script(ctx, step, out)
	default:
		return executor.Result{}, errors.New("the step has nothing to run")
	}
}

func (s *session) path(name string) string { return filepath.Join(s.dir, name) }

// script runs a script. It is a file, outside of the workspace, because a command line has a limit.
func (s *session) script(ctx context.Context, step plan.Step, out io.Writer) (result executor.Result, err error) {
	if err := s.writeScript(ctx, step.Script.Command); err != nil {
		return executor.Result{}, fmt.Errorf("write the script: %w", err)
	}
	shell, e, env := s.executor.shell, s.executor, s.env
	for i, private := range step.Script.Private {
		name := executor.PrivateName(i)
		if err := s.writeOwn(ctx, name, private.Content); err != nil {
			return executor.Result{}, fmt.Errorf("write a private file of the step: %w", err)
		}
		defer func() {
			tidy, cancel := tidying(ctx)
			defer cancel()
			err = errors.Join(err, s.discard(tidy, name))
		}()
		env = lastOfEach(append(slices.Clone(env), private.Variable+"="+filepath.Join(s.insidePath, name)))
	}
	for _, c := range executor.CachesOf(step, s.caches) {
		dir, back, bringErr := s.bring(ctx, c)
		if bringErr != nil {
			return executor.Result{}, bringErr
		}
		defer func() {
			backErr := back()
			if why, public := fault.Public(backErr); public && err == nil {
				result = executor.Result{ExitCode: 1, Reason: why}
			} else {
				err = errors.Join(err, backErr)
			}
		}()
		env = c.Environ(env, dir)
	}
	before := s.supervisor.group.outOfMemory()
	result, err = s.run(ctx, s.supervisor, protocol.Command{
		Path: shell, Args: []string{filepath.Base(shell), "-e", filepath.Join(s.insidePath, scriptFile)}, Dir: e.Workspace(s.record), Env: env,
		User: s.owner.user, Group: s.owner.group, Processes: s.limits.processes,
	}, out)
	if err == nil && !result.Succeeded() && s.supervisor.group.outOfMemory() > before {
		result.Reason = fmt.Sprintf("the kernel ended a process of the step, since it needed more memory than the %d GiB of the build's class", s.limits.memory>>30)
	}
	return result, err
}

// scriptFile is beside the workspace. It is that of the step that runs, or of the last one.
const scriptFile = "script"

// writeScript writes the file of a script. Until a command has run, the one that was made with the directory can be used, unless another
// build may have the same user and come to it.
func (s *session) writeScript(ctx context.Context, content string) error {
	e := s.executor
	fresh := s.fresh && (e.bubblewrap != nil || s.owner.user == 0)
	if s.fresh = false; !fresh {
		return s.writeOwn(ctx, scriptFile, content)
	}
	f, err := s.buildDir.OpenFile(scriptFile, os.O_WRONLY, 0)
	if err != nil {
		return s.writeOwn(ctx, scriptFile, content)
	}
	_, err = f.WriteString(content)
	return errors.Join(err, f.Close())
}

// writeOwn makes a file for the build's user alone. Where it is to be, an earlier step may have put something else, such as a link.
func (s *session) writeOwn(ctx context.Context, name, content string) error {
	if err := s.discard(ctx, name); err != nil {
		return err
	}
	f, err := s.buildDir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	return errors.Join(err, s.owner.giveOpen(f), f.Close())
}

// tidyTime is how long it may take to remove what a step leaves, before that goes on in the background.
const tidyTime = 5 * time.Second

// tidying returns a context for removing what a step leaves, also after ctx has ended.
func tidying(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
}

// discard removes something in the build's directory, whatever a step has made of it.
func (s *session) discard(ctx context.Context, name string) error {
	return s.executor.trash.Remove(ctx, s.buildDir, name)
}

// run runs a command until all that came of it is gone, and writes what they print to out. That out cannot be written to ends
// the command.
func (s *session) run(ctx context.Context, v *supervisor, command protocol.Command, out io.Writer) (executor.Result, error) {
	if ctx.Err() != nil {
		return executor.Result{}, context.Cause(ctx)
	}
	output, err := newOutput(owner{command.User, command.Group})
	if err != nil {
		return executor.Result{}, fmt.Errorf("make the pipe of a command: %w", err)
	}
	defer func() { _ = output.close() }() // all of it was read, or is not wanted
	if err := errors.Join(v.start(command, output.writer), output.started()); err != nil {
		return executor.Result{}, s.lost(v, err)
	}
	var (
		owned   sync.WaitGroup
		gone    = make(chan struct{})
		status  syscall.WaitStatus
		waitErr error
	)
	owned.Go(func() {
		defer output.finish()
		defer close(gone)
		if status, waitErr = v.wait(); errors.Is(waitErr, errGone) {
			waitErr = s.lost(v, waitErr)
		}
	})
	owned.Go(func() { s.stopWith(ctx, v, gone) })
	writeErr := output.copyTo(out, v.kill)
	owned.Wait()
	switch {
	case ctx.Err() != nil && !errors.Is(waitErr, executor.ErrLost):
		return executor.Result{}, context.Cause(ctx)
	case writeErr != nil:
		return executor.Result{}, fmt.Errorf("pass on the output: %w", writeErr)
	case waitErr != nil:
		return executor.Result{}, waitErr
	}
	return result(status), nil
}

// stopWith ends the command that runs when ctx ends. It returns when the command is gone.
func (s *session) stopWith(ctx context.Context, v *supervisor, gone <-chan struct{}) {
	select {
	case <-gone:
		return
	case <-ctx.Done():
	}
	v.terminate()
	grace := time.NewTimer(s.executor.grace)
	defer grace.Stop()
	select {
	case <-gone:
		return
	case <-grace.C:
	case <-s.executor.hurry:
	}
	v.kill()
	giveUp := time.AfterFunc(s.executor.patience, v.abandon)
	defer giveUp.Stop()
	<-gone
}

// lost ends what a supervisor that went away left behind.
func (s *session) lost(v *supervisor, cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), executor.Grace)
	defer cancel()
	err := fmt.Errorf("%w: %w", executor.ErrLost, cause)
	v.gone = true
	v.abandon()
	if swept := sweep(ctx, s.record, v.session); swept != nil {
		err = errors.Join(err, swept)
	}
	return err
}

// result puts a wait status into the words of shells.
func result(status syscall.WaitStatus) executor.Result {
	if status.Signaled() {
		return executor.Result{ExitCode: 128 + int(status.Signal()), Reason: "ended by the signal: " + status.Signal().String()}
	}
	return executor.Result{ExitCode: status.ExitStatus()}
}

// refusal is the error of a command that the kernel did not start.
func refusal(errno syscall.Errno) error {
	if errno == syscall.E2BIG {
		return fault.New(fault.Invalid, "the parameters are larger, all together, than the environment of a process can be")
	}
	return fmt.Errorf("start the command: %w", errno)
}

// End implements [executor.Session]. A supervisor that is well has ended all that came of its commands; it is ended by Close, which
// nobody waits for.
func (s *session) End(ctx context.Context) error {
	return s.leave(ctx, func(v *supervisor) bool { return !v.alive() })
}

// leave ends those supervisors that are meant, and what those left behind that did not end as they should.
func (s *session) leave(ctx context.Context, meant func(*supervisor) bool) error {
	s.over = true
	for _, v := range []*supervisor{s.gitSupervisor, s.supervisor} {
		if v != nil && !v.closed && meant(v) && v.close() != nil {
			s.unsweptSessions = append(s.unsweptSessions, v.session)
		}
	}
	for ; len(s.unsweptSessions) > 0; s.unsweptSessions = s.unsweptSessions[1:] {
		if err := sweep(ctx, s.record, s.unsweptSessions[0]); err != nil {
			return err
		}
	}
	return nil
}

// Close implements [executor.Session].
func (s *session) Close(ctx context.Context) error {
	if err := s.leave(ctx, func(*supervisor) bool { return true }); err != nil {
		return err // and no files are removed that may still be written to, nor has another build their user
	}
	var failed error
	if s.buildDir != nil {
		failed = errors.Join(s.buildDir.Close(), s.Parent.Close())
		s.buildDir = nil
	}
	made := s.made
	if made {
		if err := s.executor.trash.Remove(ctx, s.executor.trash.Dir(), s.record); err != nil {
			failed = errors.Join(failed, fmt.Errorf("remove the build's directory: %w", err))
		}
		s.made = false
	}
	if s.owner.user != 0 {
		s.executor.users.leave(s.owner)
		s.owner = owner{}
	}
	if !made {
		return failed
	}
	s.executor.refill()
	if s.gitSupervisor != s.supervisor && s.gitSupervisor != nil {
		s.executor.supervisors.refill()
	}
	return failed
}
