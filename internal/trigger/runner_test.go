package trigger_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"atelier/internal/build"
	"atelier/internal/source"
	"atelier/internal/store"
	"atelier/internal/trigger"
)

// These stand for the rooms that have no part in what is tested.
type (
	anyone struct{}
	any1   struct{}
	plain  struct{}
	still  struct{}
)

func (anyone) Viewing(context.Context, build.Actor, []build.ProjectID) (build.Viewing, error) {
	return build.Viewing{}, nil
}

func (anyone) Check(context.Context, build.Actor, build.JobRef, build.Right) error { return nil }
func (any1) CheckURL(string) error                                                 { return nil }
func (any1) CheckRef(string) error                                                 { return nil }
func (any1) CheckCommit(string) error                                              { return nil }
func (any1) CheckStep(build.ActionStep) error                                      { return nil }
func (plain) Seal(text string) (string, error)                                     { return text, nil }

func (plain) Open(text string) (string, error) { return text, nil }
func (still) Wake()                            {}
func (still) StopBuild(build.RecordID)         {}

// branches are the commits that branches have.
type branches struct {
	mu   sync.Mutex
	head string
	away chan struct{} // nil, or closed when the repository answers
}

func (b *branches) Resolve(context.Context, build.ProjectID, build.Source, source.Ref) (source.Commit, error) {
	if b.away != nil {
		<-b.away
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return source.Commit{ID: b.head, Branch: "main"}, nil
}

// world is a database with a build service, and the runners of two servers.
type world struct {
	t       *testing.T
	store   *store.Store
	service *build.Service
	heads   *branches
	runners [2]*trigger.Runner
	log     strings.Builder
}

var (
	dev  = build.Actor{UserID: "u1", UserName: "dev", DomainID: "d1"}
	noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
)

const project build.ProjectID = "0123456789abcdef0123456789abcdef"

func newWorld(t *testing.T) *world {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "atelier.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := &world{t: t, store: db, heads: &branches{head: "1111"}}
	w.service = build.NewService(build.Parts{
		Store: db, Access: anyone{}, Sources: any1{}, Steps: any1{}, Triggers: trigger.Schedules{Zone: time.UTC}, Sealer: plain{}, Engine: still{},
		Zone: time.UTC,
	})
	log := slog.New(slog.NewTextHandler(&w.log, nil)) // one, which lets only one write at a time
	for i := range w.runners {
		w.runners[i] = &trigger.Runner{Tasks: db, Builds: w.service, Sources: w.heads, Zone: time.UTC, Log: log, MaxFailures: trigger.MaxFailures}
	}
	return w
}

// task makes a task with a timer.
func (w *world) task(name string, params ...string) build.Job {
	w.t.Helper()
	job, err := w.service.CreateJob(w.t.Context(), dev, project, build.Config{
		Name: name, Arch: "x86-64", Steps: []build.ActionStep{{ModuleID: "sh", Name: "Run"}}, Triggers: []build.TriggerConfig{timer(params...)},
		Sources: []build.Source{{URL: "https://git.example.com/a.git", Kind: "codehub", Branch: "main"}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return job
}

// minute lets both servers see a minute, at the same time.
func (w *world) minute(at time.Time) {
	var both sync.WaitGroup
	for _, r := range w.runners {
		both.Go(func() { r.Minute(w.t.Context(), at) })
	}
	both.Wait()
}

// builds returns the builds of a task, oldest first.
func (w *world) builds(job build.Job) []build.Record {
	w.t.Helper()
	records, _, err := w.store.Records(w.t.Context(), build.RecordQuery{JobID: job.ID, Limit: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	return records
}

func (w *world) wantBuilds(job build.Job, n int) {
	w.t.Helper()
	if got := w.builds(job); len(got) != n {
		w.t.Errorf("%s has %d builds, want %d\n%s", job.Config.Name, len(got), n, w.log.String())
	}
}

// finish ends a task's newest build.
func (w *world) finish(state build.State) {
	w.t.Helper()
	now := time.Now()
	lease, ok, err := w.store.Lease(w.t.Context(), build.Claim{Offer: build.Offer{Owner: "e1"}, Now: now, Until: now.Add(time.Hour)})
	if err != nil || !ok {
		w.t.Fatal(ok, err)
	}
	if err := w.store.Report(w.t.Context(), lease.Record.ID, lease.Fence, build.Progress{
		Source: &build.SourceInfo{Branch: "main", Commit: w.heads.head}, Begin: &build.Begin{At: now}, End: &build.End{State: state, At: now},
	}); err != nil {
		w.t.Fatal(err)
	}
}

// Two servers start one build for each time, as who made the task, and none at any other time.
func TestOneBuildForEachTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hourly, never := w.task("hourly", "spec", "0 * * * *"), w.task("never", "spec", "30 1 * * *")
	for i := range 121 {
		w.minute(noon.Add(time.Duration(i) * time.Minute))
	}
	w.wantBuilds(hourly, 3)
	w.wantBuilds(never, 0)
	for _, b := range w.builds(hourly) {
		if b.Trigger != build.Timed || !b.Unattended || b.UserID != dev.UserID || b.UserName != dev.UserName {
			t.Errorf("build = %+v", b)
		}
	}
	w.minute(noon) // again, as after a restart within the minute
	w.wantBuilds(hourly, 3)
}

// A task that is disabled, deleted or without a timer is left alone.
func TestTasksThatAreLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	disabled, deleted, changed := w.task("disabled", "spec", "* * * * *"), w.task("deleted", "spec", "* * * * *"), w.task("changed", "spec", "* * * * *")
	if err := w.service.SetDisabled(t.Context(), dev, disabled.ID, true, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.service.DeleteJob(t.Context(), dev, deleted.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.service.UpdateJob(t.Context(), dev, changed.ID, project, func(c build.Config) build.Config {
		c.Triggers = nil
		return c
	}); err != nil {
		t.Fatal(err)
	}
	w.minute(noon)
	w.wantBuilds(disabled, 0)
	w.wantBuilds(changed, 0)
	if log := w.log.String(); strings.Contains(log, "level=ERROR") {
		t.Error(log)
	}
	if err := w.service.SetDisabled(t.Context(), dev, disabled.ID, false, ""); err != nil {
		t.Fatal(err)
	}
	w.minute(noon.Add(time.Minute))
	w.wantBuilds(disabled, 1)
}

// With isCodeUpdated a time passes when the branch has nothing new since its last build, whatever became of that.
func TestOnlyWhenTheCodeChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := w.task("app", "spec", "* * * * *", "isCodeUpdated", "true")
	for i, step := range []struct {
		head  string
		total int
	}{{"1111", 1}, {"1111", 1}, {"2222", 2}, {"2222", 2}, {"1111", 3}} {
		w.heads.head = step.head
		before := len(w.builds(job))
		w.minute(noon.Add(time.Duration(i) * time.Minute))
		w.wantBuilds(job, step.total)
		if len(w.builds(job)) > before {
			w.finish(build.Failed)
		}
	}
}

// After ten failures in a row the timer is ignored, until the task is changed or a build succeeds.
func TestGivingUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := w.task("app", "spec", "* * * * *")
	at := noon
	pass := func(minutes int, state build.State) {
		for range minutes {
			before := len(w.builds(job))
			at = at.Add(time.Minute)
			w.minute(at)
			if len(w.builds(job)) > before {
				w.finish(state)
			}
		}
	}
	pass(9, build.Failed)
	pass(1, build.Succeeded)
	pass(14, build.Failed)
	w.wantBuilds(job, 20)
	for _, b := range w.builds(job) {
		warned := slices.ContainsFunc(b.Warnings, func(text string) bool {
			return strings.Contains(text, "The last 9 scheduled builds of the task failed.")
		})
		if last := b.Number == 10 || b.Number == 20; warned != last {
			t.Errorf("build %d has the warnings %q", b.Number, b.Warnings)
		}
	}
	if log := w.log.String(); !strings.Contains(log, "the timer of a task is ignored") {
		t.Error(log)
	}
	if _, err := w.service.UpdateJob(t.Context(), dev, job.ID, project, func(c build.Config) build.Config {
		c.Steps = []build.ActionStep{{ModuleID: "sh", Name: "Better"}}
		return c
	}); err != nil {
		t.Fatal(err)
	}
	pass(12, build.TimedOut)
	w.wantBuilds(job, 30)
	if _, err := w.service.Start(t.Context(), dev, build.StartRequest{JobID: job.ID}); err != nil {
		t.Fatal(err)
	}
	w.finish(build.Succeeded)
	pass(1, build.Failed)
	w.wantBuilds(job, 32)
	pass(14, build.Failed) // ten in all
	w.wantBuilds(job, 41)
}

// Builds that are not over do not hide that those before them have failed.
func TestGivingUpWhileBuildsRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := w.task("app", "spec", "* * * * *")
	w.minute(noon)
	for i := range 20 {
		w.minute(noon.Add(time.Duration(i+1) * time.Minute))
		if i < 10 {
			w.finish(build.Failed) // the older of two
		}
	}
	w.wantBuilds(job, 11)
}

// A build that waits will have what the branch has then, so that no second one has to wait beside it.
func TestNoSecondBuildWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	job := w.task("app", "spec", "* * * * *", "isCodeUpdated", "true")
	w.minute(noon)
	w.heads.head = "2222"
	w.minute(noon.Add(time.Minute))
	w.wantBuilds(job, 1)
	w.finish(build.Succeeded)
	w.minute(noon.Add(2 * time.Minute))
	w.wantBuilds(job, 1)
}

// Repositories that do not answer hold up nobody but those that need them.
func TestRepositoriesThatAreAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.heads.away = make(chan struct{})
	var stuck []build.Job
	for i := range 20 {
		stuck = append(stuck, w.task(fmt.Sprintf("a%d", i), "spec", "* * * * *", "isCodeUpdated", "true"))
	}
	job := w.task("b", "spec", "* * * * *")
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.minute(noon)
	}()
	for late := time.After(time.Minute); len(w.builds(job)) == 0; {
		select {
		case <-late:
			t.Fatal("is held up")
		case <-time.After(time.Millisecond):
		}
	}
	w.wantBuilds(stuck[0], 0)
	close(w.heads.away)
	<-done
	for _, job := range stuck {
		w.wantBuilds(job, 1)
	}
}
