package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/store"
)

// draftAt makes the record of a build as the domain would, with something in every field that is known at the start.
func draftAt(at time.Time) func(*build.Job, int) (build.Record, error) {
	return func(job *build.Job, daily int) (build.Record, error) {
		day := build.Day(at, time.UTC)
		return build.Record{
			ID: build.RecordID(fmt.Sprintf("%s-%04d", job.ID, job.LastNumber)), InfoID: "i", JobID: job.ID, BuildProjectID: job.BuildProjectID,
			ProjectID: job.ProjectID, DomainID: job.DomainID, JobName: job.Config.Name, JobVersion: job.Version, ConfigKind: build.Action,
			Number: job.LastNumber, DailyNumber: build.DailyNumber(day, daily), ExecutionID: "j_12345678", UserID: "u1", UserName: "dev",
			Trigger: build.Manual, Repo: build.Repo{Name: "app", ID: "1", URL: "u", WebURL: "w", GroupName: "g", Kind: "codehub"},
			RefKind: build.ByBranch, Branch: "main", Tag: "", Parameters: []build.Value{{Name: "a", Value: "1"}, {Name: "b", Value: "sealed", Private: true}},
			Warnings: []string{"w1"}, State: build.Queued, Region: "cn-north-4", CreatedAt: at, ScheduledAt: at, QueuedAt: at,
		}, nil
	}
}

func startBuildAt(t *testing.T, s *store.Store, job build.JobID, at time.Time) build.Record {
	t.Helper()
	record, err := s.StartBuild(t.Context(), job, build.Day(at, time.UTC), draftAt(at))
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func startBuild(t *testing.T, s *store.Store, job build.JobID) build.Record {
	t.Helper()
	return startBuildAt(t, s, job, start)
}

// finish takes a queued build, which must be the oldest, to a final state.
func finish(t *testing.T, s *store.Store, record build.Record, state build.State) {
	t.Helper()
	at := record.CreatedAt
	lease, ok, err := s.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: "e1"}, Now: at.Add(time.Second), Until: at.Add(time.Minute)})
	if err != nil || !ok || lease.Record.ID != record.ID {
		t.Fatalf("lease of %s = %s, %v, %v", record.ID, lease.Record.ID, ok, err)
	}
	if err := s.Report(t.Context(), record.ID, lease.Fence, build.Progress{
		Begin: &build.Begin{At: at.Add(2 * time.Second)}, End: &build.End{State: state, At: at.Add(3 * time.Second)},
	}); err != nil {
		t.Fatal(err)
	}
}

