package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/store"
)

var dev = build.Actor{UserID: "u1", UserName: "dev", DomainID: "d1"}

// aJob returns a job with something in every field.
func aJob(n int, name string) build.Job {
	yes, no := true, false
	return build.Job{
		ID:             build.JobID(fmt.Sprintf("%032d", n)),
		BuildProjectID: build.BuildProjectID(fmt.Sprintf("00000000-0000-0000-0000-%012d", n)),
		ProjectID:      "p1", DomainID: "d1", CreatorID: "u1", CreatorName: "dev", EditorID: "u1", EditorName: "dev", CreatedAt: start, UpdatedAt: start,
		Config: build.Config{
			Name: name, Arch: "x86-64", Flavor: "2u8g", HostType: "devcloud", GroupID: "g1", Kind: build.Action, EnvironmentType: "docker",
			AutoUpdateSubmodules: "false", BuildOnPush: &no,
			Parameters: []build.Parameter{{Definition: build.StringDefinition, Properties: []build.Property{
				{Name: "name", Value: "channel"},
				{Name: "defaultValue", Value: "beta", Choices: []build.Choice{{Name: "beta", DisplayName: "Beta", Disabled: "0"}}},
				{Name: "sealed", Value: "xxxx", Sealed: true},
			}}},
			Sources: []build.Source{{
				URL: "https://git.example.org/team/app.git", Kind: "codehub", Branch: "main", RefKind: build.ByBranch, Depth: "1", IsAutoBuild: &no, LFS: &yes,
				RepoID: "1", RepoName: "app", GroupName: "team", WebURL: "https://git.example.org/team/app", EndpointID: "e1", Origin: "o",
			}},
			Steps: []build.ActionStep{{
				ModuleID: "devcloud2018.codeci_action_20017.action", Name: "Run", Version: "1", Enable: &yes,
				Properties: map[string]any{"command": "make", "list": []any{"a", json.Number("20231001.60"), nil}},
			}},
			Triggers: []build.TriggerConfig{{Name: "hudson.triggers.TimerTrigger", Parameters: []build.NameValue{{Name: "spec", Value: "0 1 * * *"}}}},
			Timeout:  &build.Timeout{Limit: "4", Unit: "hour"},
		},
	}
}

func createJob(t *testing.T, s *store.Store, job build.Job) build.Job {
	t.Helper()
	if err := s.CreateJob(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	return job
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("error = %v of kind %v, want kind %v", err, fault.KindOf(err), kind)
	}
}

