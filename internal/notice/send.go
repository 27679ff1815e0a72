package notice

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/mail"
	"slices"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// maxTries is how often a notice is tried.
const maxTries = 3

// Claims and memory.
const (
	claimTime = time.Minute         // in which a notice must be sent, or somebody else tries
	keepTime  = 30 * 24 * time.Hour // of notices that are done with
	pollTime  = 5 * time.Second     // for notices of other servers
)

// People knows how users are reached, and what they may see.
type People interface {
	// Mailbox returns the e-mail address of a user; empty when it has none, or is gone.
	Mailbox(ctx context.Context, userID string) (string, error)
	// Check returns nil when a user holds a right on a task, and a fault.NotFound or fault.Forbidden error when it does not.
	Check(ctx context.Context, actor build.Actor, ref build.JobRef, right build.Right) error
}

// Sender sends what is to be told, one after another.
type Sender struct {
	Store  Store
	Sealer build.Sealer
	People People
	Mail   *MailServer // nil when there is none
	Robots *Robots
	Zone   *time.Location
	Log    *slog.Logger
	Now    func() time.Time
	Wake   <-chan struct{} // says that a notice was stored
	Pauses []time.Duration // before the second and the third try; default 10 s and a minute
}

// Run sends until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	forget := time.NewTicker(time.Hour)
	defer forget.Stop()
	for {
		for s.one(ctx) {
		}
		wait := pollTime
		if next, err := s.Store.NextNotice(ctx); err == nil && !next.IsZero() {
			wait = min(wait, max(0, next.Sub(s.Now())))
		}
		select {
		case <-s.Wake:
		case <-time.After(wait):
		case <-forget.C:
			if err := s.Store.ForgetNotices(ctx, s.Now().Add(-keepTime)); err != nil && ctx.Err() == nil {
				s.Log.Error("forget old notices", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// one sends the notice that is due longest. It reports whether there was one.
func (s *Sender) one(ctx context.Context) bool {
	now := s.Now()
	n, ok, err := s.Store.ClaimNotice(ctx, now, now.Add(claimTime))
	if err != nil || !ok {
		if err != nil && ctx.Err() == nil {
			s.Log.Error("look for notices", "error", err)
		}
		return false
	}
	sending, cancel := context.WithTimeout(ctx, claimTime/2)
	defer cancel()
	err = s.send(sending, n)
	if ctx.Err() != nil && err != nil { // it was cut off; the next life need not wait for the end of the claim
		release, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer done()
		if err := s.Store.ReleaseNotice(release, n.ID, now); err != nil {
			s.Log.Error("release a notice", "notice", n.ID, "error", err)
		}
		return false
	}
	ctx = context.WithoutCancel(ctx) // what has happened is noted
	if err == nil {
		err = s.Store.NoticeSent(ctx, n.ID)
	} else {
		err = s.failed(ctx, n, err)
	}
	if err != nil {
		s.Log.Error("note what became of a notice", "notice", n.ID, "error", err)
		return false // and not at once again
	}
	return true
}

// failed notes that a notice could not be sent, and when to try again.
func (s *Sender) failed(ctx context.Context, n Notice, why error) error {
	pauses := s.Pauses
	if pauses == nil {
		pauses = []time.Duration{10 * time.Second, time.Minute}
	}
	var next time.Time
	if n.Tries+1 < maxTries {
		next = s.Now().Add(pauses[min(n.Tries, len(pauses)-1)])
	}
	s.Log.Warn("a notice could not be sent", "notice", n.ID, "job", n.JobID, "event", n.Event, "channel", n.Channel, "try", n.Tries+1, "error", why)
	return s.Store.NoticeFailed(ctx, n.ID, why.Error(), next)
}

func (s *Sender) send(ctx context.Context, n Notice) error {
	config, err := s.config(ctx, n)
	if err != nil {
		return err
	}
	title, text := n.Text(s.Zone)
	switch n.Channel {
	case Message:
		m := UserMessage{ID: n.ID, JobID: n.JobID, Event: n.Event, Title: title, Text: text, At: n.At}
		to, err := s.audience(ctx, n)
		if err != nil {
			return err
		}
		return s.Store.AddMessage(ctx, m, to)
	case Mail:
		to, err := s.mailboxes(ctx, n, config)
		if err != nil || len(to) == 0 {
			return cmp.Or(err, fmt.Errorf("nobody whom it is for has an e-mail address"))
		}
		return s.Mail.send(ctx, to, title, text)
	default:
		return s.robot(ctx, n.Channel, config, text)
	}
}

func (s *Sender) robot(ctx context.Context, channel Channel, config Config, text string) error {
	return s.Robots.send(ctx, channel, config, text, s.Now())
}

// config returns what is configured for a notice's channel.
func (s *Sender) config(ctx context.Context, n Notice) (Config, error) {
	settings, err := s.Store.NoticeSettings(ctx, n.JobID)
	at := slices.IndexFunc(settings, func(s Setting) bool { return s.Channel == n.Channel })
	if err != nil || at < 0 || settings[at].Config == "" {
		return Config{}, err
	}
	text, err := s.Sealer.Open(settings[at].Config)
	if err != nil {
		return Config{}, fmt.Errorf("open the settings: %w", err)
	}
	return parseConfig(n.Channel, text)
}

// mailboxes are those that the settings name for the event; without any, those of the audience.
func (s *Sender) mailboxes(ctx context.Context, n Notice, config Config) ([]string, error) {
	if to := config.Receivers[n.Event]; len(to) > 0 {
		return to, nil
	}
	people, err := s.audience(ctx, n)
	if err != nil {
		return nil, err
	}
	var to []string
	for _, id := range people {
		address, err := s.People.Mailbox(ctx, id)
		if err != nil {
			return nil, err
		}
		if _, wrong := mail.ParseAddress(address); wrong == nil {
			to = append(to, address)
		}
	}
	return to, nil
}

// audience are who made the task, who started the build or changed the task, and who has marked it as a favourite: those of them that may still
// see it.
func (s *Sender) audience(ctx context.Context, n Notice) (to []string, err error) {
	ref := build.JobRef{ID: n.JobID, ProjectID: n.ProjectID, CreatorID: n.CreatorID}
	for _, id := range append([]string{n.CreatorID, n.UserID}, n.Followers...) {
		if id == "" || slices.Contains(to, id) {
			continue
		}
		err := s.People.Check(ctx, build.Actor{UserID: id}, ref, build.View)
		switch fault.KindOf(err) {
		case fault.NotFound, fault.Forbidden:
		default:
			if err != nil {
				return nil, err
			}
			to = append(to, id)
		}
	}
	return to, nil
}
