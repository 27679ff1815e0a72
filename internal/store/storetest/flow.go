package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/store"
)

func testFlows(t *testing.T, open Opener) {
	flowJobs := func() []build.FlowJob {
		return []build.FlowJob{{ID: "child-a", Name: "a"}, {ID: "child-b", Name: "b", DependsOn: []string{"a"}}, {ID: "child-c", Name: "c", Skipped: true}}
	}
	// begin takes a new build and makes a flow of it: b depends on a, and c is skipped.
	begin := func(t *testing.T) (*store.Store, build.Lease) {
		t.Helper()
		s := open(t)
		startBuild(t, s, createJob(t, s, aJob(1, "app")).ID)
		id, lease := claim(t, s, build.Offer{Owner: "e1"}, build.Limits{})
		jobs := flowJobs()
		if err := s.Report(t.Context(), id, lease.Fence, build.Progress{Begin: &build.Begin{At: start}, Flow: jobs}); err != nil {
			t.Fatal(err)
		}
		return s, lease
	}
	source := build.SourceInfo{Branch: "main", Commit: "c0ffee", Message: "first", Time: start}

	t.Run("children are kept as they stand", func(t *testing.T) {
		t.Parallel()
		s, lease := begin(t)
		flow, err := s.Flow(t.Context(), lease.Record.ID)
		want := flowJobs()
		if diff := cmp.Diff(want, flow); err != nil || diff != "" {
			t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
		}
		parent, _, err := s.RecordByID(t.Context(), lease.Record.ID)
		if err != nil || !parent.Flow {
			t.Errorf("the parent is a flow: %v, %v", parent.Flow, err)
		}
		child := parent.Child(flowJobs()[0], source, start.Add(time.Second))
		if err := s.StartChild(t.Context(), lease, child); err != nil {
			t.Fatal(err)
		}
		twin := parent.Child(flowJobs()[0], source, start.Add(time.Minute))
		if err := s.StartChild(t.Context(), lease, twin); err != nil { // again, by somebody who did not hear of the first
			t.Fatal(err)
		}
		want[0].Child = child
		flow, err = s.Flow(t.Context(), parent.ID)
		if diff := cmp.Diff(want, flow); err != nil || diff != "" {
			t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
		}
		if child.ParentID != parent.ID || child.Number != parent.Number || child.Commit != "c0ffee" || child.State != build.Queued || child.Flow || !child.StartedAt.IsZero() {
			t.Errorf("child = %+v", child)
		}
	})

	t.Run("a flow takes no part in limits, and its children do", func(t *testing.T) {
		t.Parallel()
		s, lease := begin(t)
		child := lease.Record.Child(flowJobs()[0], source, start.Add(time.Second))
		if err := s.StartChild(t.Context(), lease, child); err != nil {
			t.Fatal(err)
		}
		startBuildAt(t, s, lease.Record.JobID, start.Add(time.Minute))
		if got, _ := claim(t, s, build.Offer{Owner: "e1"}, build.Limits{Task: 1}); got != child.ID {
			t.Errorf("leased %q, want the child %q", got, child.ID)
		}
		if got, _ := claim(t, s, build.Offer{Owner: "e1"}, build.Limits{Task: 1}); got != "" {
			t.Errorf("leased %q beside the child", got)
		}
	})

	t.Run("children are in no list and are found by no number", func(t *testing.T) {
		t.Parallel()
		s, lease := begin(t)
		if err := s.StartChild(t.Context(), lease, lease.Record.Child(flowJobs()[0], source, start.Add(time.Second))); err != nil {
			t.Fatal(err)
		}
		records, total, err := s.Records(t.Context(), build.RecordQuery{JobID: lease.Record.JobID, Limit: 10})
		if err != nil || total != 1 || len(records) != 1 || records[0].ID != lease.Record.ID {
			t.Errorf("%d records of %d, %v", len(records), total, err)
		}
		record, _, err := s.Record(t.Context(), lease.Record.JobID, 1)
		if err != nil || record.ID != lease.Record.ID {
			t.Errorf("build 1 is %s, %v", record.ID, err)
		}
		if next := startBuild(t, s, lease.Record.JobID); next.Number != 2 {
			t.Errorf("the next build has the number %d", next.Number)
		}
	})

	t.Run("an old lease starts no child", func(t *testing.T) {
		t.Parallel()
		s, lease := begin(t)
		newer, err := s.Seize(t.Context(), lease, "e2", start.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		child := lease.Record.Child(flowJobs()[0], source, start)
		if err := s.StartChild(t.Context(), lease, child); !errors.Is(err, build.ErrLeaseLost) {
			t.Errorf("with the old lease: %v", err)
		}
		if err := s.StartChild(t.Context(), newer, child); err != nil {
			t.Error(err)
		}
		if err := s.Report(t.Context(), lease.Record.ID, newer.Fence, build.Progress{End: &build.End{State: build.Failed, At: start}}); err != nil {
			t.Fatal(err)
		}
		if err := s.StartChild(t.Context(), newer, lease.Record.Child(flowJobs()[1], source, start)); !errors.Is(err, build.ErrLeaseLost) {
			t.Errorf("when the flow is over: %v", err)
		}
	})
}
