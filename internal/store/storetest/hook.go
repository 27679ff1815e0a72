package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/hook"
	"atelier/internal/iam"
)

func testHooks(t *testing.T, open Opener) {
	s := peopled(t, open)
	ctx := t.Context()
	check(t, s.CreateProject(ctx, iam.Project{ID: "p1", DomainID: "d1", Name: "one", CreatedAt: start}, ""))
	_, err := s.HookSecret(ctx, "p1")
	wantKind(t, err, fault.NotFound)
	for _, sealed := range []string{"first", "second"} {
		check(t, s.SetHookSecret(ctx, "p1", sealed))
	}
	if sealed, err := s.HookSecret(ctx, "p1"); err != nil || sealed != "second" {
		t.Errorf("secret %q, %v", sealed, err)
	}

	first := hook.Delivery{
		ID: "00000000-0000-0000-0000-000000000001", ProjectID: "p1", Provider: hook.GitHub, Event: "push", Key: "k1", ReceivedAt: start,
		Push: hook.Push{Ref: "refs/heads/main", After: "a", URLs: []string{"https://example.org/a"}},
	}
	second := first
	second.ID, second.Key, second.ReceivedAt, second.JobID = "00000000-0000-0000-0000-000000000002", "k2", start.Add(time.Minute), "j1"
	second.By = build.Actor{UserID: "u2", UserName: "colleague"}
	most := hook.Most{Waiting: 3, WaitingOfTenant: 3, Kept: 2}
	for range 2 {
		for _, d := range []hook.Delivery{first, second} {
			again := d
			again.ID = "x" + d.ID[1:]
			if id, err := s.AddDelivery(ctx, d, most); err != nil || id != d.ID {
				t.Errorf("added %s, %v", id, err)
			}
			if id, err := s.AddDelivery(ctx, again, most); err != nil || id != d.ID {
				t.Errorf("added %s again, %v", id, err)
			}
		}
	}
	for _, most := range []hook.Most{{Waiting: 2, WaitingOfTenant: 9, Kept: 9}, {Waiting: 9, WaitingOfTenant: 2, Kept: 9}} {
		third := first
		third.ID, third.Key = "00000000-0000-0000-0000-000000000003", "k3"
		_, err := s.AddDelivery(ctx, third, most)
		wantKind(t, err, fault.Limit)
	}
	now := start.Add(time.Hour)
	if waiting, err := s.WaitingDeliveries(ctx, now); err != nil || len(waiting) != 1 || waiting[0] != (hook.Waiting{Project: "p1", DomainID: "d1"}) {
		t.Errorf("waiting: %v, %v", waiting, err)
	}
	if waiting, err := s.WaitingDeliveries(ctx, start.Add(-time.Second)); err != nil || len(waiting) != 0 {
		t.Errorf("waiting before: %v, %v", waiting, err)
	}
	if _, ok, err := s.ClaimDelivery(ctx, "p2", now, now.Add(time.Minute)); err != nil || ok {
		t.Errorf("another project has one, %v", err)
	}
	got, ok, err := s.ClaimDelivery(ctx, "p1", now, now.Add(time.Minute))
	if diff := cmp.Diff(first, got); !ok || err != nil || diff != "" {
		t.Fatalf("claimed %t, %v (-want +got):\n%s", ok, err, diff)
	}
	got.HandledAt, got.Results = now, []hook.Result{{JobID: "j1", JobName: "demo", Number: 3}}
	check(t, s.DeliveryHandled(ctx, got))
	if d, ok, err := s.ClaimDelivery(ctx, "p1", now, now.Add(time.Minute)); err != nil || !ok || d.ID != second.ID || d.By != second.By {
		t.Errorf("claimed %+v, %t, %v", d, ok, err)
	}
	if _, ok, err := s.ClaimDelivery(ctx, "p1", now, now.Add(time.Minute)); err != nil || ok {
		t.Errorf("claimed a third, %v", err)
	}
	if d, ok, err := s.ClaimDelivery(ctx, "p1", now.Add(2*time.Minute), now.Add(time.Hour)); err != nil || !ok || d.ID != second.ID {
		t.Errorf("after its claim has ended: %+v, %t, %v", d, ok, err)
	}

	// A replay that comes while somebody handles the delivery is not lost.
	check(t, s.ReplayDelivery(ctx, "p1", first.ID, dev))
	check(t, s.DeliveryHandled(ctx, got))
	if d, ok, err := s.ClaimDelivery(ctx, "p1", now, now.Add(time.Minute)); err != nil || !ok || d.ID != first.ID || d.Replays != 1 || d.By.UserID != dev.UserID || d.By.UserName != dev.UserName {
		t.Errorf("played again: %+v, %t, %v", d, ok, err)
	}
	wantKind(t, s.ReplayDelivery(ctx, "p2", first.ID, dev), fault.NotFound)
	_, err = s.Delivery(ctx, "p2", first.ID)
	wantKind(t, err, fault.NotFound)
	page, total, err := s.Deliveries(ctx, "p1", 0, 1)
	if err != nil || total != 2 || len(page) != 1 || page[0].ID != second.ID {
		t.Errorf("the newest of %d: %+v, %v", total, page, err)
	}
	check(t, s.ForgetDeliveries(ctx, start.Add(time.Second)))
	if _, total, err := s.Deliveries(ctx, "p1", 0, 9); err != nil || total != 1 {
		t.Errorf("after the old ones are forgotten there are %d, %v", total, err)
	}
	last := first
	for i := range 3 { // of which two are kept, and none that waits goes
		last.ID, last.Key, last.ReceivedAt = fmt.Sprintf("00000000-0000-0000-0000-00000000009%d", i), fmt.Sprint("last", i), now.Add(time.Duration(i)*time.Minute)
		_, err := s.AddDelivery(ctx, last, hook.Most{Waiting: 9, WaitingOfTenant: 9, Kept: 2})
		check(t, err)
		last.HandledAt = now
		check(t, s.DeliveryHandled(ctx, last))
	}
	if found, total, err := s.Deliveries(ctx, "p1", 0, 9); err != nil || total != 3 || found[0].ID != last.ID {
		t.Errorf("of many %d are kept: %v, %v", total, found, err)
	}
	job := createJob(t, s, aJob(1, "demo"))
	repository := hook.RepositoryID(job.Config.Sources[0].URL)
	find := func(project build.ProjectID, want int, repositories ...string) {
		t.Helper()
		if jobs, err := s.JobsOfRepositories(ctx, project, repositories); err != nil || len(jobs) != want {
			t.Errorf("%d tasks of %s build %v, %v", len(jobs), project, repositories, err)
		}
	}
	find("p1", 1, "other", repository)
	find("p1", 0, "other")
	find("p9", 0, repository)
	if jobs, err := s.PushedJobs(ctx); err != nil || len(jobs) != 0 {
		t.Errorf("built when code changes: %v, %v", jobs, err)
	}
	_, err = s.ChangeJob(ctx, job.ID, dev, now, func(j *build.Job) error { j.Config.BuildOnPush = new(true); return nil })
	check(t, err)
	if jobs, err := s.PushedJobs(ctx); err != nil || len(jobs) != 1 {
		t.Errorf("built when code changes: %v, %v", jobs, err)
	}
	if seen, ok, err := s.ClaimPoll(ctx, job.ID, now, now.Add(time.Minute)); err != nil || !ok || seen.URL != "" {
		t.Errorf("the first look: %v, %t, %v", seen, ok, err)
	}
	check(t, s.SetPolled(ctx, job.ID, hook.Seen{URL: "u", Heads: map[string]string{"main": "abc"}}))
	if _, ok, err := s.ClaimPoll(ctx, job.ID, now, now.Add(time.Minute)); err != nil || ok {
		t.Errorf("two look at once, %v", err)
	}
	if seen, ok, err := s.ClaimPoll(ctx, job.ID, now.Add(time.Minute), now.Add(2*time.Minute)); err != nil || !ok || seen.URL != "u" || seen.Heads["main"] != "abc" {
		t.Errorf("the second look: %v, %t, %v", seen, ok, err)
	}
	_, err = s.ChangeJob(ctx, job.ID, dev, now, func(j *build.Job) error {
		j.Config.Sources = []build.Source{{URL: "https://git.example/Moved.git"}}
		return nil
	})
	check(t, err)
	find("p1", 0, repository)
	find("p1", 1, hook.RepositoryID("git@git.example:Moved"))
}
