package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/store"
)

func testQueue(t *testing.T, open Opener) {
	setup := func(t *testing.T, builds int) (*store.Store, build.Job, []build.Record) {
		t.Helper()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		var records []build.Record
		for i := range builds {
			records = append(records, startBuildAt(t, s, job.ID, start.Add(time.Duration(i)*time.Second)))
		}
		return s, job, records
	}
	lease := func(t *testing.T, s *store.Store, owner string) build.Lease {
		t.Helper()
		l, ok, err := s.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: owner}, Now: start.Add(time.Minute), Until: start.Add(2 * time.Minute)})
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		return l.Lease
	}

	t.Run("the oldest build first, and an empty queue is no error", func(t *testing.T) {
		t.Parallel()
		s, _, records := setup(t, 3)
		for _, want := range records {
			got := lease(t, s, "e1")
			if got.Record.ID != want.ID || got.Fence != 1 || got.Record.State != build.Scheduled || !got.Record.StartedAt.Equal(start.Add(time.Minute)) {
				t.Errorf("lease = %+v, want of %s", got, want.ID)
			}
		}
		if _, ok, err := s.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: "e1"}, Now: start, Until: start}); ok || err != nil {
			t.Errorf("empty queue: %v, %v", ok, err)
		}
	})

	t.Run("a build is taken with what its task was when it was started", func(t *testing.T) {
		t.Parallel()
		s, job, _ := setup(t, 1)
		_, err := s.ChangeJob(t.Context(), job.ID, dev, start, func(j *build.Job) error { j.Config.Flavor = "8u16g"; return nil })
		if err != nil {
			t.Fatal(err)
		}
		startBuildAt(t, s, job.ID, start.Add(time.Second))
		for i, flavor := range []string{job.Config.Flavor, "8u16g"} {
			taken, ok, err := s.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: "e1"}, Now: start.Add(time.Minute), Until: start.Add(2 * time.Minute)})
			if err != nil || !ok || taken.ConfigErr != nil {
				t.Fatal(ok, err, taken.ConfigErr)
			}
			if taken.Config.Flavor != flavor || taken.More != (i == 0) {
				t.Errorf("build %d has flavor %q, want %q; more: %v", i+1, taken.Config.Flavor, flavor, taken.More)
			}
		}
	})

	t.Run("only what was queued before a moment is overdue", func(t *testing.T) {
		t.Parallel()
		s, _, records := setup(t, 2) // a second apart
		overdue := func(before time.Time) (build.Lease, bool) {
			l, ok, err := s.LeaseOverdue(t.Context(), "e1", before, start.Add(time.Hour), start.Add(2*time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			return l, ok
		}
		if l, ok := overdue(records[0].QueuedAt); ok {
			t.Errorf("%s is overdue at the moment when it was queued", l.Record.ID)
		}
		if l, ok := overdue(records[1].QueuedAt); !ok || l.Record.ID != records[0].ID || l.Owner != "e1" {
			t.Errorf("overdue is %v, %s, not %s", ok, l.Record.ID, records[0].ID)
		}
		if l, ok := overdue(records[1].QueuedAt); ok {
			t.Errorf("%s is overdue", l.Record.ID)
		}
	})

	t.Run("no build is leased twice under concurrency", func(t *testing.T) {
		t.Parallel()
		s, _, records := setup(t, 40)
		var mu sync.Mutex
		seen := make(map[build.RecordID]string)
		var wg sync.WaitGroup
		for i := range 8 {
			owner := fmt.Sprintf("e%d", i)
			wg.Go(func() {
				for {
					l, ok, err := s.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: owner}, Now: start, Until: start.Add(time.Minute)})
					if err != nil {
						t.Error(err)
						return
					}
					if !ok {
						return
					}
					mu.Lock()
					if other, twice := seen[l.Record.ID]; twice {
						t.Errorf("build %s went to %s and to %s", l.Record.ID, other, owner)
					}
					seen[l.Record.ID] = owner
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if len(seen) != len(records) {
			t.Errorf("%d of %d builds were leased", len(seen), len(records))
		}
	})

	t.Run("renewing tells what is held and what is to stop", func(t *testing.T) {
		t.Parallel()
		s, _, records := setup(t, 3)
		first, second := lease(t, s, "e1"), lease(t, s, "e1")
		lease(t, s, "e2")
		if err := s.RequestStop(t.Context(), records[1].ID, dev, start); err != nil {
			t.Fatal(err)
		}
		if err := s.RequestStop(t.Context(), records[1].ID, build.Actor{UserID: "u2"}, start.Add(time.Hour)); err != nil {
			t.Errorf("a second request to stop: %v", err)
		}
		held, err := s.Renew(t.Context(), "e1", start.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		got := map[build.RecordID]build.Held{}
		for _, h := range held {
			got[h.ID] = h
		}
		want := map[build.RecordID]build.Held{
			records[0].ID: {ID: records[0].ID, Fence: first.Fence},
			records[1].ID: {ID: records[1].ID, Fence: second.Fence, StopRequested: true},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("held (-want +got):\n%s", diff)
		}
		record, _, err := s.RecordByID(t.Context(), records[1].ID)
		if err != nil || record.StopRequestedBy != "u1" || !record.StopRequestedAt.Equal(start) {
			t.Errorf("stop requested by %s at %s, %v: the first request counts", record.StopRequestedBy, record.StopRequestedAt, err)
		}
	})

	t.Run("lost leases are found", func(t *testing.T) {
		t.Parallel()
		s, _, records := setup(t, 2)
		lease(t, s, "e1")
		lease(t, s, "e2")
		find := func(owner string, now time.Time) (ids []build.RecordID) {
			t.Helper()
			lost, err := s.Lost(t.Context(), owner, now)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range lost {
				ids = append(ids, l.Record.ID)
			}
			return ids
		}
		if ids := find("", start.Add(90*time.Second)); ids != nil {
			t.Errorf("lost before the time: %v", ids)
		}
		if diff := cmp.Diff([]build.RecordID{records[0].ID}, find("e1", start)); diff != "" {
			t.Errorf("of the owner that begins (-want +got):\n%s", diff)
		}
		if ids := find("", start.Add(time.Hour)); len(ids) != 2 {
			t.Errorf("run out: %v", ids)
		}
	})

	t.Run("a lost build is seized once, and not when its owner is back", func(t *testing.T) {
		t.Parallel()
		s, _, records := setup(t, 2)
		lease(t, s, "e1")
		second := lease(t, s, "e1")
		late := start.Add(time.Hour)
		lost, err := s.Lost(t.Context(), "e2", late)
		if err != nil || len(lost) != 2 {
			t.Fatal(lost, err)
		}
		seized, err := s.Seize(t.Context(), lost[0], "e2", late.Add(time.Minute))
		if err != nil || seized.Fence != lost[0].Fence+1 || seized.Owner != "e2" || !seized.Until.Equal(late.Add(time.Minute)) {
			t.Errorf("seized %+v, %v", seized, err)
		}
		if _, err := s.Seize(t.Context(), lost[0], "e3", late); !errors.Is(err, build.ErrLeaseLost) {
			t.Errorf("seized again: %v", err)
		}
		held, err := s.Renew(t.Context(), "e1", late.Add(time.Minute))
		if diff := cmp.Diff([]build.Held{{ID: records[1].ID, Fence: second.Fence}}, held); err != nil || diff != "" {
			t.Errorf("the first owner holds (-want +got), %v:\n%s", err, diff)
		}
		if _, err := s.Seize(t.Context(), lost[1], "e2", late); !errors.Is(err, build.ErrLeaseLost) {
			t.Errorf("seized from an owner that is back: %v", err)
		}
		if own, err := s.Seize(t.Context(), lost[1], "e1", late); err != nil || own.Fence != second.Fence+1 {
			t.Errorf("the owner, which renews everything, cannot seize what it has forgotten: %+v, %v", own, err)
		}
		end := build.Progress{Begin: &build.Begin{At: late}, End: &build.End{State: build.Failed, At: late}}
		if err := s.Report(t.Context(), records[0].ID, lost[0].Fence, end); !errors.Is(err, build.ErrLeaseLost) {
			t.Errorf("a report of the first owner: %v", err)
		}
		if err := s.Report(t.Context(), records[0].ID, seized.Fence, end); err != nil {
			t.Errorf("a report of the new owner: %v", err)
		}
		if _, err := s.Seize(t.Context(), seized, "e3", late); !errors.Is(err, build.ErrLeaseLost) {
			t.Errorf("seized when it was over: %v", err)
		}
	})

	t.Run("what was reported may be reported again", func(t *testing.T) {
		t.Parallel()
		s, _, records := setup(t, 1)
		l := lease(t, s, "e1")
		for range 2 {
			if err := s.Report(t.Context(), records[0].ID, l.Fence, build.Progress{
				Source: &build.SourceInfo{Branch: "main"}, Begin: &build.Begin{At: start.Add(time.Hour)},
				Steps: []build.Step{{RecordID: records[0].ID, ID: "s1", State: build.StepRunning}},
			}); err != nil {
				t.Fatal(err)
			}
		}
		if steps, err := s.Steps(t.Context(), records[0].ID); err != nil || len(steps) != 1 {
			t.Errorf("steps = %v, %v", steps, err)
		}
	})

	t.Run("the end may be reported again, and only that one", func(t *testing.T) {
		t.Parallel()
		s, _, records := setup(t, 1)
		l := lease(t, s, "e1")
		end := build.Progress{Begin: &build.Begin{At: start}, End: &build.End{State: build.Succeeded, At: start.Add(time.Hour)}}
		for range 2 {
			if err := s.Report(t.Context(), records[0].ID, l.Fence, end); err != nil {
				t.Fatal(err)
			}
		}
		other := build.Progress{End: &build.End{State: build.Failed, At: start.Add(time.Hour)}}
		if err := s.Report(t.Context(), records[0].ID, l.Fence, other); !errors.Is(err, build.ErrLeaseLost) {
			t.Errorf("another end: %v", err)
		}
		if err := s.Report(t.Context(), records[0].ID, l.Fence+1, end); !errors.Is(err, build.ErrLeaseLost) {
			t.Errorf("the end of another lease: %v", err)
		}
	})

	t.Run("a renewal that comes late shortens no lease", func(t *testing.T) {
		t.Parallel()
		s, _, _ := setup(t, 1)
		l := lease(t, s, "e1")
		for _, by := range []time.Duration{time.Hour, time.Minute} {
			if held, err := s.Renew(t.Context(), "e1", l.Until.Add(by)); err != nil || len(held) != 1 {
				t.Fatal(held, err)
			}
		}
		if lost, err := s.Lost(t.Context(), "e2", l.Until.Add(time.Hour)); err != nil || len(lost) > 0 {
			t.Errorf("lost = %v, %v", lost, err)
		}
	})

	t.Run("a build goes back into the queue only before it runs", func(t *testing.T) {
		t.Parallel()
		s, _, records := setup(t, 1)
		first := lease(t, s, "e1")
		for range 2 { // the second time changes nothing
			if err := s.Requeue(t.Context(), first, build.Needs{}); err != nil {
				t.Fatal(err)
			}
		}
		second := lease(t, s, "e2")
		if second.Record.ID != records[0].ID || second.Fence != first.Fence+1 {
			t.Errorf("second lease = %+v", second)
		}
		if err := s.Report(t.Context(), records[0].ID, first.Fence, build.Progress{Begin: &build.Begin{At: start}}); !errors.Is(err, build.ErrLeaseLost) {
			t.Errorf("a report with an old fence: %v", err)
		}
		if err := s.Report(t.Context(), records[0].ID, second.Fence, build.Progress{Begin: &build.Begin{At: start}}); err != nil {
			t.Fatal(err)
		}
		if err := s.Requeue(t.Context(), second, build.Needs{}); !errors.Is(err, build.ErrLeaseLost) {
			t.Errorf("requeue of a running build: %v", err)
		}
	})

	t.Run("a final state never changes", func(t *testing.T) {
		t.Parallel()
		for _, state := range []build.State{build.Succeeded, build.Failed, build.Aborted, build.TimedOut} {
			s, job, records := setup(t, 1)
			l := lease(t, s, "e1")
			id := records[0].ID
			if err := s.Report(t.Context(), id, l.Fence, build.Progress{Begin: &build.Begin{At: start}, End: &build.End{State: state, At: start}}); err != nil {
				t.Fatal(err)
			}
			before, _, err := s.Record(t.Context(), job.ID, 1)
			if err != nil || before.State != state {
				t.Fatal(before.State, err)
			}
			for name, p := range map[string]build.Progress{
				"another end": {End: &build.End{State: build.Succeeded, At: start.Add(time.Hour)}},
				"a begin":     {Begin: &build.Begin{At: start}},
				"a step":      {Steps: []build.Step{{RecordID: id, ID: "s"}}},
				"a source":    {Source: &build.SourceInfo{Branch: "x"}},
			} {
				if err := s.Report(t.Context(), id, l.Fence, p); !errors.Is(err, build.ErrLeaseLost) {
					t.Errorf("%s after %s: %v", name, state, err)
				}
			}
			after, _, err := s.Record(t.Context(), job.ID, 1)
			if diff := cmp.Diff(before, after); err != nil || diff != "" {
				t.Errorf("error %v, difference (-before +after):\n%s", err, diff)
			}
			if steps, err := s.Steps(t.Context(), id); err != nil || len(steps) > 0 {
				t.Errorf("a step was stored after the end: %v, %v", steps, err)
			}
		}
	})

	t.Run("a build that cannot begin was never started", func(t *testing.T) {
		t.Parallel()
		s, job, records := setup(t, 1)
		l := lease(t, s, "e1")
		if err := s.Report(t.Context(), records[0].ID, l.Fence, build.Progress{End: &build.End{State: build.Unschedulable, Error: "no such tag", At: start.Add(time.Hour)}}); err != nil {
			t.Fatal(err)
		}
		got, _, err := s.Record(t.Context(), job.ID, 1)
		if err != nil || got.State != build.Unschedulable || got.ExecutionID != "-1" || !got.StartedAt.IsZero() || got.Error != "no such tag" {
			t.Errorf("record = %+v, %v", got, err)
		}
	})
}
