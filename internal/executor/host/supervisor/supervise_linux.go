package supervisor

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"unsafe"
)

func init() {
	if len(os.Args) > 0 && os.Args[0] == Name {
		syscall.Exit(supervise()) // at once: os.Exit does more, and waits a second in a program with the race detector
	}
}

// supervisor is the state of the process.
type supervisor struct {
	started chan int // receives the process id of a command

	// reaping guards the process ids of children: while it is held, none is given free, so that a signal cannot reach a
	// stranger that got the id of a process that ended meanwhile.
	reaping  sync.Mutex
	stopping bool // the command was asked to end and has time to do so
	running  bool
	ended    chan struct{} // closed when the command and all that came of it are gone

	sandboxed  bool // this is the first process of a sandbox
	ruleset    int  // of Landlock, for commands in a sandbox; -1 for none
	restricted bool // what the thread starts that starts commands cannot get more than it has
	score      int  // the open file that says whom the kernel ends when memory runs out; -1 for none
}

// supervise runs commands until the control socket closes. One goroutine starts them as soon as it hears of them, and this one awaits
// their ends.
func supervise() (exitCode int) {
	const setChildSubreaper = 36
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0); errno != 0 {
		return 1
	}
	syscall.Umask(0o022) // not the server's, which may be that of a hardened unit
	keepFiles()
	s := &supervisor{started: make(chan int, 1), sandboxed: os.Getpid() == 1, ruleset: -1}
	if s.sandboxed { // where steps of the same user must not look into this process or change it
		const setDumpable = 4
		if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setDumpable, 0, 0); errno != 0 {
			return 1
		}
		s.ruleset = newRuleset()
	}
	s.score = openScore()
	spareThreads()
	go s.listen()
	for pid := range s.started {
		s.await(pid)
	}
	return 0
}

// spareThreads has the runtime make as many threads as this process ever needs at a time. It keeps them. When a command has used up the
// processes that its build may have, no thread can be made any more, and the runtime would give up.
func spareThreads() {
	const enough = 6
	var made sync.WaitGroup
	made.Add(enough)
	release := make(chan struct{})
	for range enough {
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			made.Done()
			<-release
		}()
	}
	made.Wait()
	close(release)
}

// keepFiles makes sure that no command inherits a file from this process, neither one of its own nor one that the server was
// started with and does not know of.
func keepFiles() {
	files, _ := os.ReadDir("/proc/self/fd")
	for _, f := range files {
		if fd := numbers([]byte(f.Name())); len(fd) == 1 && fd[0] > 2 {
			syscall.CloseOnExec(fd[0])
		}
	}
}

// listen obeys the server until it is gone. It keeps its thread, which matters: the kernel counts that as the parent whose death the
// commands are to die of, and what the thread gives up no command gets.
func (s *supervisor) listen() {
	runtime.LockOSThread()
	defer close(s.started)
	defer s.killCurrent()
	for {
		head, output, ok := readHeader()
		if !ok {
			return
		}
		op, n := Header(head)
		body := make([]byte, n)
		if !readFull(body) {
			return
		}
		switch Op(op) {
		case Run:
			c, ok := decode(body)
			if !ok || output < 0 {
				return
			}
			s.run(c, output)
		case Ping:
			reply(Ready, 0)
		case Terminate:
			s.terminate()
		case Kill:
			s.killCurrent()
		}
	}
}

// decode is the opposite of Encode; ok is false for a body that Encode does not make.
func decode(b []byte) (c Command, ok bool) {
	var fields []string
	for start, i := 0, 0; i < len(b); i++ {
		if b[i] == 0 {
			fields = append(fields, string(b[start:i]))
			start = i + 1
		}
	}
	const first = 6 // of the arguments
	if len(fields) < first {
		return Command{}, false
	}
	user, err1 := strconv.Atoi(fields[2])
	group, err2 := strconv.Atoi(fields[3])
	processes, err3 := strconv.Atoi(fields[4])
	n, err4 := strconv.Atoi(fields[5])
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil || processes < 0 || user < 0 || group < 0 || n < 1 || n > len(fields)-first {
		return Command{}, false
	}
	return Command{
		Path: fields[0], Dir: fields[1], User: user, Group: group, Processes: processes, Args: fields[first : first+n], Env: fields[first+n:],
	}, true
}