func testJobs(t *testing.T, open Opener) {
	t.Run("a job reads back as it was written", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		full := createJob(t, s, aJob(1, "full"))
		bare := build.Job{ID: "2", BuildProjectID: "b2", ProjectID: "p1", DomainID: "d1", CreatedAt: start, UpdatedAt: start, Config: build.Config{Name: "bare"}}
		createJob(t, s, bare)
		for _, want := range []build.Job{full, bare} {
			got, err := s.Job(t.Context(), want.ID)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
			}
			got, err = s.JobOfBuildProject(t.Context(), want.BuildProjectID)
			if err != nil || got.ID != want.ID {
				t.Errorf("job of build project %s = %s, %v", want.BuildProjectID, got.ID, err)
			}
		}
		if n, err := s.CountJobs(t.Context(), "d1"); err != nil || n != 2 {
			t.Errorf("count = %d, %v, want 2", n, err)
		}
	})

	t.Run("jobs with a timer are found as long as they may run", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		scheduled := func() string {
			jobs, err := s.ScheduledJobs(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, j := range jobs {
				names = append(names, j.Config.Name)
			}
			return strings.Join(names, " ")
		}
		timers := []build.TriggerConfig{{Name: "timer", Parameters: []build.NameValue{{Name: "spec", Value: "0 0 * * *"}}}}
		timed, plain := aJob(1, "timed"), aJob(2, "plain")
		timed.Config.Triggers, plain.Config.Triggers = timers, nil
		createJob(t, s, timed)
		createJob(t, s, plain)
		change := func(id build.JobID, change func(*build.Job)) {
			t.Helper()
			if _, err := s.ChangeJob(t.Context(), id, dev, start, func(j *build.Job) error { change(j); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		want := func(names string) {
			t.Helper()
			if got := scheduled(); got != names {
				t.Errorf("found %q, want %q", got, names)
			}
		}
		want("timed")
		change(timed.ID, func(j *build.Job) { j.Disabled = &build.Disabling{UserID: "u1", At: start} })
		change(plain.ID, func(j *build.Job) { j.Config.Triggers = timers })
		want("plain")
		change(timed.ID, func(j *build.Job) { j.Disabled = nil })
		want("timed plain")
		change(plain.ID, func(j *build.Job) { j.Config.Triggers = nil })
		if _, err := s.DeleteJobs(t.Context(), []build.JobID{timed.ID}, dev, start); err != nil {
			t.Fatal(err)
		}
		want("")
	})

	t.Run("what does not exist is not found", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		_, err := s.Job(t.Context(), "none")
		wantKind(t, err, fault.NotFound)
		_, err = s.JobOfBuildProject(t.Context(), "none")
		wantKind(t, err, fault.NotFound)
		_, err = s.JobConfig(t.Context(), "none", 0)
		wantKind(t, err, fault.NotFound)
		_, err = s.ChangeJob(t.Context(), "none", dev, start, func(*build.Job) error { return nil })
		wantKind(t, err, fault.NotFound)
		_, err = s.DeleteJobs(t.Context(), []build.JobID{"none"}, dev, start)
		wantKind(t, err, fault.NotFound)
	})

	t.Run("a name is taken once in a project, until its job is deleted", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		first := createJob(t, s, aJob(1, "app"))
		second := aJob(2, "app")
		wantKind(t, s.CreateJob(t.Context(), second), fault.Exists)
		for name, want := range map[string]bool{"app": true, "other": false} {
			if taken, err := s.NameTaken(t.Context(), "p1", name); err != nil || taken != want {
				t.Errorf("the name %s is taken: %v, %v", name, taken, err)
			}
		}
		second.Config.Name = "other"
		createJob(t, s, second)
		_, err := s.ChangeJob(t.Context(), second.ID, dev, start, func(j *build.Job) error { j.Config.Name = "app"; return nil })
		wantKind(t, err, fault.Exists)

		elsewhere := aJob(3, "app")
		elsewhere.ProjectID = "p2"
		createJob(t, s, elsewhere)

		if _, err := s.DeleteJobs(t.Context(), []build.JobID{first.ID}, dev, start); err != nil {
			t.Fatal(err)
		}
		_, err = s.Job(t.Context(), first.ID)
		wantKind(t, err, fault.NotFound)
		createJob(t, s, aJob(4, "app"))
	})

	t.Run("a change of the configuration makes a version, and old ones stay", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		later := start.Add(time.Minute)
		changed, err := s.ChangeJob(t.Context(), job.ID, dev, later, func(j *build.Job) error { j.Config.Flavor = "4u8g"; return nil })
		if err != nil || changed.Version != 1 || !changed.UpdatedAt.Equal(later) {
			t.Fatalf("version %d at %s, %v", changed.Version, changed.UpdatedAt, err)
		}
		// What is not configuration makes no version.
		disabled := &build.Disabling{UserID: "u2", UserName: "ops", At: later, Reason: "moved"}
		if changed, err = s.ChangeJob(t.Context(), job.ID, dev, later, func(j *build.Job) error { j.Disabled = disabled; return nil }); err != nil || changed.Version != 1 {
			t.Fatalf("version %d, %v", changed.Version, err)
		}
		got, err := s.Job(t.Context(), job.ID)
		if diff := cmp.Diff(changed, got); err != nil || diff != "" {
			t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
		}
		for version, flavor := range []string{"2u8g", "4u8g"} {
			config, err := s.JobConfig(t.Context(), job.ID, version)
			if err != nil || config.Flavor != flavor {
				t.Errorf("version %d has flavor %q, %v, want %q", version, config.Flavor, err, flavor)
			}
		}
	})

	t.Run("a change that fails changes nothing", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		sorry := errors.New("sorry")
		_, err := s.ChangeJob(t.Context(), job.ID, dev, start, func(j *build.Job) error { j.Config.Name = "x"; return sorry })
		if !errors.Is(err, sorry) {
			t.Errorf("error = %v", err)
		}
		got, err := s.Job(t.Context(), job.ID)
		if diff := cmp.Diff(job, got); err != nil || diff != "" {
			t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
		}
	})

	t.Run("deleting a job ends its builds", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		job := createJob(t, s, aJob(1, "app"))
		running := startBuild(t, s, job.ID)
		if _, ok, err := s.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: "e1"}, Now: start, Until: start.Add(time.Minute)}); err != nil || !ok {
			t.Fatal(ok, err)
		}
		startBuild(t, s, job.ID) // stays queued
		before, err := s.Epoch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ids, err := s.DeleteJobs(t.Context(), []build.JobID{job.ID}, dev, start.Add(time.Second))
		if diff := cmp.Diff([]build.RecordID{running.ID}, ids); err != nil || diff != "" {
			t.Errorf("error %v, running builds (-want +got):\n%s", err, diff)
		}
		if _, ok, err := s.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: "e1"}, Now: start, Until: start}); ok || err != nil {
			t.Errorf("a build of the deleted job is still queued: %v, %v", ok, err)
		}
		_, _, err = s.Record(t.Context(), job.ID, 1)
		wantKind(t, err, fault.NotFound)
		_, _, err = s.RecordByID(t.Context(), running.ID)
		wantKind(t, err, fault.NotFound)
		held, err := s.Renew(t.Context(), "e1", start.Add(time.Minute))
		if err != nil || len(held) != 1 || !held[0].StopRequested {
			t.Errorf("held = %+v, %v, want one that is asked to stop", held, err)
		}
		after, err := s.Epoch(t.Context())
		if err != nil || after <= before {
			t.Errorf("epoch went from %d to %d, %v: caches would go on showing the builds", before, after, err)
		}
	})

	t.Run("lists", func(t *testing.T) { t.Parallel(); testJobLists(t, open) })
}

