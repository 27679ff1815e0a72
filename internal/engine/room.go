package engine

import (
	"context"
	"errors"
	"time"
)

// diskPeriod is how long a build may fill the last of the disk before that is seen.
const diskPeriod = time.Second

// endForRoom ends a build when the workspaces of builds, which no limit keeps small, have taken what the database needs. The one
// that began last goes first. The others go on if that has made room.
func (e *Engine) endForRoom() {
	if !e.Disk.Critical() {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var last *run
	for _, r := range e.active {
		if errors.Is(context.Cause(r.ctx), errDiskFull) {
			return // it is about to give its space back
		}
		if r.ctx.Err() == nil && !r.flow && (last == nil || r.record.QueuedAt.After(last.record.QueuedAt)) {
			last = r
		}
	}
	if last != nil {
		last.cancel(errDiskFull)
	}
}

// isFull reports whether no build may begin for want of room.
func (e *Engine) isFull() bool { return e.Disk != nil && e.Disk.Full() }
