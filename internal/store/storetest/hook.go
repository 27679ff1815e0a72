package storetest

import (
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
	for range 2 {
		for _, d := range []hook.Delivery{first, second} {
			again := d
			again.ID = "x" + d.ID[1:]
			if id, err := s.AddDelivery(ctx, d); err != nil || id != d.ID {
				t.Errorf("added %s, %v", id, err)
			}
			if id, err := s.AddDelivery(ctx, again); err != nil || id != d.ID {
				t.Errorf("added %s again, %v", id, err)
			}
		}
	}
	now := start.Add(time.Hour)
	got, ok, err := s.ClaimDelivery(ctx, now, now.Add(time.Minute))
	if diff := cmp.Diff(first, got); !ok || err != nil || diff != "" {
		t.Fatalf("claimed %t, %v (-want +got):\n%s", ok, err, diff)
	}
	got.HandledAt, got.Results = now, []hook.Result{{JobID: "j1", JobName: "demo", Number: 3}}
	check(t, s.DeliveryHandled(ctx, got))
	if d, ok, err := s.ClaimDelivery(ctx, now, now.Add(time.Minute)); err != nil || !ok || d.ID != second.ID || d.By != second.By {
		t.Errorf("claimed %+v, %t, %v", d, ok, err)
	}
	if _, ok, err := s.ClaimDelivery(ctx, now, now.Add(time.Minute)); err != nil || ok {
		t.Errorf("claimed a third, %v", err)
	}
	if d, ok, err := s.ClaimDelivery(ctx, now.Add(2*time.Minute), now.Add(time.Hour)); err != nil || !ok || d.ID != second.ID {
		t.Errorf("after its claim has ended: %+v, %t, %v", d, ok, err)
	}

	// A replay that comes while somebody handles the delivery is not lost.
	check(t, s.ReplayDelivery(ctx, "p1", first.ID, dev))
	check(t, s.DeliveryHandled(ctx, got))
	if d, ok, err := s.ClaimDelivery(ctx, now, now.Add(time.Minute)); err != nil || !ok || d.ID != first.ID || d.Replays != 1 || d.By.UserID != dev.UserID || d.By.UserName != dev.UserName {
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
	job := createJob(t, s, aJob(1, "demo"))
	if jobs, err := s.JobsOfProject(ctx, "p1"); err != nil || len(jobs) != 1 || jobs[0].ID != job.ID {
		t.Errorf("the project has %v, %v", jobs, err)
	}
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
	if jobs, err := s.JobsOfProject(ctx, build.ProjectID("p9")); err != nil || len(jobs) != 0 {
		t.Errorf("another project has %v, %v", jobs, err)
	}
}