func testJobLists(t *testing.T, open Opener) {
	s := open(t)
	var ids []build.JobID
	for i, name := range []string{"alpha", "Beta", "gamma_1", "delta"} {
		job := aJob(i+1, name)
		job.CreatedAt = start.Add(time.Duration(i) * time.Second)
		if name == "delta" {
			job.CreatorID, job.CreatorName, job.Config.GroupID = "u2", "Alphonse", "g2"
		}
		createJob(t, s, job)
		ids = append(ids, job.ID)
	}
	other := aJob(9, "elsewhere")
	other.ProjectID = "p2"
	createJob(t, s, other)

	// alpha: one success of two; Beta: waits; gamma_1: failed; delta: never built.
	finish(t, s, startBuildAt(t, s, ids[0], start.Add(time.Hour)), build.Failed)
	finish(t, s, startBuildAt(t, s, ids[0], start.Add(2*time.Hour)), build.Succeeded)
	finish(t, s, startBuildAt(t, s, ids[2], start.Add(3*time.Hour)), build.Failed)
	startBuildAt(t, s, ids[1], start.Add(4*time.Hour))

	tests := []struct {
		name  string
		query build.JobQuery
		want  []string
		total int
	}{
		{"newest activity first", build.JobQuery{Descending: true}, []string{"Beta", "gamma_1", "alpha", "delta"}, 4},
		{"by name", build.JobQuery{Sort: build.SortByName}, []string{"Beta", "alpha", "delta", "gamma_1"}, 4},
		{"by creation", build.JobQuery{Sort: build.SortByCreation, Descending: true}, []string{"delta", "gamma_1", "Beta", "alpha"}, 4},
		{"by health", build.JobQuery{Sort: build.SortByHealth, Descending: true, Limit: 1}, []string{"alpha"}, 4},
		{"by status", build.JobQuery{Sort: build.SortByBuildStatus}, []string{"delta", "gamma_1", "Beta", "alpha"}, 4},
		{"a page", build.JobQuery{Sort: build.SortByCreation, Offset: 1, Limit: 2}, []string{"Beta", "gamma_1"}, 4},
		{"past the end", build.JobQuery{Offset: 10}, nil, 4},
		{"part of a name, case ignored", build.JobQuery{Search: "bET"}, []string{"Beta"}, 1},
		{"part of a creator's name", build.JobQuery{Search: "alph", Sort: build.SortByName}, []string{"alpha", "delta"}, 2},
		{"an underscore is no wildcard", build.JobQuery{Search: "a_1"}, []string{"gamma_1"}, 1},
		{"a percent sign is no wildcard", build.JobQuery{Search: "%"}, nil, 0},
		{"creator", build.JobQuery{CreatorID: "u2"}, []string{"delta"}, 1},
		{"one", build.JobQuery{ID: ids[3]}, []string{"delta"}, 1},
		{"group", build.JobQuery{GroupIDs: []string{"g2", "g3"}}, []string{"delta"}, 1},
		{"never built", build.JobQuery{Status: build.StatusNone}, []string{"delta"}, 1},
		{"building", build.JobQuery{Status: build.StatusBuilding}, []string{"Beta"}, 1},
		{"succeeded", build.JobQuery{Status: build.StatusBlue}, []string{"alpha"}, 1},
		{"failed", build.JobQuery{Status: build.StatusRed}, []string{"gamma_1"}, 1},
		{"aborted", build.JobQuery{Status: build.StatusAborted}, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := tt.query
			q.Viewing.Everything = []build.ProjectID{"p1"}
			if q.Limit == 0 {
				q.Limit = 100
			}
			jobs, total, err := s.Jobs(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, j := range jobs {
				names = append(names, j.Config.Name)
			}
			if diff := cmp.Diff(tt.want, names); diff != "" || total != tt.total {
				t.Errorf("total %d, want %d; names (-want +got):\n%s", total, tt.total, diff)
			}
		})
	}

	jobs, _, err := s.Jobs(t.Context(), build.JobQuery{Viewing: build.Viewing{Everything: []build.ProjectID{"p1"}}, Search: "alpha", Limit: 1})
	if err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	if got := jobs[0]; got.HealthScore != 50 || got.Last == nil || got.Last.Number != 2 || got.Status() != build.StatusBlue {
		t.Errorf("health %d, last %+v, status %s", got.HealthScore, got.Last, got.Status())
	}
	if jobs, total, err := s.Jobs(t.Context(), build.JobQuery{Limit: 10}); err != nil || total != 0 || jobs != nil {
		t.Errorf("without a project: %v, %d, %v", jobs, total, err)
	}
}
