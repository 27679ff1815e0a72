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

	protocol "atelier/internal/executor/host/supervisor"
)

// supervisor is the server's end of a supervisor process, and with it all processes of the build that has it. It serves one build.
type supervisor struct {
	process   *exec.Cmd
	control   *os.File
	session   int  // of the command that runs; 0 when none does, and in a sandbox, which has numbers of its own
	sandboxed bool // it is the first process of a sandbox
	group     *group
	gone      bool // it does not answer any more
	closed    bool

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

// startSupervisor starts a supervisor of the executor whose directory is given. It does not wait for it: a command may be sent at once.
func startSupervisor(dir string, patience time.Duration) (*supervisor, error) {
	return start(&exec.Cmd{Path: "/proc/self/exe", Args: []string{protocol.Name, dir}, Env: []string{}}, patience)
}

// start starts a sandbox for the build in a directory, with its supervisor.
func (b *bubblewrap) start(executorDir, dir string, patience time.Duration) (*supervisor, error) {
	program, err := os.Open("/proc/self/exe") // which may have another name by now, and cannot be seen in the sandbox
	if err != nil {
		return nil, err
	}
	defer program.Close()
	a, err := b.arguments(executorDir, dir)
	if err != nil {
		return nil, err
	}
	process := &exec.Cmd{Path: b.program, Args: a.list, Env: []string{"PATH=" + runDir}}
	v, err := start(process, patience, program)
	if err != nil {
		return nil, err
	}
	v.sandboxed = true
	if err := v.ping(); err != nil { // it has begun when it answers
		return nil, errors.Join(err, v.close())
	}
	return v, nil
}

// ping returns when the supervisor answers. No command may run. After an error the supervisor cannot be used.
func (v *supervisor) ping() error {
	_ = v.control.SetReadDeadline(time.Now().Add(v.patience))
	defer func() { _ = v.control.SetReadDeadline(time.Time{}) }()
	var reply [protocol.HeaderSize]byte
	if _, err := v.control.Write(protocol.Frame(protocol.Ping, nil)); err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	if _, err := io.ReadFull(v.control, reply[:]); err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	if kind, _ := protocol.Header(reply); protocol.Reply(kind) != protocol.Ready {
		return fmt.Errorf("%w: it answers %q", errGone, kind)
	}
	return nil
}

// start starts a command that is a supervisor, or becomes one. The files are what it inherits besides the socket, from the
// number 4.
func start(process *exec.Cmd, patience time.Duration, files ...*os.File) (*supervisor, error) {
	sockets, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	control, theirs := pollable(sockets[0], "control"), os.NewFile(uintptr(sockets[1]), "control")
	defer theirs.Close()
	process.Dir, process.Stderr = "/", os.Stderr              // of a crash
	process.ExtraFiles = append([]*os.File{theirs}, files...) // protocol.Control
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := process.Start(); err != nil {
		return nil, errors.Join(err, control.Close())
	}
	return &supervisor{process: process, control: control, patience: patience}, nil
}

// landlockGap says what this kernel's Landlock cannot do; nothing when it can do all that is asked of it.
func landlockGap() string {
	if abi := protocol.LandlockABI(); !protocol.HasScopes(abi) {
		return fmt.Sprintf("builds that run at the same time can talk to each other over sockets with abstract names: the kernel has version %d of Landlock; "+
			"Linux 6.12 or later has what is needed, where landlock is among its security modules", abi)
	}
	return ""
}

// newPipe returns a pipe whose reading takes no thread, and whose other end is as programs expect it.
func newPipe() (reader, writer *os.File, err error) {
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		return nil, nil, err
	}
	_, _ = unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, bufferSize) // refused to users with many pipes: slower, no more
	return pollable(ends[0], "output"), os.NewFile(uintptr(ends[1]), "output"), nil
}

// pollable returns a file whose reading takes no thread.
func pollable(fd int, name string) *os.File {
	_ = syscall.SetNonblock(fd, true)
	return os.NewFile(uintptr(fd), name)
}

// start sends a command to the supervisor, and the file that it prints to.
func (v *supervisor) start(c protocol.Command, out *os.File) error {
	v.session = 0
	frame := protocol.Frame(protocol.Run, c.Encode())
	if err := v.send(frame[:protocol.HeaderSize], out); err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	if _, err := v.control.Write(frame[protocol.HeaderSize:]); err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return nil
}

// send writes a few bytes, with a descriptor of a file beside the first.
func (v *supervisor) send(b []byte, file *os.File) error {
	conn, err := v.control.SyscallConn()
	if err != nil {
		return err
	}
	theirs, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var rights []byte
	if err := theirs.Control(func(fd uintptr) { rights = unix.UnixRights(int(fd)) }); err != nil {
		return err
	}
	var sent error
	err = conn.Write(func(fd uintptr) bool {
		sent = unix.Sendmsg(int(fd), b, rights, nil, unix.MSG_NOSIGNAL)
		return !errors.Is(sent, unix.EAGAIN) && !errors.Is(sent, unix.EINTR)
	})
	return errors.Join(err, sent)
}

// wait returns when no process of the command is left. If that cannot be known any more the error is errGone.
func (v *supervisor) wait() (syscall.WaitStatus, error) {
	for {
		var reply [protocol.HeaderSize]byte
		if _, err := io.ReadFull(v.control, reply[:]); err != nil {
			return 0, errGone
		}
		switch kind, n := protocol.Header(reply); protocol.Reply(kind) {
		case protocol.Started:
			if !v.sandboxed {
				v.session = int(n)
			}
		case protocol.Ended:
			v.session = 0 // nothing is left of it, so that its number may be another's soon
			return syscall.WaitStatus(n), nil
		case protocol.Refused:
			return 0, refusal(syscall.Errno(n))
		default:
			return 0, errGone
		}
	}
}

// alive reports whether the supervisor can be used: whether it is there and has said nothing that was not asked for.
func (v *supervisor) alive() bool {
	conn, err := v.control.SyscallConn()
	if err != nil || v.gone {
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
func (v *supervisor) terminate() { _, _ = v.control.Write(protocol.Frame(protocol.Terminate, nil)) }
func (v *supervisor) kill()      { _, _ = v.control.Write(protocol.Frame(protocol.Kill, nil)) }

// abandon ends a supervisor that does not do what it is told. Then wait returns errGone.
func (v *supervisor) abandon() {
	if !v.sandboxed {
		_ = v.process.Process.Kill()
		return
	}
	// With the supervisor, which is the first process of its namespace, all others there go, and then bubblewrap ends. Until this
	// process has waited for bubblewrap, nobody else has its id, and the supervisor's neither while bubblewrap has not.
	for _, pid := range v.pids()[1:] {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = v.process.Process.Kill()
}

// pids returns the process that was started, and the supervisor in its sandbox.
func (v *supervisor) pids() []int {
	pids := []int{v.process.Process.Pid}
	if !v.sandboxed {
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

// close ends the supervisor, and it everything else. The error is that of a supervisor that did not end as it should. It may be called again.
func (v *supervisor) close() error {
	if v.closed {
		return nil
	}
	v.closed = true
	_ = v.control.Close()
	giveUp := time.AfterFunc(v.patience, v.abandon)
	defer giveUp.Stop()
	err := v.process.Wait()
	return errors.Join(err, v.group.remove())
}
