package storetest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/fault"
)

func testGroups(t *testing.T, open Opener) {
	s := open(t)
	group := func(id, parent, name string, ordinal int) build.Group {
		return build.Group{ID: id, ProjectID: "p1", DomainID: "d1", ParentID: parent, Name: name, Path: id, Ordinal: ordinal, CreatedBy: "dev", CreatedAt: start}
	}
	a, b, c := group("a", "", "A", 2), group("b", "", "B", 1), group("c", "a", "A", 3)
	set := func(after ...build.Group) error {
		return s.EditGroups(t.Context(), "p1", func([]build.Group) ([]build.Group, error) { return after, nil })
	}
	want := func(groups ...build.Group) {
		t.Helper()
		got, err := s.Groups(t.Context(), "p1")
		if diff := cmp.Diff(groups, got); err != nil || diff != "" {
			t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
		}
	}
	if err := set(a, b, c); err != nil {
		t.Fatal(err)
	}
	want(b, a, c)
	if elsewhere, err := s.Groups(t.Context(), "p2"); len(elsewhere) != 0 || err != nil {
		t.Errorf("another project has %v, %v", elsewhere, err)
	}
	twin := group("d", "", "B", 4)
	wantKind(t, set(a, b, c, twin), fault.Exists)
	sorry := errors.New("sorry")
	if err := s.EditGroups(t.Context(), "p1", func([]build.Group) ([]build.Group, error) { return nil, sorry }); !errors.Is(err, sorry) {
		t.Errorf("error = %v", err)
	}
	want(b, a, c)

	jobs := []build.JobID{createJob(t, s, aJob(1, "one")).ID, createJob(t, s, aJob(2, "two")).ID}
	if err := s.MoveJobs(t.Context(), "p1", "c", jobs); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.MoveJobs(t.Context(), "p1", "a", []build.JobID{jobs[0], "none"}), fault.NotFound)
	wantKind(t, s.MoveJobs(t.Context(), "p1", "none", jobs), fault.NotFound)
	wantKind(t, s.MoveJobs(t.Context(), "p2", "", jobs), fault.NotFound)
	groupOf := func() string {
		t.Helper()
		job, err := s.Job(t.Context(), jobs[0])
		if err != nil || job.Version != 0 {
			t.Fatalf("version %d, %v", job.Version, err)
		}
		return job.Config.GroupID
	}
	if got := groupOf(); got != "c" {
		t.Errorf("the job is in group %q", got)
	}
	ungrouped := func() int {
		t.Helper()
		_, n, err := s.Jobs(t.Context(), build.JobQuery{Viewing: build.Viewing{Everything: []build.ProjectID{"p1"}}, Ungrouped: true, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := ungrouped(); n != 0 {
		t.Errorf("%d jobs are in no group", n)
	}
	a.Name, a.UpdatedBy, a.UpdatedAt = "Z", "ops", start
	if err := set(a, b); err != nil {
		t.Fatal(err)
	}
	want(b, a)
	if got, n := groupOf(), ungrouped(); got != "" || n != 2 {
		t.Errorf("after its group was deleted the job is in group %q, and %d are in none", got, n)
	}
}
