package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/store"
)

// startOnce starts a build with a token. The draft adds to the job's counters.
func startOnce(t *testing.T, s *store.Store, job build.JobID, user, token, meaning string) (build.Record, string) {
	t.Helper()
	record, earlier, err := s.StartBuildOnce(t.Context(), job, "20220909", build.Once{UserID: user, Token: token, Meaning: meaning},
		func(j *build.Job, n int) (build.Record, error) {
			j.Counters = map[string]string{"seen": j.Counters["seen"] + "x"}
			return draftAt(start)(j, n)
		})
	if err != nil {
		t.Error(err)
	}
	return record, earlier
}

func testOnce(t *testing.T, open Opener) {
	t.Run("a token starts one build", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		first, earlier := startOnce(t, s, job.ID, "u1", "t1", "first")
		if earlier != "" || first.Number != 1 {
			t.Errorf("build %d, earlier %q", first.Number, earlier)
		}
		before, err := s.Job(t.Context(), job.ID)
		if err != nil {
			t.Fatal(err)
		}
		again, earlier := startOnce(t, s, job.ID, "u1", "t1", "second")
		if diff := cmp.Diff(first, again); diff != "" || earlier != "first" {
			t.Errorf("earlier %q, another record (-first +again):\n%s", earlier, diff)
		}
		after, err := s.Job(t.Context(), job.ID)
		if diff := cmp.Diff(before, after); err != nil || diff != "" {
			t.Errorf("error %v, the job changed (-before +after):\n%s", err, diff)
		}
		if next := startBuild(t, s, job.ID); next.Number != 2 || next.DailyNumber != "20220909.2" {
			t.Errorf("the next build is %d, %s", next.Number, next.DailyNumber)
		}
	})

	t.Run("another token, user or job starts another build", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job, other := createJob(t, s, aJob(1, "app")), createJob(t, s, aJob(2, "other"))
		var got []string
		for _, by := range []struct {
			job         build.JobID
			user, token string
		}{{job.ID, "u1", "t"}, {job.ID, "u1", "T"}, {job.ID, "u1", "t "}, {job.ID, "u2", "t"}, {other.ID, "u1", "t"}} {
			record, earlier := startOnce(t, s, by.job, by.user, by.token, "m")
			got = append(got, fmt.Sprint(record.JobID == other.ID, record.Number, earlier == ""))
		}
		want := []string{"false 1 true", "false 2 true", "false 3 true", "false 4 true", "true 1 true"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in the other job, number, new (-want +got):\n%s", diff)
		}
	})

	t.Run("a build that could not start takes no token", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		sorry, once := errors.New("sorry"), build.Once{UserID: "u1", Token: "t1", Meaning: "m"}
		refuse := func(*build.Job, int) (build.Record, error) { return build.Record{}, sorry }
		if _, _, err := s.StartBuildOnce(t.Context(), job.ID, "20220909", once, refuse); !errors.Is(err, sorry) {
			t.Errorf("error = %v", err)
		}
		if record, earlier := startOnce(t, s, job.ID, "u1", "t1", "m"); record.Number != 1 || earlier != "" {
			t.Errorf("build %d, earlier %q", record.Number, earlier)
		}
		if _, err := s.DeleteJobs(t.Context(), []build.JobID{job.ID}, dev, start); err != nil {
			t.Fatal(err)
		}
		_, _, err := s.StartBuildOnce(t.Context(), job.ID, "20220909", once, refuse)
		wantKind(t, err, fault.NotFound) // the token is of no use when the job is gone
	})

	t.Run("the execution id is that of the first answer", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		first, _ := startOnce(t, s, job.ID, "u1", "t1", "m")
		lease, ok, err := s.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: "e1"}, Now: start, Until: start})
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if err := s.Report(t.Context(), first.ID, lease.Fence, build.Progress{End: &build.End{State: build.Unschedulable, At: start}}); err != nil {
			t.Fatal(err)
		}
		again, _ := startOnce(t, s, job.ID, "u1", "t1", "m")
		if again.ExecutionID != first.ExecutionID || again.State != build.Unschedulable {
			t.Errorf("%s has the execution id %s, at first it was %s", again.State, again.ExecutionID, first.ExecutionID)
		}
	})

	t.Run("a token starts one build under concurrency", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		const clients = 16
		var mu sync.Mutex
		got, first := make(map[build.RecordID]int), 0
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				record, earlier := startOnce(t, s, job.ID, "u1", "t1", "m")
				mu.Lock()
				defer mu.Unlock()
				got[record.ID]++
				if earlier == "" {
					first++
				}
			})
		}
		all.Wait()
		if len(got) != 1 || first != 1 {
			t.Errorf("builds %v, of which %d are the first", got, first)
		}
		if j, err := s.Job(t.Context(), job.ID); err != nil || j.LastNumber != 1 || j.Counters["seen"] != "x" {
			t.Errorf("last number %d, counters %v, %v", j.LastNumber, j.Counters, err)
		}
	})
}
