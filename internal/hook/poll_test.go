package hook_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/hook"
)

// polls is a store with one task, which keeps when it may be looked at.
type polls struct {
	hook.PollStore
	next time.Time
}

func (*polls) PushedJobs(context.Context) ([]build.Job, error) {
	return []build.Job{{ID: "j1", Config: build.Config{Sources: []build.Source{{URL: "https://git.example.org/a.git"}}}}}, nil
}

func (p *polls) ClaimPoll(_ context.Context, _ build.JobID, now, next time.Time) (hook.Seen, bool, error) {
	if now.Before(p.next) {
		return hook.Seen{}, false, nil
	}
	p.next = next
	return hook.Seen{}, true, nil
}

func (*polls) SetPolled(context.Context, build.JobID, hook.Seen) error { return nil }

// host is one that answers with an error, or not.
type host struct {
	asked int
	err   error
}

func (h *host) Branches(context.Context, build.ProjectID, build.Source) (map[string]string, string, error) {
	h.asked++
	return nil, "", h.err
}

// TestPollingPauses: a repository that cannot be read is left alone for a while, and the log says why.
func TestPollingPauses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want int
		log  string
	}{
		{nil, 20, ""},
		{fault.New(fault.Unavailable, "the host is away"), 2, "the host is away"},
		{context.DeadlineExceeded, 2, "deadline exceeded"},
		{errors.New("no such program"), 2, "no such program"},
	} {
		var log strings.Builder
		now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		hooks := hook.New(hook.Service{Log: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now }})
		h := &host{err: tt.err}
		p := hook.Poller{Store: &polls{}, Hooks: hooks, Sources: h, Interval: time.Minute}
		for range 20 {
			p.Look(t.Context())
			now = now.Add(time.Minute)
		}
		if h.asked != tt.want || !strings.Contains(log.String(), tt.log) || tt.log == "" && log.Len() > 0 {
			t.Errorf("%v: asked %d times, want %d; the log is\n%s", tt.err, h.asked, tt.want, log.String())
		}
	}
}
