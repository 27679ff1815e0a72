// Package purge removes for good what has been kept for long enough: deleted tasks, when their time in the recycle bin is over or when
// somebody says so, and old builds of all tasks.
//
// A task that is to go is doomed: it is marked so in the database, and no client sees it again. Then its builds go, some at a
// time, and the task last. What was removed is written down in the same transaction, and only then do the logs go, which are
// files: a server that dies in between finds on its next start what it has to remove. The logs of a build lie on the disk of the
// server that ran it, so every server goes through that list.
package purge

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"atelier/internal/build"
)

// Store is where the doomed tasks are.
type Store interface {
	DoomExpired(ctx context.Context, now time.Time) error
	DoomedJobs(ctx context.Context) ([]build.JobID, error)
	Purge(ctx context.Context, id build.JobID, now time.Time, n int) (more bool, err error)
	OldBuilds(ctx context.Context, before time.Time, latest, n int) ([]build.RecordID, error)
	PurgeBuilds(ctx context.Context, ids []build.RecordID, now time.Time) error
	PurgedRecords(ctx context.Context, since time.Time) ([]build.RecordID, error)
	ForgetPurged(ctx context.Context, before time.Time) error
}

// Logs are the logs of this server. To remove one that is not there is no error.
type Logs interface {
	Remove(id build.RecordID) error
}

const (
	// period is how long a task may stay beyond its time, and a build that an executor held when its task was doomed.
	period = 10 * time.Minute
	// piece is how many builds go in one transaction. Others wait for it.
	piece = 100
	// look is how many old builds are asked for at a time.
	look = 10_000
	// overlap is how much the clocks of servers may differ, and how long a transaction may take.
	overlap = time.Hour
	// memory is how long a server may be off and still find out which of its logs are to go.
	memory = 90 * 24 * time.Hour
)

// Retention says how long builds are kept after their end.
type Retention struct {
	For    time.Duration // 0 for ever
	Latest int           // builds of each task that are kept however old they are
}

// Purger removes tasks and builds. Several may work on one database.
type Purger struct {
	store Store
	logs  Logs
	keep  Retention
	log   *slog.Logger
	wake  chan struct{}
	since time.Time // from where on the list of removed builds is to be read
}

// New returns a purger that does nothing yet.
func New(store Store, logs Logs, keep Retention, log *slog.Logger) *Purger {
	return &Purger{store: store, logs: logs, keep: keep, log: log, wake: make(chan struct{}, 1)}
}

// Wake says that a task was doomed.
func (p *Purger) Wake() {
	select {
	case p.wake <- struct{}{}:
	default: // it knows
	}
}

// Run removes what is to go until ctx ends.
func (p *Purger) Run(ctx context.Context) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		if err := p.Once(ctx, time.Now()); err != nil && ctx.Err() == nil {
			p.log.Error("remove deleted tasks and old builds", "error", err)
		}
		select {
		case <-p.wake:
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Once removes what is to go at a moment. What fails is tried again the next time.
func (p *Purger) Once(ctx context.Context, now time.Time) error {
	if err := p.store.DoomExpired(ctx, now); err != nil {
		return fmt.Errorf("look for tasks whose time is over: %w", err)
	}
	jobs, err := p.store.DoomedJobs(ctx)
	if err != nil {
		return fmt.Errorf("look for doomed tasks: %w", err)
	}
	for _, job := range jobs {
		for more := true; more; {
			if more, err = p.store.Purge(ctx, job, now, piece); err != nil {
				return fmt.Errorf("remove task %s: %w", job, err)
			}
		}
	}
	if err := p.removeOld(ctx, now); err != nil {
		return fmt.Errorf("remove old builds: %w", err)
	}
	return p.removeLogs(ctx, now)
}

// removeOld removes the builds that have been kept for long enough.
func (p *Purger) removeOld(ctx context.Context, now time.Time) error {
	if p.keep.For == 0 {
		return nil
	}
	for {
		old, err := p.store.OldBuilds(ctx, now.Add(-p.keep.For), p.keep.Latest, look)
		if err != nil || len(old) == 0 {
			return err
		}
		for some := range slices.Chunk(old, piece) {
			if err := p.store.PurgeBuilds(ctx, some, now); err != nil {
				return err
			}
		}
		p.log.Info("old builds were removed", "builds", len(old))
	}
}

func (p *Purger) removeLogs(ctx context.Context, now time.Time) error {
	records, err := p.store.PurgedRecords(ctx, p.since)
	if err != nil {
		return fmt.Errorf("list the removed builds: %w", err)
	}
	for _, record := range records {
		if err := p.logs.Remove(record); err != nil {
			return fmt.Errorf("remove the log of build %s: %w", record, err)
		}
	}
	p.since = now.Add(-overlap)
	return p.store.ForgetPurged(ctx, now.Add(-memory))
}
