package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/iam"
	"atelier/internal/notice"
)

func testNotices(t *testing.T, open Opener) {
	s := open(t)
	ctx := t.Context()
	job := createJob(t, s, aJob(1, "demo"))
	sealed := "sealed"
	check(t, s.SetNotice(ctx, job.ID, notice.Change{Channel: notice.Mail, Events: []notice.Event{notice.Failed, notice.Updated}, Config: &sealed}))
	check(t, s.SetNotice(ctx, job.ID, notice.Change{Channel: notice.Message, Events: []notice.Event{notice.Succeeded}}))
	check(t, s.SetNotice(ctx, job.ID, notice.Change{Channel: notice.Mail, Events: []notice.Event{notice.Failed, notice.Deleted}}))
	settings, err := s.NoticeSettings(ctx, job.ID)
	wantEqual(t, "settings", settings, []notice.Setting{
		{Channel: notice.Mail, Events: []notice.Event{notice.Failed, notice.Deleted}, Config: "sealed"},
		{Channel: notice.Message, Events: []notice.Event{notice.Succeeded}},
	}, err)
	if next, err := s.NextNotice(ctx, nil); err != nil || !next.IsZero() {
		t.Errorf("before anything has happened: %v, %v", next, err)
	}

	first := startBuildAt(t, s, job.ID, start)
	finish(t, s, first, build.Failed)
	finish(t, s, startBuildAt(t, s, job.ID, start.Add(time.Hour)), build.Succeeded)
	if _, err := s.ChangeJob(ctx, job.ID, dev, start, func(j *build.Job) error { j.Config.Name = "renamed"; return nil }); err != nil { // of which nothing is told
		t.Fatal(err)
	}
	if _, err := s.DeleteJobs(ctx, []build.JobID{job.ID}, dev, start.Add(48*time.Hour)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.NoticeStored():
	default:
		t.Error("nobody is told that there are notices")
	}

	for _, user := range []string{"u2", "u1"} {
		check(t, s.SetFavourite(ctx, user, job.ID, true))
	}
	if users, err := s.Favouring(ctx, job.ID); err != nil || !slices.Equal(users, []string{"u1", "u2"}) {
		t.Errorf("a favourite of %v, %v", users, err)
	}

	// They are claimed one after another, and nobody else gets them meanwhile. Those whose way is busy are left out.
	now := start.Add(72 * time.Hour)
	mail, message := notice.Way{JobID: job.ID, Channel: notice.Mail}, notice.Way{JobID: job.ID, Channel: notice.Message}
	if _, ok, err := s.ClaimNotice(ctx, now, now.Add(time.Minute), []notice.Way{message, mail}); err != nil || ok {
		t.Errorf("claimed on a busy way: %t, %v", ok, err)
	}
	for _, tt := range []struct {
		busy []notice.Way
		next time.Time
	}{{nil, start}, {[]notice.Way{mail}, start.Add(time.Hour)}, {[]notice.Way{mail, message}, time.Time{}}} {
		if next, err := s.NextNotice(ctx, tt.busy); err != nil || next.IsZero() != tt.next.IsZero() || next.Before(tt.next) {
			t.Errorf("beside %v the next is due at %v, %v, want %v", tt.busy, next, err, tt.next)
		}
	}
	var got []notice.Notice
	for {
		n, ok, err := s.ClaimNotice(ctx, now, now.Add(time.Minute), nil)
		check(t, err)
		if !ok {
			break
		}
		got = append(got, n)
	}
	if len(got) != 3 || got[0].Event != notice.Failed || got[0].Channel != notice.Mail || got[0].Record == nil || got[0].Record.ID != first.ID || got[0].Tries != 0 ||
		got[1].Event != notice.Succeeded || got[2].Event != notice.Deleted || got[2].Record != nil || got[2].UserName != "dev" || got[2].JobName != "renamed" || got[2].CreatorID != "u1" {
		t.Fatalf("claimed %+v", got)
	}
	check(t, s.NoticeSent(ctx, got[0].ID))
	check(t, s.NoticeFailed(ctx, got[1].ID, "no way", now.Add(time.Hour)))
	check(t, s.ReleaseNotice(ctx, got[2].ID, now))
	if n, ok, err := s.ClaimNotice(ctx, now, now.Add(2*time.Hour), nil); err != nil || !ok || n.ID != got[2].ID || n.Tries != 0 {
		t.Errorf("released: %+v, %t, %v", n, ok, err)
	}
	check(t, s.NoticeFailed(ctx, got[2].ID, "no way", time.Time{}))
	if next, err := s.NextNotice(ctx, nil); err != nil || !next.Equal(now.Add(time.Hour)) {
		t.Errorf("the next is due at %v, %v", next, err)
	}
	if n, ok, err := s.ClaimNotice(ctx, now.Add(time.Hour), now.Add(2*time.Hour), nil); err != nil || !ok || n.ID != got[1].ID || n.Tries != 1 {
		t.Errorf("tried again: %+v, %t, %v", n, ok, err)
	}
	check(t, s.ForgetNotices(ctx, now))

	m := notice.UserMessage{ID: "m1", JobID: job.ID, Event: notice.Failed, Title: "title", Text: "text", At: now}
	for range 2 {
		check(t, s.AddMessage(ctx, m, []string{"u1", "u2"}))
	}
	later := m
	later.ID, later.At = "m2", now.Add(time.Minute)
	check(t, s.AddMessage(ctx, later, []string{"u1"}))
	check(t, s.ReadMessage(ctx, "u1", "m1", now))
	check(t, s.ReadMessage(ctx, "u1", "m1", now.Add(time.Hour)))
	wantKind(t, s.ReadMessage(ctx, "u2", "m2", now), fault.NotFound)
	m.ReadAt = now
	messages, total, unread, err := s.Messages(ctx, "u1", 0, 10)
	if diff := cmp.Diff([]notice.UserMessage{later, m}, messages); err != nil || diff != "" || total != 2 || unread != 1 {
		t.Errorf("%d messages, %d unread, %v (-want +got):\n%s", total, unread, err, diff)
	}
	check(t, s.ForgetNotices(ctx, now.Add(time.Second)))
	if _, total, _, err := s.Messages(ctx, "u1", 0, 10); err != nil || total != 1 {
		t.Errorf("after the old ones are forgotten there are %d, %v", total, err)
	}
}

