package trigger

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/source"
)

// Tasks is where the tasks and their builds are. The store implements it.
type Tasks interface {
	// ScheduledJobs returns the tasks that have a timer and are not disabled.
	ScheduledJobs(ctx context.Context) ([]build.Job, error)
	// Records returns a page of builds, newest first.
	Records(ctx context.Context, q build.RecordQuery) ([]build.Record, int, error)
}

// Builds starts builds. The build service implements it.
type Builds interface {
	StartUnattended(ctx context.Context, req build.StartRequest) (build.Record, error)
}

// Sources finds out what a branch has in the repository of a project's task.
type Sources interface {
	Resolve(ctx context.Context, project build.ProjectID, src build.Source, ref source.Ref) (source.Commit, error)
}

// Runner starts the builds of tasks whose time has come. Several may run on one database: together they start one build for each
// time.
type Runner struct {
	Tasks   Tasks
	Builds  Builds
	Sources Sources
	Zone    *time.Location // of timers that name none
	Log     *slog.Logger

	MaxFailures int // scheduled builds that may fail one after another before the timer is ignored
}

// MaxFailures is how many that are where nobody says otherwise.
const MaxFailures = 10

const (
	// maxLate is how old a time may be that still counts. What was missed for longer is not made up.
	maxLate = 5 * time.Minute
	// patience is how long a repository has to answer.
	patience = time.Minute
	// atOnce is how many repositories are looked at together in a minute.
	atOnce = 8
)

// Run starts builds as their times come, until ctx ends. A minute does not wait for the one before, in which a repository may be slow.
func (r *Runner) Run(ctx context.Context) {
	var minutes sync.WaitGroup
	defer minutes.Wait()
	last := time.Now().Truncate(time.Minute)
	for {
		timer := time.NewTimer(time.Until(last.Add(time.Minute)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		now := time.Now().Truncate(time.Minute)
		if oldest := now.Add(-maxLate); last.Before(oldest) {
			last = oldest // the machine slept
		}
		for last.Before(now) {
			last = last.Add(time.Minute)
			at := last
			minutes.Go(func() { r.Minute(ctx, at) })
		}
	}
}

// Minute starts the builds that are due at a moment, which is a whole minute.
func (r *Runner) Minute(ctx context.Context, minute time.Time) {
	jobs, err := r.Tasks.ScheduledJobs(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.Log.Error("look for tasks whose time has come", "error", err)
		}
		return
	}
	var all sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for _, job := range jobs {
		schedule, due := r.due(job, minute)
		if !due {
			continue
		}
		all.Go(func() {
			if err := r.start(ctx, job, schedule, minute, places); err != nil && ctx.Err() == nil {
				r.Log.Error("start a scheduled build", "job", job.ID, "error", err)
			}
		})
	}
	all.Wait()
}

// due returns the first of a task's timers that has come.
func (r *Runner) due(job build.Job, minute time.Time) (Schedule, bool) {
	for _, t := range job.Config.Triggers {
		if t.Name != Timer {
			continue
		}
		schedule, err := ParseSchedule(t, r.Zone)
		if err != nil {
			r.Log.Warn("a task has a timer that is not valid", "job", job.ID, "error", err) // it was checked when it was saved, by an older version
			continue
		}
		if schedule.Due(minute) {
			return schedule, true
		}
	}
	return Schedule{}, false
}

// start starts a task's build. Repositories are looked at in one of the places, so that those that are away
// do not hold up tasks that are built without a look.
func (r *Runner) start(ctx context.Context, job build.Job, s Schedule, minute time.Time, places chan struct{}) error {
	failures, err := r.failures(ctx, job)
	if err != nil {
		return err
	}
	if failures >= r.MaxFailures {
		r.Log.Warn("the timer of a task is ignored: its scheduled builds fail; change the task, or build it with success", "job", job.ID, "failures", failures)
		return nil
	}
	if s.Changed {
		places <- struct{}{}
		changed, err := r.changed(ctx, job)
		<-places
		if err != nil || !changed {
			return err
		}
	}
	// Whoever comes second with the token gets the build of the first.
	record, err := r.Builds.StartUnattended(ctx, build.StartRequest{
		JobID: job.ID, Trigger: build.Timed, Token: "timer-" + strconv.FormatInt(minute.Unix(), 10), Warnings: r.warnings(failures),
	})
	if err == nil {
		r.Log.Info("scheduled build started", "job", job.ID, "number", record.Number)
	}
	return err
}

// failures returns how many scheduled builds of the task, as it is configured now, have failed one after another, at most as many as the
// timer may have, without a build of any kind that has succeeded since. Those that are not over say nothing yet.
func (r *Runner) failures(ctx context.Context, job build.Job) (int, error) {
	timed, _, err := r.Tasks.Records(ctx, build.RecordQuery{JobID: job.ID, Triggers: []build.Trigger{build.Timed}, States: over, Limit: r.MaxFailures})
	if err != nil || len(timed) == 0 || !failed(timed[0]) {
		return 0, err
	}
	good, _, err := r.Tasks.Records(ctx, build.RecordQuery{JobID: job.ID, States: []build.State{build.Succeeded}, Limit: 1})
	if err != nil {
		return 0, err
	}
	n := slices.IndexFunc(timed, func(b build.Record) bool {
		return !failed(b) || b.JobVersion != job.Version || len(good) > 0 && good[0].Number > b.Number
	})
	if n < 0 {
		n = len(timed)
	}
	return n, nil
}

// warnings is what the log of a scheduled build says before it begins: that this is the last try.
func (r *Runner) warnings(failures int) []string {
	if failures == 0 || failures < r.MaxFailures-1 {
		return nil
	}
	return []string{fmt.Sprintf("The last %d scheduled builds of the task failed. If this one fails too, the timer is ignored until the task is changed or a build succeeds.", failures)}
}

// over are the states of builds that are over.
var over = []build.State{build.Succeeded, build.Failed, build.Unschedulable, build.Aborted, build.TimedOut}

func failed(b build.Record) bool {
	return b.State == build.Failed || b.State == build.Unschedulable || b.State == build.TimedOut
}

// changed reports whether the task's branch has another commit than its last build. One that has not begun will build what the branch has
// then.
func (r *Runner) changed(ctx context.Context, job build.Job) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	src, ok := job.Config.Source()
	if !ok {
		return true, nil
	}
	commit, err := r.Sources.Resolve(ctx, job.ProjectID, src, source.Ref{Branch: src.Branch})
	if err != nil {
		if text, public := fault.Public(err); public {
			return false, fmt.Errorf("see whether the code has changed: %s", text)
		}
		return false, err
	}
	query := build.RecordQuery{JobID: job.ID, Limit: 1}
	if commit.Branch != "" {
		query.Branches = []string{commit.Branch}
	}
	last, _, err := r.Tasks.Records(ctx, query)
	if err != nil || len(last) == 0 {
		return err == nil, err
	}
	waits := last[0].Commit == "" && !last[0].State.Final()
	return !waits && last[0].Commit != commit.ID, nil
}
