//go:build unix && !linux

package host

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"

	protocol "atelier/internal/executor/host/supervisor"
)

// supervisor is what other systems than Linux have instead of one: the process group of a command. What leaves its group
// escapes, and nothing ends the commands when the server is killed, so this is for trying things out.
type supervisor struct {
	command *exec.Cmd
	refused error
	session int
	gone    bool
	closed  bool
	group   *group
}

var errGone = errors.New("the supervisor of the build is gone")

func checkSystem() error { return nil }

func memoryFile(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func landlockGap() string { return "" }

func newPipe() (reader, writer *os.File, err error) { return os.Pipe() }

func sweep(context.Context, string, int) error { return nil }

func awaitSupervisors(context.Context, string, time.Duration) error { return nil }

func startSupervisor(string, time.Duration) (*supervisor, error) { return &supervisor{}, nil }

func (*bubblewrap) start(string, string, time.Duration) (*supervisor, error) {
	return nil, errors.New("only Linux has namespaces")
}

func (v *supervisor) start(c protocol.Command, out *os.File) error {
	v.command = &exec.Cmd{
		Path: c.Path, Args: c.Args, Dir: c.Dir, Env: c.Env, Stdout: out, Stderr: out,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	v.session = 0
	if v.refused = v.command.Start(); v.refused == nil {
		v.session = v.command.Process.Pid
	}
	return nil
}

func (v *supervisor) wait() (syscall.WaitStatus, error) {
	if v.refused != nil {
		var errno syscall.Errno
		errors.As(v.refused, &errno)
		return 0, refusal(errno)
	}
	_ = v.command.Wait() // the status says it
	v.kill()
	return v.command.ProcessState.Sys().(syscall.WaitStatus), nil
}

func (v *supervisor) alive() bool { return !v.gone }

func (v *supervisor) terminate() { v.signal(syscall.SIGTERM) }
func (v *supervisor) kill()      { v.signal(syscall.SIGKILL) }
func (v *supervisor) abandon()   {}

func (v *supervisor) signal(s syscall.Signal) {
	if v.session != 0 {
		_ = syscall.Kill(-v.session, s)
	}
}

func (v *supervisor) pids() []int { return nil }

func (v *supervisor) close() error {
	v.closed = true
	return nil
}
