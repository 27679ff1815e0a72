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
// if it is not 0. A supervisor of the build is about to end them itself; it has patience to do so. sweep returns when none is
// left.
func sweep(ctx context.Context, record string, session int, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		left, err := sweepOnce(record, session, time.Now().After(deadline))
		if err != nil || left == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d processes did not end: %w", left, context.Cause(ctx))
		case <-time.After(2 * time.Millisecond): // the end of a stranger's process is no event that can be awaited
		}
	}
}

// sweepOnce kills what it finds, supervisors only if they are to go too, and returns how many it found.
func sweepOnce(record string, session int, supervisorsToo bool) (found int, err error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return 0, err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == os.Getpid() {
			continue
		}
		switch {
		case isSupervisor(pid, record):
			found++
			if supervisorsToo {
				kill(pid, func() bool { return isSupervisor(pid, record) })
			}
		case belongs(pid, record, session):
			found++
			kill(pid, func() bool { return belongs(pid, record, session) })
		}
	}
	return found, nil
}

// kill kills a process if it is still the one that is meant: its id may belong to another one by now.
func kill(pid int, meant func() bool) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ENOSYS) { // before Linux 5.3
		_ = unix.Kill(pid, unix.SIGKILL)
		return
	}
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if meant() {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}

// isSupervisor reports whether a process is the supervisor of the build.
func isSupervisor(pid int, record string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && string(line) == supervisor.Name+"\x00"+record+"\x00"
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
