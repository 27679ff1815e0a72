//go:build unix && !linux

package host

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"

	"atelier/internal/executor/host/supervisor"
)

// tree is what other systems than Linux have instead of a supervisor: the process group of a command. What leaves its group
// escapes, and nothing ends the commands when the server is killed, so this is for trying things out.
type tree struct {
	output  *output
	writer  *os.File
	command *exec.Cmd
	refused error
	session int
	gone    bool
	group   *group
}

var errGone = errors.New("the supervisor of the build is gone")

func checkSystem() error { return nil }

func sweep(context.Context, string, int) error { return nil }

func awaitSupervisors(context.Context, string, time.Duration) error { return nil }

func startTree(string, time.Duration) (*tree, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &tree{output: &output{pipe: reader, buffer: make([]byte, bufferSize)}, writer: writer}, nil
}

func (s *sandbox) startIn([]string, string, string, time.Duration) (*tree, error) {
	return nil, errors.New("only Linux has namespaces")
}

func (t *tree) untouched() bool { return false }

func (t *tree) start(c supervisor.Command) error {
	t.command = &exec.Cmd{
		Path: c.Path, Args: c.Args, Dir: c.Dir, Env: c.Env, Stdout: t.writer, Stderr: t.writer,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	t.session = 0
	if t.refused = t.command.Start(); t.refused == nil {
		t.session = t.command.Process.Pid
	}
	return nil
}

func (t *tree) wait() (syscall.WaitStatus, error) {
	if t.refused != nil {
		var errno syscall.Errno
		errors.As(t.refused, &errno)
		return 0, refusal(errno)
	}
	_ = t.command.Wait() // the status says it
	t.kill()
	return t.command.ProcessState.Sys().(syscall.WaitStatus), nil
}

func (t *tree) alive() bool { return !t.gone }

func (t *tree) terminate() { t.signal(syscall.SIGTERM) }
func (t *tree) kill()      { t.signal(syscall.SIGKILL) }
func (t *tree) abandon()   {}

func (t *tree) signal(s syscall.Signal) {
	if t.session != 0 {
		_ = syscall.Kill(-t.session, s)
	}
}

func (t *tree) pids() []int { return nil }

func (t *tree) close() error { return errors.Join(t.writer.Close(), t.output.pipe.Close()) }
