package storetest

import (
	"strings"
	"testing"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/notice"
	"atelier/internal/store"
)

// bin returns the names in the recycle bin of a project, newest first, with the number of all.
func bin(t *testing.T, s *store.Store, q build.BinQuery) (string, int) {
	t.Helper()
	q.Viewing = build.Viewing{Everything: []build.ProjectID{"p1"}}
	if q.Limit == 0 {
		q.Limit = 100
	}
	jobs, total, err := s.DeletedJobs(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, j := range jobs {
		names = append(names, j.Config.Name)
	}
	return strings.Join(names, " "), total
}

func testBin(t *testing.T, open Opener) {
	t.Run("list", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for i, name := range []string{"a_1", "B", "ab", "kept"} {
			job := createJob(t, s, aJob(i+1, name))
			if name == "kept" {
				continue
			}
			if _, err := s.DeleteJobs(t.Context(), []build.JobID{job.ID}, dev, start.Add(time.Duration(i)*time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		for _, test := range []struct {
			q     build.BinQuery
			names string
			total int
		}{
			{build.BinQuery{}, "ab B a_1", 3},
			{build.BinQuery{Limit: 2}, "ab B", 3},
			{build.BinQuery{Limit: 2, Offset: 2}, "a_1", 3},
			{build.BinQuery{Offset: 3}, "", 3},
			{build.BinQuery{Search: "A_"}, "a_1", 1},
			{build.BinQuery{Search: "b"}, "ab B", 2},
		} {
			if names, total := bin(t, s, test.q); names != test.names || total != test.total {
				t.Errorf("%+v: %q of %d, want %q of %d", test.q, names, total, test.names, test.total)
			}
		}
		if jobs, total, err := s.DeletedJobs(t.Context(), build.BinQuery{Limit: 9}); len(jobs) != 0 || total != 0 || err != nil {
			t.Errorf("without a project there are %d of %d, %v", len(jobs), total, err)
		}
	})

	t.Run("a restored job goes on where it was", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		finish(t, s, startBuildAt(t, s, job.ID, start), build.Succeeded)
		remove := func(id build.JobID) {
			t.Helper()
			if _, err := s.DeleteJobs(t.Context(), []build.JobID{id}, dev, start); err != nil {
				t.Fatal(err)
			}
		}
		remove(job.ID)
		other := createJob(t, s, aJob(2, "other"))
		remove(other.ID)
		taker := aJob(3, "app")
		createJob(t, s, taker)
		wantKind(t, s.RestoreJobs(t.Context(), []build.JobID{other.ID, job.ID}), fault.Exists)
		wantKind(t, s.RestoreJobs(t.Context(), []build.JobID{other.ID, "none"}), fault.NotFound)
		wantKind(t, s.RestoreJobs(t.Context(), []build.JobID{taker.ID}), fault.NotFound)
		if names, _ := bin(t, s, build.BinQuery{Search: "o"}); names != "other" {
			t.Errorf("after refusals the bin has %q", names)
		}
		remove(taker.ID)
		if err := s.RestoreJobs(t.Context(), []build.JobID{job.ID}); err != nil {
			t.Fatal(err)
		}
		if again := startBuild(t, s, job.ID); again.Number != 2 {
			t.Errorf("the next build is number %d, want 2", again.Number)
		}
		if _, _, err := s.Record(t.Context(), job.ID, 1); err != nil {
			t.Error(err)
		}
		if jobs, err := s.ScheduledJobs(t.Context()); err != nil || len(jobs) != 1 || jobs[0].ID != job.ID {
			t.Errorf("scheduled are %v, %v", jobs, err)
		}
		wantKind(t, s.RestoreJobs(t.Context(), []build.JobID{job.ID}), fault.NotFound)
	})

	t.Run("jobs are doomed when their tenant's time is over", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		mine, theirs := aJob(1, "mine"), aJob(2, "theirs")
		theirs.DomainID = "d2"
		for _, job := range []build.Job{mine, theirs} {
			createJob(t, s, job)
		}
		if _, err := s.DeleteJobs(t.Context(), []build.JobID{mine.ID, theirs.ID}, dev, start); err != nil {
			t.Fatal(err)
		}
		for _, days := range []int{2, 30} {
			if err := s.SetKeepDays(t.Context(), "d1", days); err != nil {
				t.Fatal(err)
			}
			if got, err := s.KeepDays(t.Context(), "d1"); got != days || err != nil {
				t.Errorf("d1 keeps for %d days, %v, want %d", got, err, days)
			}
		}
		if days, err := s.KeepDays(t.Context(), "d2"); days != build.DefaultKeepDays || err != nil {
			t.Errorf("d2 keeps for %d days, %v", days, err)
		}
		const day = 24 * time.Hour
		for _, step := range []struct {
			after time.Duration
			left  string
		}{{7*day - 1e6, "mine theirs"}, {7 * day, "mine"}, {30*day - 1e6, "mine"}, {30 * day, ""}} {
			if err := s.DoomExpired(t.Context(), start.Add(step.after)); err != nil {
				t.Fatal(err)
			}
			if names, _ := bin(t, s, build.BinQuery{}); names != step.left {
				t.Errorf("after %s the bin has %q, want %q", step.after, names, step.left)
			}
		}
		wantKind(t, s.RestoreJobs(t.Context(), []build.JobID{mine.ID}), fault.NotFound)
		wantKind(t, s.DoomJobs(t.Context(), []build.JobID{mine.ID}), fault.NotFound)
		_, err := s.DeletedJob(t.Context(), mine.ID)
		wantKind(t, err, fault.NotFound)
	})

	t.Run("a doomed job goes piece by piece", func(t *testing.T) { t.Parallel(); testPurge(t, open) })
}

func testPurge(t *testing.T, open Opener) {
	s := open(t)
	job, other := createJob(t, s, aJob(1, "app")), createJob(t, s, aJob(2, "other"))
	held := startBuildAt(t, s, job.ID, start)
	claim := build.Claim{Offer: build.Offer{Owner: "e1"}, Now: start, Until: start.Add(time.Minute)}
	lease, ok, err := s.Lease(t.Context(), claim)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	finish(t, s, startBuildAt(t, s, other.ID, start), build.Succeeded)
	if err := s.SetFavourite(t.Context(), "u1", job.ID, true); err != nil {
		t.Fatal(err)
	}
	check(t, s.SetNotice(t.Context(), job.ID, notice.Change{Channel: notice.Message, Events: []notice.Event{notice.Deleted}}))
	for range 3 {
		startBuildAt(t, s, job.ID, start.Add(time.Second))
	}
	if _, err := s.DeleteJobs(t.Context(), []build.JobID{job.ID}, dev, start); err != nil {
		t.Fatal(err)
	}
	now := start.Add(time.Hour)
	purge := func() bool {
		t.Helper()
		more, err := s.Purge(t.Context(), job.ID, now, 3)
		if err != nil {
			t.Fatal(err)
		}
		return more
	}
	if purge() {
		t.Error("a job that nobody doomed is removed")
	}
	if err := s.DoomJobs(t.Context(), []build.JobID{job.ID}); err != nil {
		t.Fatal(err)
	}
	if purge() {
		t.Error("a job is removed while an executor holds a build of it")
	}
	if err := s.Report(t.Context(), held.ID, lease.Fence, build.Progress{End: &build.End{State: build.Aborted, At: start}}); err != nil {
		t.Fatal(err)
	}
	if purge() {
		t.Error("a job is removed before it was told that it was deleted")
	}
	n, ok, err := s.ClaimNotice(t.Context(), now, now.Add(time.Minute), nil)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	check(t, s.NoticeSent(t.Context(), n.ID))
	for i, want := range []bool{true, true, false, false} { // three builds, one, the job, nothing
		if more := purge(); more != want {
			t.Errorf("after piece %d there is more: %v", i+1, more)
		}
	}
	if jobs, err := s.DoomedJobs(t.Context()); len(jobs) != 0 || err != nil {
		t.Errorf("doomed are %v, %v", jobs, err)
	}
	gone, err := s.PurgedRecords(t.Context(), now)
	if err != nil || len(gone) != 4 {
		t.Fatalf("removed were %v, %v, want 4 builds", gone, err)
	}
	if later, err := s.PurgedRecords(t.Context(), now.Add(time.Millisecond)); len(later) != 0 || err != nil {
		t.Errorf("removed later were %v, %v", later, err)
	}
	_, err = s.JobConfig(t.Context(), job.ID, 0)
	wantKind(t, err, fault.NotFound)
	_, _, err = s.RecordByID(t.Context(), held.ID)
	wantKind(t, err, fault.NotFound)
	if _, _, err := s.Record(t.Context(), other.ID, 1); err != nil {
		t.Errorf("the build of another job: %v", err)
	}
	if err := s.ForgetPurged(t.Context(), now.Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.PurgedRecords(t.Context(), start); len(gone) != 0 || err != nil {
		t.Errorf("not forgotten are %v, %v", gone, err)
	}
}