// testProjectNotices has a job follow its project over one channel, and not over another.
func testProjectNotices(t *testing.T, open Opener) {
	s := peopled(t, open)
	ctx := t.Context()
	check(t, s.CreateProject(ctx, iam.Project{ID: "p1", DomainID: "d1", Name: "one", CreatedAt: start}, ""))
	job := createJob(t, s, aJob(1, "demo"))
	sealed, other := "sealed", "other"
	own := notice.Change{Channel: notice.Feishu, Events: []notice.Event{notice.Succeeded}, Config: &other}
	check(t, s.SetNotice(ctx, job.ID, own))
	check(t, s.SetNotice(ctx, job.ID, notice.Change{Channel: notice.WeCom, Follows: true}))
	settings, err := s.NoticeSettings(ctx, job.ID)
	wantEqual(t, "settings of a job that follows nothing yet", settings, []notice.Setting{
		{Channel: notice.Feishu, Events: own.Events, Config: "other"}, {Channel: notice.WeCom, Follows: true},
	}, err)
	for _, events := range [][]notice.Event{{notice.Deleted}, {notice.Failed, notice.Deleted}} {
		check(t, s.SetProjectNotice(ctx, "p1", notice.Change{Channel: notice.WeCom, Events: events, Config: &sealed}))
	}
	check(t, s.SetProjectNotice(ctx, "p1", notice.Change{Channel: notice.Feishu, Events: notice.Events, Config: &sealed}))
	both := []notice.Event{notice.Failed, notice.Deleted}
	settings, err = s.NoticeSettings(ctx, job.ID)
	wantEqual(t, "settings of a job that follows", settings, []notice.Setting{
		{Channel: notice.Feishu, Events: own.Events, Config: "other"}, {Channel: notice.WeCom, Events: both, Config: "sealed", Follows: true},
	}, err)
	settings, err = s.ProjectNotices(ctx, "p1")
	wantEqual(t, "settings of the project", settings, []notice.Setting{
		{Channel: notice.Feishu, Events: notice.Events, Config: "sealed"}, {Channel: notice.WeCom, Events: both, Config: "sealed"},
	}, err)

	finish(t, s, startBuildAt(t, s, job.ID, start), build.Failed)
	if _, err := s.DeleteJobs(ctx, []build.JobID{job.ID}, dev, start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	now := start.Add(2 * time.Hour)
	for _, want := range both {
		n, ok, err := s.ClaimNotice(ctx, now, now.Add(time.Minute), nil)
		if err != nil || !ok || n.Event != want || n.Channel != notice.WeCom {
			t.Errorf("%s: claimed %+v, %t, %v", want, n, ok, err)
		}
	}
	if n, ok, err := s.ClaimNotice(ctx, now, now.Add(time.Minute), nil); err != nil || ok {
		t.Errorf("claimed also %+v, %v", n, err)
	}
}
