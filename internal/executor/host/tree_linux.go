package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
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
	session int  // of the command that runs; 0 when none does, and in a sandbox, which has numbers of its own
	boxed   bool // in a sandbox
	group   *group
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
	return startSupervisor(&exec.Cmd{Path: "/proc/self/exe", Args: []string{supervisor.Name, dir}, Env: []string{}}, patience)
}

// startIn starts a supervisor in a sandbox whose directory is given. The arguments are those of all sandboxes at the moment.
func (s *sandbox) startIn(shared []string, executorDir, dir string, patience time.Duration) (*tree, error) {
	program, err := os.Open("/proc/self/exe") // which may have another name by now, or one that cannot be seen in the sandbox
	if err != nil {
		return nil, err
	}
	defer program.Close()
	args, env := s.command(shared, executorDir, dir, supervisor.Name, "/proc/self/fd/5")
	t, err := startSupervisor(&exec.Cmd{Path: s.program, Args: args, Env: env}, patience, program)
	if err != nil {
		return nil, err
	}
	t.boxed = true
	if _, err := t.ask(supervisor.Ping); err != nil { // it has begun when it answers
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

// ask returns what the supervisor answers to what takes it a moment. No command may run. After an error the supervisor cannot be used.
func (t *tree) ask(op supervisor.Op) (supervisor.Reply, error) {
	_ = t.control.SetReadDeadline(time.Now().Add(t.patience))
	defer func() { _ = t.control.SetReadDeadline(time.Time{}) }()
	var reply [supervisor.HeaderSize]byte
	if _, err := t.control.Write(supervisor.Frame(op, nil)); err != nil {
		return 0, fmt.Errorf("%w: %w", errGone, err)
	}
	if _, err := io.ReadFull(t.control, reply[:]); err != nil {
		return 0, fmt.Errorf("%w: %w", errGone, err)
	}
	kind, _ := supervisor.Header(reply)
	return supervisor.Reply(kind), nil
}

// untouched reports whether the commands that have run have left no trace in the supervisor's sandbox.
func (t *tree) untouched() bool {
	reply, err := t.ask(supervisor.Inspect)
	return err == nil && reply == supervisor.Untouched
}

// startSupervisor starts a command that is a supervisor, or becomes one. The files are what it inherits besides those that
// supervisors have, from the number 5.
func startSupervisor(process *exec.Cmd, patience time.Duration, files ...*os.File) (*tree, error) {
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

	process.Dir, process.Stderr = "/", os.Stderr                      // of a crash
	process.ExtraFiles = append([]*os.File{theirs, writer}, files...) // supervisor.Control, supervisor.Output
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := process.Start(); err != nil {
		return nil, errors.Join(err, control.Close(), reader.Close())
	}
	return &tree{
		process: process, control: control, output: &output{pipe: reader, buffer: make([]byte, bufferSize)}, patience: patience,
	}, nil
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
			if !t.boxed {
				t.session = int(n)
			}
		case supervisor.Ended:
			t.session = 0 // nothing is left of it, so that its number may be another's soon
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
func (t *tree) abandon() {
	if !t.boxed {
		_ = t.process.Process.Kill()
		return
	}
	// With the supervisor, which is the first process of its namespace, all others there go, and then bubblewrap ends. Until this
	// process has waited for bubblewrap, nobody else has its id, and the supervisor's neither while bubblewrap has not.
	for _, pid := range t.pids()[1:] {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = t.process.Process.Kill()
}

// pids returns the process that was started, and the supervisor in its sandbox.
func (t *tree) pids() []int {
	pids := []int{t.process.Process.Pid}
	if !t.boxed {
		return pids
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", pids[0]))
	for child := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(child); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// close ends the supervisor, and it everything else. The error is that of a supervisor that did not end as it should.
func (t *tree) close() error {
	_ = t.control.Close()
	giveUp := time.AfterFunc(t.patience, t.abandon)
	defer giveUp.Stop()
	err := t.process.Wait()
	return errors.Join(err, t.output.pipe.Close(), t.group.remove())
}
