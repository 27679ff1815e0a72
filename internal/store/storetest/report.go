package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/report"
	"atelier/internal/store"
)

func testReports(t *testing.T, open Opener) {
	aReport := func(record build.RecordID, sequence int) build.Report {
		return build.Report{
			ID: build.NewReportID(), RecordID: record, Sequence: sequence, Stage: "stage1", Files: 2,
			Tests: report.Tests{Succeeded: 5, Failed: 1, Errors: 2, Skipped: 3, Time: 1234 * time.Millisecond},
			Coverage: report.Coverage{
				Lines: report.Counter{Covered: 1, Total: 2}, Branches: report.Counter{Covered: 3, Total: 4}, Statements: report.Counter{Covered: 5, Total: 1<<53 - 1},
			},
			Archive: build.NewArtifactID(), CreatedAt: start,
		}
	}
	begin := func(t *testing.T) (*store.Store, build.Lease) {
		t.Helper()
		s := open(t)
		startBuild(t, s, createJob(t, s, aJob(1, "app")).ID)
		id, lease := claim(t, s, build.Offer{Owner: "e1"}, build.Limits{})
		if err := s.Report(t.Context(), id, lease.Fence, build.Progress{Begin: &build.Begin{At: start}}); err != nil {
			t.Fatal(err)
		}
		return s, lease
	}
	check := func(t *testing.T, s *store.Store, id build.RecordID, want ...build.Report) {
		t.Helper()
		got, err := s.Reports(t.Context(), id)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}

	t.Run("a report stays as it was stored first", func(t *testing.T) {
		t.Parallel()
		s, lease := begin(t)
		id := lease.Record.ID
		check(t, s, id)
		first, second, again := aReport(id, 1), aReport(id, 2), aReport(id, 1)
		second.Archive, second.Files = "", 0
		for _, r := range []build.Report{first, second, again} {
			if err := s.Report(t.Context(), id, lease.Fence, build.Progress{Reports: []build.Report{r}}); err != nil {
				t.Fatal(err)
			}
		}
		check(t, s, id, first, second)
		if needed, err := s.ContentNeeded(t.Context(), first.Archive); err != nil || !needed {
			t.Errorf("the archive is needed: %v, %v", needed, err)
		}
		keys, err := s.ArtifactIDs(t.Context())
		if err != nil || !slices.Equal(keys, []string{first.Archive}) {
			t.Errorf("needed are %v, %v; want %s", keys, err, first.Archive)
		}
		if err := s.Report(t.Context(), id, lease.Fence-1, build.Progress{Reports: []build.Report{aReport(id, 3)}}); !errors.Is(err, build.ErrLeaseLost) {
			t.Errorf("with an old fence: %v", err)
		}
		check(t, s, id, first, second)
	})
	t.Run("the archive goes with its build", func(t *testing.T) {
		t.Parallel()
		s, lease := begin(t)
		r := aReport(lease.Record.ID, 1)
		end := build.Progress{Reports: []build.Report{r}, End: &build.End{State: build.Succeeded, At: start}}
		if err := s.Report(t.Context(), r.RecordID, lease.Fence, end); err != nil {
			t.Fatal(err)
		}
		now := start.Add(time.Hour)
		if err := s.PurgeBuilds(t.Context(), []build.RecordID{r.RecordID}, now); err != nil {
			t.Fatal(err)
		}
		if gone, err := s.RemovedContents(t.Context(), now); err != nil || !slices.Equal(gone, []string{r.Archive}) {
			t.Errorf("removed are %v, %v; want %s", gone, err, r.Archive)
		}
	})
	t.Run("a flow has the reports of its children", func(t *testing.T) {
		t.Parallel()
		s, lease := begin(t)
		job := build.FlowJob{ID: "child-a", Name: "a"}
		child := lease.Record.Child(job, build.SourceInfo{}, start)
		if err := s.StartChild(t.Context(), lease, child); err != nil {
			t.Fatal(err)
		}
		id, own := claim(t, s, build.Offer{Owner: "e1"}, build.Limits{})
		of := aReport(id, 1)
		if err := s.Report(t.Context(), id, own.Fence, build.Progress{Begin: &build.Begin{At: start}, Reports: []build.Report{of}}); err != nil {
			t.Fatal(err)
		}
		check(t, s, lease.Record.ID, of)
		check(t, s, child.ID, of)
	})
}

