package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"atelier/internal/executor/host/supervisor"
)

// sweep ends the processes of a build that no supervisor watches any more: those that carry its marker, and those of a session,
// if it is not 0. It returns when none is left.
func sweep(ctx context.Context, record string, session int) error {
	return endAll(ctx, func(pid int) bool { return belongs(pid, record, session) }, 0)
}

// awaitSupervisors returns when no supervisor of an executor is left, whose directory is given. After its patience has gone it
// kills them.
func awaitSupervisors(ctx context.Context, dir string, patience time.Duration) error {
	if err := endAll(ctx, func(pid int) bool { return isSupervisor(pid, dir) }, patience); err != nil {
		return fmt.Errorf("end the supervisors that were left behind: %w", err)
	}
	return nil
}

// endAll returns when no process is left that is meant. It waits with patience, then it kills them.
func endAll(ctx context.Context, meant func(pid int) bool, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		found, err := find(meant)
		if err != nil || len(found) == 0 {
			return err
		}
		if !time.Now().Before(deadline) {
			for _, pid := range found {
				kill(pid, meant)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d processes did not end: %w", len(found), context.Cause(ctx))
		case <-time.After(2 * time.Millisecond): // the end of a stranger's process is no event that can be awaited
		}
	}
}

// find returns the processes that are meant, other than this one.
func find(meant func(pid int) bool) (found []int, err error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid != os.Getpid() && meant(pid) {
			found = append(found, pid)
		}
	}
	return found, nil
}

// kill kills a process if it is still the one that is meant: its id may belong to another one by now.
func kill(pid int, meant func(pid int) bool) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ENOSYS) { // before Linux 5.3
		_ = unix.Kill(pid, unix.SIGKILL)
		return
	}
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if meant(pid) {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}

// isSupervisor reports whether a process is a supervisor of the executor whose directory is given.
func isSupervisor(pid int, dir string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && string(line) == supervisor.Name+"\x00"+dir+"\x00"
}

// belongs reports whether a process carries the build's marker or is of the session. One that has ended does not count.
func belongs(pid int, record string, session int) bool {
	if session != 0 && sessionOf(pid) == session {
		return true
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	for v := range bytes.SplitSeq(env, []byte{0}) {
		if string(v) == marker+"="+record {
			return true
		}
	}
	return false
}

// sessionOf returns the session of a process that has not ended, and 0 otherwise.
func sessionOf(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The second field is the program's name in parentheses, which may hold anything. Behind it: state, parent, group, session.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 4 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return 0
	}
	id, _ := strconv.Atoi(string(fields[3]))
	return id
}
