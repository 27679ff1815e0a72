package storetest

import (
	"testing"

	"atelier/internal/build"
	"atelier/internal/fault"
)

func testFavourites(t *testing.T, open Opener) {
	s := open(t)
	one := createJob(t, s, aJob(1, "one"))
	createJob(t, s, aJob(2, "two"))
	marked := func(user string) (out string) {
		jobs, _, err := s.Jobs(t.Context(), build.JobQuery{Viewing: build.Viewing{Everything: []build.ProjectID{"p1"}}, UserID: user, Sort: build.SortByName, Limit: 9})
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs {
			if j.Favourite {
				out += j.Config.Name
			}
		}
		return out
	}
	for _, step := range []struct {
		mark bool
		want string
	}{{true, "one"}, {true, "one"}, {false, ""}, {false, ""}, {true, "one"}} {
		if err := s.SetFavourite(t.Context(), "u1", one.ID, step.mark); err != nil {
			t.Fatal(err)
		}
		if mine, theirs := marked("u1"), marked("u2"); mine != step.want || theirs != "" {
			t.Errorf("u1 has marked %q and u2 %q, want %q and nothing", mine, theirs, step.want)
		}
	}
}

func testDeleteJobs(t *testing.T, open Opener) {
	s := open(t)
	one, two := createJob(t, s, aJob(1, "one")), createJob(t, s, aJob(2, "two"))
	_, err := s.DeleteJobs(t.Context(), []build.JobID{one.ID, "none"}, dev, start)
	wantKind(t, err, fault.NotFound)
	if _, err := s.Job(t.Context(), one.ID); err != nil {
		t.Errorf("one is gone although the other is missing: %v", err)
	}
	if _, err := s.DeleteJobs(t.Context(), []build.JobID{two.ID, one.ID, two.ID}, dev, start); err != nil {
		t.Fatal(err)
	}
	if n, err := s.CountJobs(t.Context(), "d1"); n != 0 || err != nil {
		t.Errorf("%d jobs are left, %v", n, err)
	}
}
