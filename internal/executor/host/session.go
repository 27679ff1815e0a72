package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"atelier/internal/executor"
	"atelier/internal/executor/host/supervisor"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

// session is one build. It implements [executor.Session].
type session struct {
	executor.Directory // the workspace
	executor           *Executor
	record             string
	dir                string
	env                []string
	caches             []executor.Cache
	tree               *tree // nil before it was started and after it was closed
}

// Run implements [executor.Session].
func (s *session) Run(ctx context.Context, step plan.Step, out io.Writer) (executor.Result, error) {
	if step.Image != "" {
		if _, err := fmt.Fprintf(out, "The image %s is not used: this build runs with the tools of its host.\n", step.Image); err != nil {
			return executor.Result{}, err
		}
	}
	if !isDir(string(s.Directory)) {
		return executor.Result{ExitCode: 1, Reason: "an earlier step removed the workspace"}, nil
	}
	switch {
	case step.Checkout != nil:
		return s.checkout(ctx, *step.Checkout, out)
	case step.Script != nil:
		return s.script(ctx, step, out)
	default:
		return executor.Result{}, errors.New("the step has nothing to run")
	}
}

func (s *session) path(name string) string { return filepath.Join(s.dir, name) }

// script runs a script. It is a file, outside of the workspace, because a command line has a limit.
func (s *session) script(ctx context.Context, step plan.Step, out io.Writer) (executor.Result, error) {
	file := s.path("script")
	if err := os.WriteFile(file, []byte(step.Script.Command), 0o600); err != nil {
		return executor.Result{}, fmt.Errorf("write the script: %w", err)
	}
	defer os.Remove(file)
	shell, env := s.executor.shell, s.env
	for _, c := range executor.CachesOf(step, s.caches) {
		env = c.Environ(env, c.Dir)
	}
	return s.run(ctx, supervisor.Command{
		Path: shell, Args: []string{filepath.Base(shell), "-e", file}, Dir: string(s.Directory), Env: env,
	}, out)
}

// run runs a command until all that came of it is gone, and writes what they print to out. That out cannot be written to ends
// the command.
func (s *session) run(ctx context.Context, command supervisor.Command, out io.Writer) (executor.Result, error) {
	if ctx.Err() != nil {
		return executor.Result{}, context.Cause(ctx)
	}
	if s.tree == nil {
		return executor.Result{}, errors.New("the build is closed")
	}
	if err := s.tree.start(command); err != nil {
		return executor.Result{}, s.lost(err)
	}
	var (
		owned  sync.WaitGroup
		gone   = make(chan struct{})
		status syscall.WaitStatus
		err    error
	)
	owned.Go(func() {
		defer s.tree.output.finish()
		defer close(gone)
		if status, err = s.tree.wait(); errors.Is(err, errGone) {
			err = s.lost(err)
		}
	})
	owned.Go(func() { s.stopWith(ctx, gone) })
	writeErr := s.tree.output.copyTo(out, s.tree.kill)
	owned.Wait()
	switch {
	case ctx.Err() != nil && !errors.Is(err, executor.ErrLost):
		return executor.Result{}, context.Cause(ctx)
	case writeErr != nil:
		return executor.Result{}, fmt.Errorf("pass on the output: %w", writeErr)
	case err != nil:
		return executor.Result{}, err
	}
	return result(status), nil
}

// stopWith ends the command that runs when ctx ends. It returns when the command is gone.
func (s *session) stopWith(ctx context.Context, gone <-chan struct{}) {
	select {
	case <-gone:
		return
	case <-ctx.Done():
	}
	s.tree.terminate()
	grace := time.NewTimer(s.executor.grace)
	defer grace.Stop()
	select {
	case <-gone:
		return
	case <-grace.C:
	case <-s.executor.hurry:
	}
	s.tree.kill()
	giveUp := time.AfterFunc(s.executor.patience, s.tree.abandon)
	defer giveUp.Stop()
	<-gone
}

// lost ends what a supervisor that went away left behind.
func (s *session) lost(cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), executor.Grace)
	defer cancel()
	err := fmt.Errorf("%w: %w", executor.ErrLost, cause)
	s.tree.gone = true
	s.tree.abandon()
	if swept := sweep(ctx, s.record, s.tree.session); swept != nil {
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

// Close implements [executor.Session].
func (s *session) Close(ctx context.Context) error {
	var failed error
	if s.tree != nil {
		if err := s.executor.leaveTree(s.tree); err != nil {
			failed = sweep(ctx, s.record, s.tree.session)
		}
		s.tree = nil
	}
	if err := removeAll(s.dir); err != nil {
		failed = errors.Join(failed, fmt.Errorf("remove the build's directory: %w", err))
	}
	return failed
}

func isDir(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}
