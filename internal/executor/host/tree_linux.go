package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"atelier/internal/executor/host/supervisor"
)

// tree is the server's end of a supervisor, and with it all processes of the build that has it.
type tree struct {
	process *exec.Cmd
	control *os.File
	output  *output
	session int  // of the command that runs or ran last
	gone    bool // it is not to be used again

	patience time.Duration
}

// errGone is the error of a supervisor that does not answer.
var errGone = errors.New("the supervisor of the build is gone")

// checkSystem finds out whether the kernel has what the supervisor needs.
func checkSystem() error {
	if _, err := os.Stat(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid())); err != nil {
		return fmt.Errorf("the kernel does not list the children of processes (CONFIG_PROC_CHILDREN), or /proc is not mounted: %w", err)
	}
	return nil
}

// startTree starts a supervisor of the executor whose directory is given. It does not wait for it: a command may be sent at once.
func startTree(dir string, patience time.Duration) (*tree, error) {
	sockets, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	control, theirs := pollable(sockets[0], "control"), os.NewFile(uintptr(sockets[1]), "control")
	defer theirs.Close()
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC); err != nil {
		control.Close()
		return nil, err
	}
	reader, writer := pollable(pipe[0], "output"), os.NewFile(uintptr(pipe[1]), "output")
	defer writer.Close()
	_, _ = unix.FcntlInt(writer.Fd(), unix.F_SETPIPE_SZ, bufferSize) // refused to users with many pipes: slower, no more

	t := &tree{control: control, output: &output{pipe: reader, buffer: make([]byte, bufferSize)}, patience: patience}
	t.process = &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{supervisor.Name, dir}, Dir: "/", Env: []string{},
		ExtraFiles:  []*os.File{theirs, writer}, // supervisor.Control, supervisor.Output
		Stderr:      os.Stderr,                  // of a crash
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := t.process.Start(); err != nil {
		return nil, errors.Join(err, control.Close(), reader.Close())
	}
	return t, nil
}

// pollable returns a file whose reading takes no thread.
func pollable(fd int, name string) *os.File {
	_ = syscall.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), name)
}

// start sends a command to the supervisor.
func (t *tree) start(c supervisor.Command) error {
	t.session = 0
	if _, err := t.control.Write(supervisor.Frame(supervisor.Run, c.Encode())); err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return nil
}

// wait returns when no process of the command is left. If that cannot be known any more the error is errGone.
func (t *tree) wait() (syscall.WaitStatus, error) {
	for {
		var reply [supervisor.HeaderSize]byte
		if _, err := io.ReadFull(t.control, reply[:]); err != nil {
			return 0, errGone
		}
		switch kind, n := supervisor.Header(reply); supervisor.Reply(kind) {
		case supervisor.Started:
			t.session = int(n)
		case supervisor.Ended:
			return syscall.WaitStatus(n), nil
		case supervisor.Refused:
			return 0, refusal(syscall.Errno(n))
		default:
			return 0, errGone
		}
	}
}

// alive reports whether the supervisor can be used: whether it is there and has said nothing that was not asked for.
func (t *tree) alive() bool {
	conn, err := t.control.SyscallConn()
	if err != nil || t.gone {
		return false
	}
	silent := false
	err = conn.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		silent = err == syscall.EAGAIN
		return true
	})
	return silent && err == nil
}

// terminate and kill may be called at any time. That the supervisor is gone is noticed by wait.
func (t *tree) terminate() { _, _ = t.control.Write(supervisor.Frame(supervisor.Terminate, nil)) }
func (t *tree) kill()      { _, _ = t.control.Write(supervisor.Frame(supervisor.Kill, nil)) }

// abandon ends a supervisor that does not do what it is told. Then wait returns errGone.
func (t *tree) abandon() { _ = t.process.Process.Kill() }

// close ends the supervisor, and it everything else. The error is that of a supervisor that did not end as it should.
func (t *tree) close() error {
	_ = t.control.Close()
	giveUp := time.AfterFunc(t.patience, t.abandon)
	defer giveUp.Stop()
	err := t.process.Wait()
	return errors.Join(err, t.output.pipe.Close())
}
