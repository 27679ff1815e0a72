package notice

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"slices"
	"sync"
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

// atOnce is how many notices are sent at the same time.
const atOnce = 8

// People knows users.
type People interface {
	// Mailbox returns the e-mail address of a user; empty when it has none, or is gone.
	Mailbox(ctx context.Context, userID string) (string, error)
	// Check returns an error for clients when a user has no such right in a task.
	Check(ctx context.Context, actor build.Actor, ref build.JobRef, right build.Right) error
}

// Sender sends what is to be told, several notices at a time, but never two over the same channel of a task: an address that
// does not answer holds up nobody else.
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
	var sending sync.WaitGroup
	defer sending.Wait()
	var busy []Way
	over := make(chan Way, atOnce)
	for {
		for len(busy) < atOnce {
			n, ok := s.claim(ctx, busy)
			if !ok {
				break
			}
			busy = append(busy, n.Way())
			sending.Go(func() {
				s.deliver(ctx, n)
				over <- n.Way()
			})
		}
		select {
		case way := <-over:
			busy = slices.DeleteFunc(busy, func(w Way) bool { return w == way })
		case <-s.Wake:
		case <-time.After(s.pause(ctx, busy)):
		case <-forget.C:
			if err := s.Store.ForgetNotices(ctx, s.Now().Add(-keepTime)); err != nil && ctx.Err() == nil {
				s.Log.Error("forget old notices", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// pause is how long nothing is to be done, unless something happens.
func (s *Sender) pause(ctx context.Context, busy []Way) time.Duration {
	if len(busy) == atOnce {
		return pollTime
	}
	next, err := s.Store.NextNotice(ctx, busy)
	if err != nil || next.IsZero() {
		return pollTime
	}
	return min(pollTime, max(0, next.Sub(s.Now())))
}

// claim takes the notice that is due longest, of those whose way is not busy.
func (s *Sender) claim(ctx context.Context, busy []Way) (Notice, bool) {
	now := s.Now()
	n, ok, err := s.Store.ClaimNotice(ctx, now, now.Add(claimTime), busy)
	if err != nil && ctx.Err() == nil {
		s.Log.Error("look for notices", "error", err)
	}
	return n, ok && err == nil
}

// deliver sends a notice, and notes what became of it.
func (s *Sender) deliver(ctx context.Context, n Notice) {
	sending, cancel := context.WithTimeout(ctx, claimTime/2)
	defer cancel()
	err := s.send(sending, n)
	if ctx.Err() != nil && err != nil { // it was cut off; the next life need not wait for the end of the claim
		release, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer done()
		if err := s.Store.ReleaseNotice(release, n.ID, s.Now()); err != nil {
			s.Log.Error("release a notice", "notice", n.ID, "error", err)
		}
		return
	}
	ctx = context.WithoutCancel(ctx) // what has happened is noted
	if err == nil {
		err = s.Store.NoticeSent(ctx, n.ID)
	} else {
		err = s.failed(ctx, n, err)
	}
	if err != nil {
		s.Log.Error("note what became of a notice", "notice", n.ID, "error", err)
	}
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
	s.Log.Warn("a notice could not be sent", "notice", n.ID, "job", n.JobID, "event", n.Event, "channel", n.Channel, "try", n.Tries+1, "error", why, "cause", errors.Unwrap(why))
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
		to, err := s.audience(ctx, n)
		if err != nil {
			return err
		}
		m := UserMessage{ID: n.ID, JobID: n.JobID, Event: n.Event, Title: title, Text: text, At: n.At}
		return s.Store.AddMessage(ctx, m, to)
	case Mail:
		to, err := s.mailboxes(ctx, n, config)
		if err != nil || len(to) == 0 {
			return cmp.Or(err, fmt.Errorf("nobody whom it is for has an e-mail address"))
		}
		return s.mail(ctx, n, to, title, text)
	default:
		return s.robot(ctx, n.Channel, config, text)
	}
}

// mail writes to all at once. A mail server that does not know one of them takes the letter for none; then everybody gets one of their own.
func (s *Sender) mail(ctx context.Context, n Notice, to []string, title, text string) error {
	err := s.Mail.send(ctx, to, title, text)
	if len(to) == 1 || !unknownReceiver(err) {
		return err
	}
	var unknown []error
	for _, one := range to {
		err := s.Mail.send(ctx, []string{one}, title, text)
		if unknownReceiver(err) {
			unknown = append(unknown, err)
		} else if err != nil {
			return err
		}
	}
	if len(unknown) == len(to) {
		return errors.Join(unknown...)
	}
	s.Log.Warn("a mail server does not know some receivers of a notice", "notice", n.ID, "job", n.JobID, "error", errors.Join(unknown...))
	return nil
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

// audience are the users whom a notice is for: who made the task, who started the build or changed the task, and for whom the task is a favourite;
// of them, those who may view it now.
func (s *Sender) audience(ctx context.Context, n Notice) ([]string, error) {
	users, err := s.Store.Favouring(ctx, n.JobID)
	if err != nil {
		return nil, err
	}
	users = append(users, n.CreatorID, n.UserID)
	slices.Sort(users)
	var out []string
	for _, id := range slices.Compact(users) {
		err := s.People.Check(ctx, build.Actor{UserID: id}, build.JobRef{ID: n.JobID, ProjectID: n.ProjectID, CreatorID: n.CreatorID}, build.View)
		if _, public := fault.Public(err); err != nil && !public {
			return nil, err
		}
		if err == nil {
			out = append(out, id)
		}
	}
	return out, nil
}

// mailboxes are those that the settings name for the event; without any, those of the users whom a notice is for.
func (s *Sender) mailboxes(ctx context.Context, n Notice, config Config) ([]string, error) {
	if to := config.Receivers[n.Event]; len(to) > 0 {
		return to, nil
	}
	users, err := s.audience(ctx, n)
	if err != nil {
		return nil, err
	}
	var to []string
	for _, id := range users {
		address, err := s.People.Mailbox(ctx, id)
		if err != nil {
			return nil, err
		}
		if _, wrong := mail.ParseAddress(address); wrong == nil && !slices.Contains(to, address) {
			to = append(to, address)
		}
	}
	return to, nil
}
