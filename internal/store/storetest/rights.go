package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/iam"
)

func testRights(t *testing.T, open Opener) {
	s := peopled(t, open)
	check(t, s.CreateProject(t.Context(), iam.Project{ID: "p1", DomainID: "d1", Name: "one", CreatedAt: start}, ""))
	check(t, s.GrantRole(t.Context(), "p1", worker.ID, iam.Tester))
	var ids []build.JobID
	for i, name := range []string{"follows", "own", "hidden", "mine", "elsewhere"} {
		job := aJob(i+1, name)
		if job.CreatorID = "somebody"; name == "mine" {
			job.CreatorID = worker.ID
		}
		if name == "elsewhere" {
			job.ProjectID = "p2"
		}
		ids = append(ids, createJob(t, s, job).ID)
	}
	looks, nothing := iam.RightsOf(build.View), iam.Rights(0)
	before, err := s.Epoch(t.Context())
	check(t, err)
	check(t, s.SetJobRules(t.Context(), ids[1:2], true, []iam.Rule{{Role: iam.Tester, Rights: looks, CreatedAt: start, UpdatedAt: start}}))
	check(t, s.SetJobRules(t.Context(), ids[2:4], true, []iam.Rule{{Role: iam.Viewer, Rights: looks}, {Role: iam.Tester, Rights: nothing}}))
	if after, err := s.Epoch(t.Context()); err != nil || after == before {
		t.Errorf("caches do not hear of it: %d, %d, %v", before, after, err)
	}

	// A second time changes the rule and keeps when it was made. One job that is not there changes nothing for the others.
	later := start.Add(time.Hour)
	check(t, s.SetJobRules(t.Context(), ids[1:2], true, []iam.Rule{{Role: iam.Tester, Rights: looks | iam.RightsOf(build.Execute), CreatedAt: later, UpdatedAt: later}}))
	err = s.SetJobRules(t.Context(), []build.JobID{ids[1], "none"}, true, []iam.Rule{{Role: iam.Tester, Rights: nothing}})
	wantKind(t, err, fault.NotFound)
	own, rules, err := s.JobRules(t.Context(), ids[1])
	if diff := cmp.Diff([]iam.Rule{{Role: iam.Tester, Rights: looks | iam.RightsOf(build.Execute), CreatedAt: start, UpdatedAt: later}}, rules); err != nil || !own || diff != "" {
		t.Errorf("own %t, %v, rules (-want +got):\n%s", own, err, diff)
	}
	check(t, s.SetJobRules(t.Context(), ids[1:2], false, nil))
	for _, id := range []build.JobID{ids[0], ids[1], "none"} {
		if own, rules, err := s.JobRules(t.Context(), id); err != nil || own || len(rules) > 0 {
			t.Errorf("job %s, which follows: %t, %v, %v", id, own, rules, err)
		}
	}
	check(t, s.SetJobRules(t.Context(), ids[1:2], true, nil)) // and its rule is there again

	p1, both := []build.ProjectID{"p1"}, []build.ProjectID{"p1", "p2"}
	for want, v := range map[string]build.Viewing{
		"elsewhere follows hidden mine own": {Everything: both},
		"elsewhere":                         {Everything: both[1:]},
		"follows mine own":                  {UserID: worker.ID, ByProject: p1},
		"elsewhere follows mine own":        {UserID: worker.ID, ByProject: p1, Everything: both[1:]},
		"mine own":                          {UserID: worker.ID, ByTask: p1},
		"elsewhere mine own":                {UserID: worker.ID, ByTask: p1, ByProject: both[1:]},
		"follows":                           {UserID: admin.ID, ByProject: p1}, // who has no role
		"":                                  {UserID: worker.ID},
	} {
		jobs, total, err := s.Jobs(t.Context(), build.JobQuery{Viewing: v, Sort: build.SortByName, Limit: 10})
		var names []string
		for _, j := range jobs {
			names = append(names, j.Config.Name)
		}
		if got := strings.Join(names, " "); err != nil || got != want || total != len(names) {
			t.Errorf("%s sees %q of %d, want %q: %v", fmt.Sprintf("%+v", v), got, total, want, err)
		}
	}
}
