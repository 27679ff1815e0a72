package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/store"
)

func testArtifacts(t *testing.T, open Opener) {
	upload := func(record build.Record, version, name string) build.Artifact {
		return build.Artifact{
			ID: build.NewArtifactID(), ProjectID: record.ProjectID, Version: version, Name: name, Path: "out/" + name, Size: 1 << 40,
			SHA256: fmt.Sprintf("%064x", len(name)), RecordID: record.ID, CreatedAt: start,
		}
	}
	publish := func(t *testing.T, s *store.Store, a build.Artifact) string {
		t.Helper()
		replaced, err := s.PublishArtifact(t.Context(), a, 1, build.ArtifactLimits{})
		if err != nil {
			t.Fatal(err)
		}
		return replaced
	}
	setup := func(t *testing.T) (*store.Store, build.Record, build.Record) {
		t.Helper()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		records := []build.Record{startBuild(t, s, job.ID), startBuild(t, s, job.ID)}
		for range records {
			lease, ok, err := s.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: "e1"}, Now: start, Until: start.Add(time.Minute)})
			if err != nil || !ok || lease.Fence != 1 {
				t.Fatal(lease, ok, err)
			}
			if err := s.Report(t.Context(), lease.Record.ID, 1, build.Progress{Begin: &build.Begin{At: start}}); err != nil {
				t.Fatal(err)
			}
		}
		return s, records[0], records[1]
	}
	check := func(t *testing.T, s *store.Store, want build.Artifact) {
		t.Helper()
		got, err := s.Artifact(t.Context(), want.ProjectID, want.Version, want.Name)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	of := func(t *testing.T, s *store.Store, record build.Record, want ...build.Artifact) {
		t.Helper()
		got, err := s.ArtifactsOf(t.Context(), record.ID)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}

	t.Run("what was published is found by its address and by its build", func(t *testing.T) {
		t.Parallel()
		s, first, second := setup(t)
		a, b := upload(first, "1.0", "app.jar"), upload(first, "app/1.0", "größe %_'.txt")
		if replaced := publish(t, s, a) + publish(t, s, b); replaced != "" {
			t.Errorf("replaced %q", replaced)
		}
		check(t, s, a)
		check(t, s, b)
		of(t, s, first, a, b)
		of(t, s, second)
		for _, address := range [][3]string{{"p2", "1.0", "app.jar"}, {"p1", "2.0", "app.jar"}, {"p1", "1.0", "APP.jar"}, {"p1", "1.0", ""}} {
			_, err := s.Artifact(t.Context(), build.ProjectID(address[0]), address[1], address[2])
			wantKind(t, err, fault.NotFound)
		}
	})

	t.Run("limits hold for all uploads together", func(t *testing.T) {
		t.Parallel()
		s, first, second := setup(t)
		limits := build.ArtifactLimits{File: 4 << 40, Build: 5 << 40, Project: 6 << 40}
		try := func(record build.Record, name string, size int64) error {
			a := upload(record, "1", name)
			a.Size = size << 40
			_, err := s.PublishArtifact(t.Context(), a, 1, limits)
			return err
		}
		for i, tt := range []struct {
			record build.Record
			name   string
			size   int64
			kept   bool
		}{
			{first, "a", 5, false}, // more than a file
			{first, "a", 4, true},
			{first, "b", 2, false},  // more than a build
			{second, "b", 3, false}, // more than the project
			{second, "b", 2, true},
			{second, "a", 3, true}, // in place of the other
			{second, "c", 1, false},
			{first, "c", 1, true},
		} {
			if err := try(tt.record, tt.name, tt.size); (err == nil) != tt.kept || err != nil && !fault.Is(err, fault.Limit) {
				t.Errorf("%d: %v", i, err)
			}
		}
		used, err := s.ArtifactUsage(t.Context(), upload(second, "1", "b"))
		if want := (build.ArtifactUsage{Project: 4 << 40, Build: 3 << 40}); err != nil || used != want {
			t.Errorf("used are %v, %v; want %v", used, err, want)
		}
	})

	t.Run("the newer one replaces the older one, whose build keeps its result", func(t *testing.T) {
		t.Parallel()
		s, first, second := setup(t)
		old, other, newer := upload(first, "latest", "app"), upload(first, "latest", "lib"), upload(second, "latest", "app")
		newer.CreatedAt = start.Add(time.Minute)
		publish(t, s, old)
		publish(t, s, other)
		if replaced := publish(t, s, newer); replaced != old.ID {
			t.Errorf("replaced %q, want %q", replaced, old.ID)
		}
		for _, again := range []build.Artifact{newer, old} { // as after an answer that was lost
			if replaced := publish(t, s, again); replaced != "" {
				t.Errorf("again: replaced %q", replaced)
			}
		}
		check(t, s, newer)
		of(t, s, first, old, other)
		of(t, s, second, newer)
		if gone, err := s.RemovedContents(t.Context(), time.Now().Add(-time.Minute)); err != nil || !slices.Equal(gone, []string{old.ID}) {
			t.Errorf("removed are %v, %v; want %s", gone, err, old.ID)
		}
		if err := s.ForgetRemovedContents(t.Context(), time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if gone, err := s.RemovedContents(t.Context(), time.Time{}); err != nil || len(gone) > 0 {
			t.Errorf("remembered are %v, %v", gone, err)
		}
		for id, want := range map[string]bool{old.ID: false, newer.ID: true, "unknown": false, "": false} {
			if needed, err := s.ContentNeeded(t.Context(), id); err != nil || needed != want {
				t.Errorf("%q is needed: %v, %v", id, needed, err)
			}
		}
		ids, err := s.ArtifactIDs(t.Context())
		slices.Sort(ids)
		if want := []string{other.ID, newer.ID}; err != nil || !slices.Equal(ids, want) {
			t.Errorf("in use are %v, want %v, %v", ids, want, err)
		}
	})

	t.Run("of a name that a build uploads twice, the last one is its result", func(t *testing.T) {
		t.Parallel()
		s, first, second := setup(t)
		one, between, two := upload(first, "1", "app"), upload(second, "1", "app"), upload(first, "1", "app")
		publish(t, s, one)
		if replaced := publish(t, s, between); replaced != one.ID {
			t.Errorf("replaced %q", replaced)
		}
		if replaced := publish(t, s, two); replaced != between.ID {
			t.Errorf("replaced %q", replaced)
		}
		check(t, s, two)
		of(t, s, first, two)
		of(t, s, second, between)
		three := upload(first, "1", "app")
		if replaced := publish(t, s, three); replaced != two.ID {
			t.Errorf("replaced %q", replaced)
		}
		of(t, s, first, three)
	})

	t.Run("nothing comes of a build that is another's or over", func(t *testing.T) {
		t.Parallel()
		s, first, _ := setup(t)
		refused := func(fence int64) {
			t.Helper()
			if _, err := s.PublishArtifact(t.Context(), upload(first, "1", "late"), fence, build.ArtifactLimits{}); !errors.Is(err, build.ErrLeaseLost) {
				t.Errorf("error = %v", err)
			}
		}
		refused(0)
		publish(t, s, upload(first, "1", "app"))
		if err := s.Report(t.Context(), first.ID, 1, build.Progress{End: &build.End{State: build.Succeeded, At: start}}); err != nil {
			t.Fatal(err)
		}
		refused(1)
		if got, err := s.ArtifactsOf(t.Context(), first.ID); len(got) != 1 || err != nil {
			t.Errorf("of the build are %v, %v", got, err)
		}
	})

	t.Run("under concurrency each is replaced once, and one stays", func(t *testing.T) {
		t.Parallel()
		s, first, _ := setup(t)
		const writers = 8
		var mu sync.Mutex
		seen := make(map[string]int) // 1 for each time that an upload was published or replaced
		var all sync.WaitGroup
		for range writers {
			all.Go(func() {
				for range 3 {
					a := upload(first, "latest", "app")
					replaced, err := s.PublishArtifact(t.Context(), a, 1, build.ArtifactLimits{})
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					seen[a.ID]++
					if replaced != "" {
						seen[replaced]++
					}
					mu.Unlock()
				}
			})
		}
		all.Wait()
		left, err := s.Artifact(t.Context(), first.ProjectID, "latest", "app")
		if err != nil {
			t.Fatal(err)
		}
		seen[left.ID]++
		for id, n := range seen {
			if n != 2 {
				t.Errorf("%s was counted %d times", id, n)
			}
		}
		of(t, s, first, left)
	})
}
