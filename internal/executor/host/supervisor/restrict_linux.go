package supervisor

import (
	"os"
	"syscall"
)

// restrict takes from this thread, and so from all that it starts, what no command in a sandbox needs: privileges of programs such as sudo, files
// outside of the sandbox, sockets and signals to what is outside, and calls of the kernel. Commands are started by no other thread. What
// Landlock does is left out where the kernel does not have it; all else has to be there.
func (s *supervisor) restrict(processes int) error {
	if s.restricted {
		return nil
	}
	const setNoNewPrivileges = 38
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, setNoNewPrivileges, 1, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	if err := limitProcesses(processes); err != nil {
		return err
	}
	if err := enforce(s.ruleset); err != nil {
		return err
	}
	if err := denyCalls(); err != nil {
		return err
	}
	s.restricted = true
	return nil
}

// limitProcesses limits how many processes the user of this process may have, which what it starts inherits. The kernel does not count those of root.
func limitProcesses(n int) error {
	const processes = 6 // RLIMIT_NPROC
	var limit syscall.Rlimit
	if n == 0 {
		return nil
	}
	if err := syscall.Getrlimit(processes, &limit); err != nil {
		return err
	}
	if uint64(n) >= limit.Max {
		return nil
	}
	return syscall.Setrlimit(processes, &syscall.Rlimit{Cur: uint64(n), Max: uint64(n)})
}

// How ready the kernel is to end a process when memory runs out: commands before their supervisor, whose end would leave nobody to say why.
const (
	commandScore = "500"
	ownScore     = "0"
)

func openScore() int {
	fd, err := syscall.Open("/proc/self/oom_score_adj", os.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

// offer says how ready the kernel is to end this process, and what it starts from now on.
func (s *supervisor) offer(score string) {
	if s.score >= 0 {
		_, _ = syscall.Pwrite(s.score, []byte(score), 0)
	}
}