func testRecords(t *testing.T, open Opener) {
	t.Run("a record reads back as it was written", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		want := startBuild(t, s, job.ID)
		got, ref, err := s.Record(t.Context(), job.ID, 1)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
		}
		if diff := cmp.Diff(job.Ref(), ref); diff != "" {
			t.Errorf("reference (-want +got):\n%s", diff)
		}
		if got, _, err = s.RecordByID(t.Context(), want.ID); err != nil || got.Number != 1 {
			t.Errorf("by id: %+v, %v", got, err)
		}
		if want.DailyNumber != "20220909.1" {
			t.Errorf("daily number = %s", want.DailyNumber)
		}
	})

	t.Run("what does not exist is not found", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		_, _, err := s.Record(t.Context(), job.ID, 1)
		wantKind(t, err, fault.NotFound)
		_, _, err = s.RecordByID(t.Context(), "none")
		wantKind(t, err, fault.NotFound)
		_, err = s.LatestActive(t.Context(), job.ID)
		wantKind(t, err, fault.NotFound)
		_, err = s.StartBuild(t.Context(), "none", "20220909", draftAt(start))
		wantKind(t, err, fault.NotFound)
		wantKind(t, s.RequestStop(t.Context(), "none", dev, start), fault.NotFound)
		if steps, err := s.Steps(t.Context(), "none"); err != nil || steps != nil {
			t.Errorf("steps = %v, %v", steps, err)
		}
	})

	t.Run("a draft that fails uses no number", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		sorry := errors.New("sorry")
		if _, err := s.StartBuild(t.Context(), job.ID, "20220909", func(*build.Job, int) (build.Record, error) { return build.Record{}, sorry }); !errors.Is(err, sorry) {
			t.Errorf("error = %v", err)
		}
		if got := startBuild(t, s, job.ID); got.Number != 1 || got.DailyNumber != "20220909.1" {
			t.Errorf("numbers = %d, %s", got.Number, got.DailyNumber)
		}
	})

	t.Run("daily numbers begin again each day, counters go on", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		var daily []string
		for _, at := range []time.Time{start, start.Add(time.Hour), start.AddDate(0, 0, 1), start.AddDate(0, 0, 1)} {
			record, err := s.StartBuild(t.Context(), job.ID, build.Day(at, time.UTC), func(j *build.Job, n int) (build.Record, error) {
				if j.Counters == nil {
					j.Counters = map[string]string{}
				}
				j.Counters["seen"] += "x"
				return draftAt(at)(j, n)
			})
			if err != nil {
				t.Fatal(err)
			}
			daily = append(daily, record.DailyNumber)
		}
		if diff := cmp.Diff([]string{"20220909.1", "20220909.2", "20220910.1", "20220910.2"}, daily); diff != "" {
			t.Errorf("daily numbers (-want +got):\n%s", diff)
		}
		got, err := s.Job(t.Context(), job.ID)
		if err != nil || got.Counters["seen"] != "xxxx" || got.LastNumber != 4 {
			t.Errorf("counters %v, last number %d, %v", got.Counters, got.LastNumber, err)
		}
	})

	t.Run("numbers have no gap and no repeat under concurrency", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		const writers, each = 16, 10
		var mu sync.Mutex
		var numbers []int
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range each {
					record, err := s.StartBuild(t.Context(), job.ID, "20220909", draftAt(start))
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					numbers = append(numbers, record.Number)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		slices.Sort(numbers)
		for i, n := range numbers {
			if n != i+1 {
				t.Fatalf("numbers = %v", numbers)
			}
		}
		if len(numbers) != writers*each {
			t.Errorf("%d numbers, want %d", len(numbers), writers*each)
		}
	})

	t.Run("lists", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job, other := createJob(t, s, aJob(1, "app")), createJob(t, s, aJob(2, "other"))
		startBuild(t, s, other.ID)
		for i := range 5 {
			at := start.Add(time.Duration(i) * time.Hour)
			if _, err := s.StartBuild(t.Context(), job.ID, "20220909", func(j *build.Job, n int) (build.Record, error) {
				r, err := draftAt(at)(j, n)
				if i == 1 {
					r.Trigger, r.Branch = build.Timed, "dev"
				}
				if i == 2 {
					r.Tag = "v1"
				}
				return r, err
			}); err != nil {
				t.Fatal(err)
			}
		}
		hour := func(n int) time.Time { return start.Add(time.Duration(n) * time.Hour) }
		tests := []struct {
			name  string
			query build.RecordQuery
			want  []int
			total int
		}{
			{"newest first", build.RecordQuery{}, []int{5, 4, 3, 2, 1}, 5},
			{"a page", build.RecordQuery{Offset: 1, Limit: 2}, []int{4, 3}, 5},
			{"past the end", build.RecordQuery{Offset: 7}, nil, 5},
			{"a trigger", build.RecordQuery{Triggers: []build.Trigger{build.Timed}}, []int{2}, 1},
			{"triggers", build.RecordQuery{Triggers: []build.Trigger{build.Timed, build.Pipeline}}, []int{2}, 1},
			{"states", build.RecordQuery{States: []build.State{build.Failed, build.Queued}}, []int{5, 4, 3, 2, 1}, 5},
			{"other states", build.RecordQuery{States: []build.State{build.Succeeded}}, nil, 0},
			{"branches", build.RecordQuery{Branches: []string{"main"}}, []int{5, 4, 3, 1}, 4},
			{"a tag", build.RecordQuery{Tags: []string{"v1"}}, []int{3}, 1},
			{"without a tag", build.RecordQuery{Tags: []string{""}}, []int{5, 4, 2, 1}, 4},
			{"tags", build.RecordQuery{Tags: []string{"v1", "v2"}}, []int{3}, 1},
			{"from is inside, to is outside", build.RecordQuery{From: hour(1), To: hour(3)}, []int{3, 2}, 2},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				q := tt.query
				q.JobID = job.ID
				if q.Limit == 0 {
					q.Limit = 100
				}
				records, total, err := s.Records(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				var numbers []int
				for _, r := range records {
					numbers = append(numbers, r.Number)
				}
				if diff := cmp.Diff(tt.want, numbers); diff != "" || total != tt.total {
					t.Errorf("total %d, want %d; numbers (-want +got):\n%s", total, tt.total, diff)
				}
			})
		}
	})

	t.Run("what a build reports is stored", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		record := startBuild(t, s, job.ID)
		lease, _, err := s.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: "e1"}, Now: start.Add(time.Second), Until: start.Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		source := build.SourceInfo{Branch: "trunk", Commit: "c2be53c0ffe913e4c9b8cebd013dcbef3a76d70b", Message: "init", Time: start.Add(-time.Hour), BuildFile: ".cloudbuild/build.yml"}
		step := build.Step{RecordID: record.ID, Sequence: 1, ID: "s1", Stage: "stage1", Name: "Run", Keyword: "sh", State: build.StepRunning, StartedAt: start.Add(2 * time.Second), LogStart: 7, LogEnd: -1}
		later := step
		later.State, later.ExitCode, later.Ignored, later.FinishedAt, later.LogEnd = build.StepFailed, 3, true, start.Add(3*time.Second), 99
		report := func(p build.Progress) {
			t.Helper()
			if err := s.Report(t.Context(), record.ID, lease.Fence, p); err != nil {
				t.Fatal(err)
			}
		}
		report(build.Progress{Source: &source})
		report(build.Progress{Begin: &build.Begin{At: start.Add(2 * time.Second), PrivatePool: true}, Steps: []build.Step{step, {RecordID: record.ID, Sequence: 2, ID: "s2", Stage: "stage2", State: build.StepWaiting}}})
		report(build.Progress{Steps: []build.Step{later}})
		report(build.Progress{End: &build.End{State: build.Failed, Error: "step Run failed", At: start.Add(4 * time.Second), Logged: true}})

		want := record
		want.Branch, want.Commit, want.CommitMessage, want.CommitTime, want.BuildFile = source.Branch, source.Commit, source.Message, source.Time, source.BuildFile
		want.State, want.Error, want.Logged, want.PrivatePool = build.Failed, "step Run failed", true, true
		want.StartedAt, want.RunnableAt, want.FinishedAt = start.Add(time.Second), start.Add(2*time.Second), start.Add(4*time.Second)
		got, _, err := s.Record(t.Context(), job.ID, 1)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
		}
		steps, err := s.Steps(t.Context(), record.ID)
		if err != nil || len(steps) != 2 {
			t.Fatal(steps, err)
		}
		if diff := cmp.Diff(later, steps[0]); diff != "" {
			t.Errorf("step (-want +got):\n%s", diff)
		}
	})

	t.Run("stopping", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		record := startBuild(t, s, job.ID)
		if active, err := s.LatestActive(t.Context(), job.ID); err != nil || active.ID != record.ID {
			t.Errorf("active = %s, %v", active.ID, err)
		}
		later := start.Add(time.Second)
		if err := s.RequestStop(t.Context(), record.ID, dev, later); err != nil {
			t.Fatal(err)
		}
		want := record
		want.State, want.Error = build.Aborted, build.StoppedMessage
		want.FinishedAt, want.StopRequestedAt, want.StopRequestedBy = later, later, "u1"
		got, _, err := s.Record(t.Context(), job.ID, 1)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
		}
		wantKind(t, s.RequestStop(t.Context(), record.ID, dev, later), fault.Finished)
		if _, ok, err := s.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: "e1"}, Now: start, Until: start}); ok || err != nil {
			t.Errorf("a stopped build was leased: %v, %v", ok, err)
		}
		_, err = s.LatestActive(t.Context(), job.ID)
		wantKind(t, err, fault.NotFound)
	})
}
