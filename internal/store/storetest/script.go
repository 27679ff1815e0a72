package storetest

import (
	"testing"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
)

func testScripts(t *testing.T, open Opener) {
	s := open(t)
	job := createJob(t, s, aJob(1, "demo"))
	if score, err := s.HealthScore(t.Context(), job.ID); err != nil || score != 0 {
		t.Errorf("health before the first build: %d, %v", score, err)
	}
	first := startBuildAt(t, s, job.ID, start.Add(time.Hour))
	if script, err := s.Script(t.Context(), first.ID); err != nil || script != "" {
		t.Errorf("before it begins: %q, %v", script, err)
	}
	lease, ok, err := s.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: "e1"}, Now: start, Until: start.Add(time.Hour)})
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	for range 2 { // it may be reported again
		check(t, s.Report(t.Context(), first.ID, lease.Fence, build.Progress{Begin: &build.Begin{At: start, Script: "version: 2.0\n"}}))
	}
	if script, err := s.Script(t.Context(), first.ID); err != nil || script != "version: 2.0\n" {
		t.Errorf("a build that began: %q, %v", script, err)
	}
	check(t, s.Report(t.Context(), first.ID, lease.Fence, build.Progress{End: &build.End{State: build.Succeeded, At: start.Add(time.Minute)}}))
	finish(t, s, startBuildAt(t, s, job.ID, start.Add(2*time.Hour)), build.Failed)
	startBuildAt(t, s, job.ID, start.Add(3*time.Hour)) // which is not over
	if score, err := s.HealthScore(t.Context(), job.ID); err != nil || score != 50 {
		t.Errorf("health %d, %v", score, err)
	}
	repo := first.Repo.Name
	last, err := s.LastSuccess(t.Context(), build.Viewing{Everything: []build.ProjectID{job.ProjectID}}, repo)
	if err != nil || last.ID != first.ID {
		t.Errorf("the last success of %q: %d, %v", repo, last.Number, err)
	}
	_, err = s.LastSuccess(t.Context(), build.Viewing{Everything: []build.ProjectID{job.ProjectID}}, "another")
	wantKind(t, err, fault.NotFound)
	sum, err := s.TenantSummary(t.Context(), "d1")
	wantEqual(t, "the tenant", sum, build.TenantSummary{Jobs: 1, Builds: 3, SuccessRatio: 50}, err)
	sum, err = s.TenantSummary(t.Context(), "d2")
	wantEqual(t, "another tenant", sum, build.TenantSummary{}, err)
	for _, tt := range []struct {
		from, to            time.Duration
		finished, succeeded int
	}{{0, 24 * time.Hour, 2, 1}, {time.Hour, 2 * time.Hour, 1, 1}, {90 * time.Minute, 24 * time.Hour, 1, 0}, {4 * time.Hour, 24 * time.Hour, 0, 0}} {
		finished, succeeded, err := s.CountResults(t.Context(), job.ID, start.Add(tt.from), start.Add(tt.to))
		if err != nil || finished != tt.finished || succeeded != tt.succeeded {
			t.Errorf("from %s to %s: %d of %d, %v", tt.from, tt.to, succeeded, finished, err)
		}
	}
}
