package purge_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/logs"
	"atelier/internal/purge"
	"atelier/internal/store"
)

const (
	job    = build.JobID("2a86c3c1ed18416399279fe600000000")
	record = build.RecordID("48da14e2-6ee7-495b-9dc7-f14d4a344511")
)

// keep is a retention under which nothing of these tests goes by its age.
var keep = purge.Retention{For: 90 * 24 * time.Hour, Latest: 1}

var start = time.Date(2022, 9, 9, 6, 31, 50, 0, time.UTC)

// deleted returns a store with a deleted job that has a build, and the log of that build.
func deleted(t *testing.T) (*store.Store, *logs.Store) {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(dir, "atelier.db"))
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	files, err := logs.Open(filepath.Join(dir, "logs"), logs.Config{})
	check(t, err)
	check(t, s.CreateJob(t.Context(), build.Job{ID: job, BuildProjectID: "b", ProjectID: "p", DomainID: "d", CreatedAt: start, Config: build.Config{Name: "app"}}))
	_, err = s.StartBuild(t.Context(), job, "20220909", func(j *build.Job, _ int) (build.Record, error) {
		return build.Record{ID: record, JobID: job, Number: j.LastNumber, State: build.Queued, CreatedAt: start, QueuedAt: start}, nil
	})
	check(t, err)
	log, err := files.Append(record)
	check(t, err)
	check(t, log.Info("The build begins."))
	check(t, log.Close())
	_, err = s.DeleteJobs(t.Context(), []build.JobID{job}, build.Actor{UserID: "u"}, start)
	check(t, err)
	return s, files
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func hasLog(t *testing.T, files *logs.Store) bool {
	t.Helper()
	size, err := files.Size(record)
	check(t, err)
	return size > 0
}

func TestWhatIsOverGoesWithItsLogs(t *testing.T) {
	t.Parallel()
	s, files := deleted(t)
	p := purge.New(s, files, keep, slog.New(slog.DiscardHandler))
	check(t, p.Once(t.Context(), start.Add(7*24*time.Hour-time.Minute)))
	if _, err := s.DeletedJob(t.Context(), job); err != nil || !hasLog(t, files) {
		t.Fatalf("a job went before its time: %v", err)
	}
	check(t, p.Once(t.Context(), start.Add(7*24*time.Hour)))
	if _, err := s.JobConfig(t.Context(), job, 0); !fault.Is(err, fault.NotFound) || hasLog(t, files) {
		t.Fatalf("a job is still there after its time: %v", err)
	}
}

func TestOldBuildsGoWithTheirLogs(t *testing.T) {
	t.Parallel()
	s, files := deleted(t)
	check(t, s.RestoreJobs(t.Context(), []build.JobID{job})) // its build was stopped when it was deleted
	_, err := s.StartBuild(t.Context(), job, "20220910", func(j *build.Job, _ int) (build.Record, error) {
		return build.Record{ID: "newer", JobID: job, Number: j.LastNumber, State: build.Queued, CreatedAt: start, QueuedAt: start}, nil
	})
	check(t, err)
	late := start.Add(keep.For + time.Millisecond)
	for _, tt := range []struct {
		keep purge.Retention
		at   time.Time
		goes bool
	}{
		{purge.Retention{Latest: 1}, late, false},
		{purge.Retention{For: keep.For, Latest: 2}, late, false},
		{keep, start.Add(keep.For), false},
		{keep, late, true},
	} {
		check(t, purge.New(s, files, tt.keep, slog.New(slog.DiscardHandler)).Once(t.Context(), tt.at))
		_, _, err := s.RecordByID(t.Context(), record)
		if gone := fault.Is(err, fault.NotFound); gone != tt.goes || hasLog(t, files) == tt.goes {
			t.Fatalf("%v at %s: the build is gone: %v, want %v; it has a log: %v", tt.keep, tt.at, gone, tt.goes, hasLog(t, files))
		}
	}
}

// dying fails at the moment when a server would be killed.
type dying struct{}

func (dying) Remove(build.RecordID) error { return errors.New("killed") }

func TestLogsGoAfterACrash(t *testing.T) {
	t.Parallel()
	s, files := deleted(t)
	later := start.Add(8 * 24 * time.Hour)
	if err := purge.New(s, dying{}, keep, slog.New(slog.DiscardHandler)).Once(t.Context(), later); err == nil {
		t.Fatal("no log was to be removed")
	}
	if _, err := s.JobConfig(t.Context(), job, 0); !fault.Is(err, fault.NotFound) || !hasLog(t, files) {
		t.Fatalf("the job is there (%v), or the log is gone", err)
	}
	// Both servers of the database remove what they have, in any order.
	elsewhere, err := logs.Open(t.TempDir(), logs.Config{})
	check(t, err)
	for _, server := range []*logs.Store{elsewhere, files} {
		check(t, purge.New(s, server, keep, slog.New(slog.DiscardHandler)).Once(t.Context(), later.Add(time.Hour)))
	}
	if hasLog(t, files) {
		t.Error("the log is still there")
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	s, files := deleted(t)
	check(t, s.DoomJobs(t.Context(), []build.JobID{job}))
	removed := make(chan struct{})
	p := purge.New(s, notifying{files, removed}, keep, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	p.Wake()
	p.Wake()
	<-removed
	cancel()
	<-done
	if hasLog(t, files) {
		t.Error("the log is still there")
	}
}

type notifying struct {
	*logs.Store
	removed chan struct{}
}

func (n notifying) Remove(id build.RecordID) error {
	defer func() {
		select {
		case <-n.removed:
		default:
			close(n.removed)
		}
	}()
	return n.Store.Remove(id)
}
