package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/store"
)

// claim takes the next build for an engine, and returns its id; empty when there is none for it.
func claim(t *testing.T, s *store.Store, offer build.Offer, limits build.Limits) (build.RecordID, build.Lease) {
	t.Helper()
	l, ok, err := s.Lease(t.Context(), build.Claim{Offer: offer, Limits: limits, Now: start, Until: start.Add(time.Minute)})
	if err != nil || ok != (l.Record.ID != "") {
		t.Fatal(l, ok, err)
	}
	return l.Record.ID, l.Lease
}

func testWaits(t *testing.T, open Opener) {
	x86 := build.Offer{Owner: "e1", Arch: "X86", Classes: []string{"2U8G", "4U8G"}, Slots: 2}
	arm := build.Offer{Owner: "e2", Arch: "ARM", Slots: 1}
	want := func(t *testing.T, got, want build.RecordID) {
		t.Helper()
		if got != want {
			t.Errorf("leased %q, want %q", got, want)
		}
	}

	t.Run("what an engine cannot run blocks nothing behind it", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		first, second, third := startBuildAt(t, s, job.ID, start), startBuildAt(t, s, job.ID, start.Add(1)), startBuildAt(t, s, job.ID, start.Add(time.Second))
		for _, needs := range []build.Needs{{Arch: "ARM"}, {Arch: "X86", Class: "8U16G"}} {
			_, lease := claim(t, s, x86, build.Limits{})
			if err := s.Requeue(t.Context(), lease, needs); err != nil {
				t.Fatal(err)
			}
		}
		got, lease := claim(t, s, x86, build.Limits{})
		want(t, got, third.ID)
		if err := s.Requeue(t.Context(), lease, build.Needs{Arch: "X86", Class: "4U8G"}); err != nil {
			t.Fatal(err)
		}
		got, _ = claim(t, s, x86, build.Limits{})
		want(t, got, third.ID)
		got, _ = claim(t, s, x86, build.Limits{})
		want(t, got, "")
		got, lease = claim(t, s, arm, build.Limits{})
		want(t, got, first.ID)
		got, _ = claim(t, s, arm, build.Limits{})
		want(t, got, "")
		if err := s.Requeue(t.Context(), lease, build.Needs{}); err != nil { // nothing is known of its needs any more
			t.Fatal(err)
		}
		got, _ = claim(t, s, x86, build.Limits{})
		want(t, got, first.ID)
		standing, err := s.Standing(t.Context(), second.ID, start)
		if err != nil || standing.Needs != (build.Needs{Arch: "X86", Class: "8U16G"}) {
			t.Error(standing, err)
		}
	})

	t.Run("limits keep builds back, each for its own", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		jobs := []build.Job{createJob(t, s, aJob(1, "app")), createJob(t, s, aJob(2, "lib"))}
		other := aJob(3, "elsewhere")
		other.DomainID = "another-domain"
		jobs = append(jobs, createJob(t, s, other))
		at := start
		add := func(job build.Job) build.RecordID {
			at = at.Add(time.Second)
			return startBuildAt(t, s, job.ID, at).ID
		}
		app1, app2, lib1, else1, else2 := add(jobs[0]), add(jobs[0]), add(jobs[1]), add(jobs[2]), add(jobs[2])
		limits := build.Limits{Task: 1, Tenant: 2}
		var leases []build.Lease
		for _, id := range []build.RecordID{app1, lib1, else1, ""} {
			got, lease := claim(t, s, x86, limits)
			want(t, got, id)
			leases = append(leases, lease)
		}
		if err := s.Report(t.Context(), lib1, leases[1].Fence, build.Progress{Begin: &build.Begin{At: at}, End: &build.End{State: build.Failed, At: at}}); err != nil {
			t.Fatal(err)
		}
		got, _ := claim(t, s, x86, limits)
		want(t, got, "") // the task of app2 has its one
		got, _ = claim(t, s, x86, build.Limits{Tenant: 2})
		want(t, got, app2)
		got, _ = claim(t, s, x86, build.Limits{Tenant: 1})
		want(t, got, "")
		got, _ = claim(t, s, x86, build.Limits{Task: 2})
		want(t, got, else2)
	})

	t.Run("limits hold under concurrency", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		for range 20 {
			startBuild(t, s, job.ID)
		}
		var mu sync.Mutex
		leased := 0
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for range 3 {
					_, ok, err := s.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: fmt.Sprint(i)}, Limits: build.Limits{Task: 5}, Now: start, Until: start.Add(time.Minute)})
					mu.Lock()
					if ok {
						leased++
					}
					mu.Unlock()
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if leased != 5 {
			t.Errorf("%d builds were leased, the limit is 5", leased)
		}
	})

	t.Run("where a build stands", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		app, lib := createJob(t, s, aJob(1, "app")), createJob(t, s, aJob(2, "lib"))
		other := aJob(3, "elsewhere")
		other.DomainID = "another-domain"
		running := []build.Record{startBuild(t, s, app.ID), startBuild(t, s, lib.ID), startBuild(t, s, createJob(t, s, other).ID)}
		var held build.Lease // of the first of them
		for range running {
			if _, lease := claim(t, s, x86, build.Limits{}); lease.Record.ID == running[0].ID {
				held = lease
			}
		}
		before := startBuildAt(t, s, lib.ID, start.Add(time.Second))
		record := startBuildAt(t, s, app.ID, start.Add(2*time.Second))
		startBuildAt(t, s, app.ID, start.Add(3*time.Second))
		for _, e := range []build.Offer{{Owner: "e1", Arch: "ARM", Slots: 9}, x86, {Owner: "gone", Arch: "X86", Slots: 3}} {
			until := start.Add(time.Minute)
			if e.Owner == "gone" {
				until = start
			}
			if err := s.Announce(t.Context(), e, until); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Standing(t.Context(), record.ID, start)
		if diff := cmp.Diff(build.Standing{Ahead: 1, TaskActive: 1, TenantActive: 2, Busy: map[string]int{x86.Owner: 3}, Engines: []build.Offer{x86}}, got); err != nil || diff != "" {
			t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
		}
		_, err = s.Standing(t.Context(), running[0].ID, start)
		wantKind(t, err, fault.NotFound)
		for fence, want := range map[int64]bool{held.Fence: true, held.Fence + 1: false} {
			err := s.Report(t.Context(), held.Record.ID, fence, build.Progress{Waits: build.WaitForAnswer})
			if errors.Is(err, build.ErrLeaseLost) == want {
				t.Errorf("report what a leased build waits for: %v", err)
			}
		}
		got, err = s.Standing(t.Context(), held.Record.ID, start)
		if diff := cmp.Diff(build.Standing{Held: true}, got); err != nil || diff != "" {
			t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
		}

		waiting, err := s.Waiting(t.Context(), record.QueuedAt, 10)
		if diff := cmp.Diff([]build.Waiting{{ID: before.ID}}, waiting); err != nil || diff != "" {
			t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
		}
		for i, wantNoted := range []bool{true, false} {
			if noted, err := s.NoteWait(t.Context(), before.ID, build.WaitForSlot); err != nil || noted != wantNoted {
				t.Errorf("note %d: %v, %v", i, noted, err)
			}
		}
		if noted, err := s.NoteWait(t.Context(), running[0].ID, build.WaitForSlot); err != nil || noted {
			t.Errorf("a note about a build that runs: %v, %v", noted, err)
		}
		waiting, err = s.Waiting(t.Context(), start.Add(time.Hour), 2)
		if diff := cmp.Diff([]build.Waiting{{ID: before.ID, For: build.WaitForSlot}, {ID: record.ID}}, waiting); err != nil || diff != "" {
			t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
		}
	})
}
