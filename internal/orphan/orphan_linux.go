// Package orphan finds processes that nobody watches any more, such as those of a server that was killed, and ends them.
package orphan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// End returns when no process is left that is meant. It waits with patience, then it kills them.
func End(ctx context.Context, meant func(pid int) bool, patience time.Duration) error {
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

// HasVariable reports whether a process was started with a variable, given as NAME=value, that this process may read.
func HasVariable(pid int, variable string) bool {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	for v := range bytes.SplitSeq(env, []byte{0}) {
		if string(v) == variable {
			return true
		}
	}
	return false
}

// InGroup reports whether a process is in a control group whose path begins so.
func InGroup(pid int, path string) bool {
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return false
	}
	for line := range bytes.Lines(groups) {
		if parts := bytes.SplitN(line, []byte(":"), 3); len(parts) == 3 && bytes.HasPrefix(parts[2], []byte(path)) {
			return true
		}
	}
	return false
}