// readHeader reads what a frame begins with, and the file that came with it, if one did; otherwise that is -1.
func readHeader() (head [HeaderSize]byte, file int, ok bool) {
	file = -1
	rights := make([]byte, syscall.CmsgSpace(4))
	for n := 0; n < len(head); {
		m, oob, _, _, err := syscall.Recvmsg(Control, head[n:], rights, syscall.MSG_CMSG_CLOEXEC)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || m == 0 {
			return head, file, false
		}
		messages, _ := syscall.ParseSocketControlMessage(rights[:oob])
		for i := range messages {
			if files, err := syscall.ParseUnixRights(&messages[i]); err == nil && len(files) == 1 {
				file = files[0]
			}
		}
		n += m
	}
	return head, file, true
}

func readFull(b []byte) bool {
	for len(b) > 0 {
		n, err := syscall.Read(Control, b)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return false
		}
		b = b[n:]
	}
	return true
}

// reply tells the server. A server that is gone is noticed by listen.
func reply(kind Reply, n uint32) {
	for b := header(byte(kind), n); len(b) > 0; {
		n, err := syscall.Write(Control, b)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return
		}
		b = b[n:]
	}
}

// run starts a command that prints to a file, which nobody but the command has afterwards.
func (s *supervisor) run(c Command, output int) {
	pid, err := s.start(c, output)
	_ = syscall.Close(output)
	if err != nil {
		errno, _ := errors.AsType[syscall.Errno](err)
		reply(Refused, uint32(errno))
		return
	}
	reply(Started, uint32(pid))
	s.started <- pid
}

// await returns when a command and all that came of it are gone. What outlives the command's own process is killed, unless the command is
// being stopped: then the others too have the time that the server gives.
func (s *supervisor) await(pid int) {
	s.reaping.Lock()
	ended := s.ended
	s.reaping.Unlock()
	var status syscall.WaitStatus
	for awaitChild() {
		if s.reap(pid, &status) {
			go s.kill(ended)
		}
	}
	s.reaping.Lock()
	s.running = false
	close(ended)
	s.reaping.Unlock()
	reply(Ended, uint32(status))
}

// start starts a command. Each gets files of its own: what it does to an open file, such as to make it non-blocking, no other notices.
func (s *supervisor) start(c Command, output int) (pid int, err error) {
	stdin, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = syscall.Close(stdin) }()
	s.reaping.Lock()
	defer s.reaping.Unlock()
	sys := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if s.sandboxed {
		if err := s.restrict(c.Processes); err != nil {
			return 0, err
		}
	}
	if c.User != 0 {
		sys.Credential = &syscall.Credential{Uid: uint32(c.User), Gid: uint32(c.Group)}
	}
	s.offer(commandScore)
	defer s.offer(ownScore)
	pid, err = syscall.ForkExec(c.Path, c.Args, &syscall.ProcAttr{
		Dir: c.Dir, Env: c.Env, Files: []uintptr{uintptr(stdin), uintptr(output), uintptr(output)}, Sys: sys,
	})
	if err == nil {
		s.running, s.stopping, s.ended = true, false, make(chan struct{})
	}
	return pid, err
}

// awaitChild returns when a child or an adopted orphan has ended, and false when there is none any more. It leaves the
// process as it is: see reaping.
func awaitChild() bool {
	const all = 0
	var info [128]byte // a siginfo_t, which nobody reads
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, all, 0, uintptr(unsafe.Pointer(&info)), syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			return errno == 0
		}
	}
}

// reap frees all that have ended. It keeps the status of the command's own process, and returns true when that has ended,
// leaves others behind, and is not being stopped.
func (s *supervisor) reap(command int, status *syscall.WaitStatus) (abandoned bool) {
	s.reaping.Lock()
	defer s.reaping.Unlock()
	ended := false
	for {
		var st syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &st, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil: // none is left
			return false
		case pid == 0:
			return ended && !s.stopping
		case pid == command:
			*status, ended = st, true
		}
	}
}
