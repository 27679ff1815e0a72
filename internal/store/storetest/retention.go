package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/store"
)

// old returns the numbers of the builds that may go.
func old(t *testing.T, s *store.Store, before time.Time, latest, n int) (numbers []int, ids []build.RecordID) {
	t.Helper()
	ids, err := s.OldBuilds(t.Context(), before, latest, n)
	check(t, err)
	for _, id := range ids {
		record, _, err := s.RecordByID(t.Context(), id)
		check(t, err)
		numbers = append(numbers, record.Number)
	}
	return numbers, ids
}

func testRetention(t *testing.T, open Opener) {
	t.Run("the oldest go first, and the latest never", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job, other := createJob(t, s, aJob(1, "app")), createJob(t, s, aJob(2, "other"))
		for i := range 5 {
			finish(t, s, startBuildAt(t, s, job.ID, start.Add(time.Duration(i)*time.Hour)), build.Succeeded)
		}
		finish(t, s, startBuildAt(t, s, other.ID, start), build.Failed)
		waiting := startBuildAt(t, s, job.ID, start)
		for _, tt := range []struct {
			before    time.Duration
			latest, n int
			want      []int
		}{
			{3 * time.Second, 1, 9, nil}, // the first ended then
			{3*time.Second + time.Millisecond, 2, 9, []int{1}},
			{24 * time.Hour, 2, 9, []int{1, 2, 3, 4}},
			{24 * time.Hour, 2, 3, []int{1, 2, 3}},
			{24 * time.Hour, 4, 9, []int{1, 2}},
			{24 * time.Hour, 1 << 40, 9, nil},
		} {
			if got, _ := old(t, s, start.Add(tt.before), tt.latest, tt.n); !slices.Equal(got, tt.want) {
				t.Errorf("after %s, with %d kept: %v may go, want %v", tt.before, tt.latest, got, tt.want)
			}
		}
		if _, _, err := s.RecordByID(t.Context(), waiting.ID); err != nil {
			t.Error(err)
		}
	})

	t.Run("a build goes with all that is known of it", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		first, _ := startOnce(t, s, job.ID, "u1", "t1", "m")
		finish(t, s, first, build.Succeeded)
		epoch, err := s.Epoch(t.Context())
		check(t, err)
		startBuildAt(t, s, job.ID, start)
		now := start.Add(time.Hour)
		_, ids := old(t, s, now, 1, 9)
		check(t, s.PurgeBuilds(t.Context(), ids, now))
		check(t, s.PurgeBuilds(t.Context(), ids, now)) // another server had the same thought
		_, _, err = s.Record(t.Context(), job.ID, 1)
		wantKind(t, err, fault.NotFound)
		if after, err := s.Epoch(t.Context()); err != nil || after <= epoch {
			t.Errorf("the epoch was %d and is %d, %v: caches still have the build", epoch, after, err)
		}
		if records, total, err := s.Records(t.Context(), build.RecordQuery{JobID: job.ID, Limit: 10}); err != nil || total != 1 || len(records) != 1 {
			t.Errorf("%d builds of %d are left, %v", len(records), total, err)
		}
		gone, err := s.PurgedRecords(t.Context(), now)
		if diff := cmp.Diff([]build.RecordID{first.ID}, gone); err != nil || diff != "" {
			t.Errorf("error %v, removed (-want +got):\n%s", err, diff)
		}
		if numbers, _ := old(t, s, now, 1, 9); len(numbers) != 0 {
			t.Errorf("there are still %v", numbers)
		}
		if next, earlier := startOnce(t, s, job.ID, "u1", "t1", "m"); next.Number != 3 || earlier != "" {
			t.Errorf("the next build is %d; a number is not given twice, and a token is known for as long as its build", next.Number)
		}
	})

	t.Run("a build that is not over stays", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		queued := startBuild(t, s, job.ID)
		startBuild(t, s, job.ID)
		now := start.Add(time.Hour)
		if numbers, _ := old(t, s, now, 1, 9); len(numbers) != 0 {
			t.Errorf("%v may go", numbers)
		}
		check(t, s.PurgeBuilds(t.Context(), []build.RecordID{queued.ID}, now))
		if _, _, err := s.Record(t.Context(), job.ID, 1); err != nil {
			t.Error(err)
		}
	})

	t.Run("a flow goes with the builds of its jobs", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "flow"))
		startBuild(t, s, job.ID)
		_, flow := claim(t, s, build.Offer{Owner: "e1"}, build.Limits{})
		part := build.NewFlowJob("A", nil, false)
		check(t, s.Report(t.Context(), flow.Record.ID, flow.Fence, build.Progress{Begin: &build.Begin{At: start}, Flow: []build.FlowJob{part}}))
		child := flow.Record.Child(part, build.SourceInfo{}, start)
		check(t, s.StartChild(t.Context(), flow, child))
		end := build.Progress{End: &build.End{State: build.Failed, At: start}}
		check(t, s.Report(t.Context(), flow.Record.ID, flow.Fence, end))
		startBuildAt(t, s, job.ID, start.Add(time.Hour))
		now := start.Add(2 * time.Hour)
		if numbers, _ := old(t, s, now, 1, 9); len(numbers) != 0 {
			t.Errorf("%v may go, though a job of it waits", numbers)
		}
		id, lease := claim(t, s, build.Offer{Owner: "e1"}, build.Limits{})
		if id != child.ID {
			t.Fatalf("build %s is next, want that of the flow's job", id)
		}
		end.Begin = &build.Begin{At: start}
		check(t, s.Report(t.Context(), id, lease.Fence, end))
		_, ids := old(t, s, now, 1, 9)
		check(t, s.PurgeBuilds(t.Context(), ids, now))
		for _, id := range []build.RecordID{flow.Record.ID, child.ID} {
			_, _, err := s.RecordByID(t.Context(), id)
			wantKind(t, err, fault.NotFound)
		}
		if _, total, err := s.Records(t.Context(), build.RecordQuery{JobID: job.ID, Limit: 10}); err != nil || total != 1 {
			t.Errorf("%d builds are left, %v; that of a flow's job does not count", total, err)
		}
		if gone, err := s.PurgedRecords(t.Context(), now); err != nil || len(gone) != 2 {
			t.Errorf("removed were %v, %v", gone, err)
		}
	})
}