func testTrends(t *testing.T, open Opener) {
	minute := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	// run starts a build and ends it three seconds later; it has run for two.
	run := func(t *testing.T, s *store.Store, job build.JobID, at time.Time, repository, branch string, state build.State) build.Record {
		t.Helper()
		draft := func(job *build.Job, daily int) (build.Record, error) {
			record, err := draftAt(at)(job, daily)
			record.Repo.Name, record.Branch = repository, branch
			return record, err
		}
		record, err := s.StartBuild(t.Context(), job, build.Day(at, time.UTC), draft)
		if err != nil {
			t.Fatal(err)
		}
		if state != build.Queued {
			finish(t, s, record, state)
		}
		return record
	}
	setup := func(t *testing.T) (*store.Store, build.JobID) {
		t.Helper()
		s := open(t)
		job, other := createJob(t, s, aJob(1, "app")).ID, createJob(t, s, aJob(2, "other")).ID
		run(t, s, job, minute(0), "app", "main", build.Succeeded)
		run(t, s, job, minute(1), "app", "main", build.Failed)
		run(t, s, job, minute(40), "app", "feature", build.Succeeded)
		run(t, s, job, minute(41), "app", "", build.Aborted)
		run(t, s, job, minute(42), "library", "main", build.Succeeded)
		run(t, s, other, minute(43), "elsewhere", "main", build.Succeeded)
		run(t, s, job, minute(44), "app", "main", build.Queued)
		return s, job
	}

	t.Run("names of repositories and branches", func(t *testing.T) {
		t.Parallel()
		s, job := setup(t)
		latest, names, err := s.Repositories(t.Context(), job)
		if err != nil || latest != "app" || !slices.Equal(names, []string{"app", "library"}) {
			t.Errorf("%q, %v, %v", latest, names, err)
		}
		for repository, want := range map[string][]string{"app": {"feature", "main"}, "library": {"main"}, "elsewhere": nil} {
			if got, err := s.RepositoryBranches(t.Context(), job, repository); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %v, %v", repository, got, err)
			}
		}
		if latest, names, err := s.Repositories(t.Context(), "none"); latest != "" || len(names) > 0 || err != nil {
			t.Errorf("of no task: %q, %v, %v", latest, names, err)
		}
	})
	t.Run("outcomes", func(t *testing.T) {
		t.Parallel()
		s, job := setup(t)
		quarter := func(n int) time.Time { return minute(n).Truncate(15 * time.Minute) }
		for _, c := range []struct {
			query build.TrendQuery
			want  []build.Outcome
		}{
			{build.TrendQuery{Repository: "app"}, []build.Outcome{{At: quarter(0), Builds: 2, Succeeded: 1}, {At: quarter(40), Builds: 2, Succeeded: 1}}},
			{build.TrendQuery{Repository: "app", Branch: "main"}, []build.Outcome{{At: quarter(0), Builds: 2, Succeeded: 1}}},
			{build.TrendQuery{Repository: "app", From: minute(2)}, []build.Outcome{{At: quarter(40), Builds: 2, Succeeded: 1}}},
			{build.TrendQuery{Repository: "none"}, nil},
		} {
			c.query.JobID = job
			got, err := s.Outcomes(t.Context(), c.query)
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("%+v: %v (-want +got):\n%s", c.query, err, diff)
			}
		}
	})
	t.Run("times", func(t *testing.T) {
		t.Parallel()
		s, job := setup(t)
		got, err := s.BuildTimes(t.Context(), build.TrendQuery{JobID: job, Repository: "app", Branch: "main"})
		want := build.BuildTimes{Builds: 2, Sum: 4 * time.Second, Min: 2 * time.Second, Max: 2 * time.Second, Newest: []build.BuildTime{
			{Number: 2, DailyNumber: "20220909.2", State: build.Failed, Time: 2 * time.Second},
			{Number: 1, DailyNumber: "20220909.1", State: build.Succeeded, Time: 2 * time.Second},
		}}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if got, err := s.BuildTimes(t.Context(), build.TrendQuery{JobID: job, Repository: "none"}); err != nil || !cmp.Equal(got, build.BuildTimes{}) {
			t.Errorf("of nothing: %+v, %v", got, err)
		}
	})
}
