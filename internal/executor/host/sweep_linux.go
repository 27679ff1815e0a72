package host

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	protocol "atelier/internal/executor/host/supervisor"
	"atelier/internal/orphan"
)

// sweep ends the processes of a build that no supervisor watches any more: those that carry its marker, and those of the session whose number
// is given, if that is not 0. A supervisor that was killed may not have said which session it had begun, so it ends those as well that share one
// with a marked process, unless somebody without the marker leads it. It returns when none is left.
func sweep(ctx context.Context, record string, session int) error {
	sessions := map[int]bool{session: session != 0}
	return orphan.End(ctx, func(pid int) bool {
		own := sessionOf(pid)
		marked := orphan.HasVariable(pid, marker+"="+record)
		if marked && own != 0 && (sessionOf(own) == 0 || orphan.HasVariable(own, marker+"="+record)) {
			sessions[own] = true
		}
		return marked || sessions[own]
	}, 0)
}

// awaitSupervisors returns when no supervisor of an executor is left, whose directory is given. After its patience has gone it
// kills them.
func awaitSupervisors(ctx context.Context, dir string, patience time.Duration) error {
	if err := orphan.End(ctx, func(pid int) bool { return isSupervisor(pid, dir) }, patience); err != nil {
		return fmt.Errorf("end the supervisors that were left behind: %w", err)
	}
	return nil
}

// isSupervisor reports whether a process is a supervisor of the executor whose directory is given.
func isSupervisor(pid int, dir string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && string(line) == protocol.Name+"\x00"+dir+"\x00"
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
