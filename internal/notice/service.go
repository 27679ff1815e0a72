package notice

import (
	"context"
	"fmt"
	"slices"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// Store keeps settings, what is to be told, and messages. Every method is one transaction.
type Store interface {
	// NoticeSettings returns the settings that count for a job, of those channels that have one.
	NoticeSettings(ctx context.Context, id build.JobID) ([]Setting, error)
	// SetNotice stores the setting of one channel of a job, whose configuration is sealed.
	SetNotice(ctx context.Context, id build.JobID, c Change) error
	// ProjectNotices and SetProjectNotice do the same for the settings that a project's jobs may follow.
	ProjectNotices(ctx context.Context, id build.ProjectID) ([]Setting, error)
	SetProjectNotice(ctx context.Context, id build.ProjectID, c Change) error

	// Favouring returns the users for whom a job is a favourite.
	Favouring(ctx context.Context, id build.JobID) ([]string, error)

	// ClaimNotice takes the notice that is due longest, for as long as until says, if its way is not busy; false when none is due.
	ClaimNotice(ctx context.Context, now, until time.Time, busy []Way) (Notice, bool, error)
	// ReleaseNotice gives back a notice that was claimed and not tried; it is due at a moment.
	ReleaseNotice(ctx context.Context, id string, due time.Time) error
	// NoticeSent notes that a notice was sent.
	NoticeSent(ctx context.Context, id string) error
	// NoticeFailed notes that a notice could not be sent. It is tried again at a moment; never when that is zero.
	NoticeFailed(ctx context.Context, id, why string, next time.Time) error
	// NextNotice returns when the next notice is due whose way is not busy; the zero time when there is none.
	NextNotice(ctx context.Context, busy []Way) (time.Time, error)
	// ForgetNotices removes notices that were sent or given up before a moment, and messages of before it.
	ForgetNotices(ctx context.Context, before time.Time) error

	// AddMessage keeps a message for some users. One that is there already stays as it is.
	AddMessage(ctx context.Context, m UserMessage, userIDs []string) error
	// Messages returns a page of a user's messages, the newest first, how many there are, and how many of them were not read.
	Messages(ctx context.Context, userID string, offset, limit int) (messages []UserMessage, total, unread int, err error)
	// ReadMessage notes that a user has read a message. One that is not the user's is a fault.NotFound error.
	ReadMessage(ctx context.Context, userID, id string, at time.Time) error
}

// UserMessage is a system message.
type UserMessage struct {
	ID     string // of the notice
	JobID  build.JobID
	Event  Event
	Title  string
	Text   string
	At     time.Time
	ReadAt time.Time // zero when it was not read
}

// Tasks says whose tasks are whose.
type Tasks interface {
	Check(ctx context.Context, actor build.Actor, ref build.JobRef, right build.Right) error
	JobFor(ctx context.Context, actor build.Actor, id build.JobID, right build.Right) (build.Job, error)
}

// Service keeps the settings of all tasks and projects.
type Service struct {
	Store  Store
	Tasks  Tasks
	Sealer build.Sealer
	Sender *Sender
	Now    func() time.Time
}

// Settings returns the settings that count for a task that the actor may view, one for each channel. Their configuration has no secrets: where
// there is one, it is nothing but asterisks.
func (s *Service) Settings(ctx context.Context, actor build.Actor, id build.JobID) ([]Setting, error) {
	if _, err := s.Tasks.JobFor(ctx, actor, id, build.View); err != nil {
		return nil, err
	}
	stored, err := s.Store.NoticeSettings(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.readable(stored)
}

// ProjectSettings returns those that a project's tasks may follow. The actor must be allowed to view the project's tasks.
func (s *Service) ProjectSettings(ctx context.Context, actor build.Actor, id build.ProjectID) ([]Setting, error) {
	if err := s.Tasks.Check(ctx, actor, build.JobRef{ProjectID: id}, build.View); err != nil {
		return nil, err
	}
	stored, err := s.Store.ProjectNotices(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.readable(stored)
}

// readable returns a setting for each channel, without secrets.
func (s *Service) readable(stored []Setting) ([]Setting, error) {
	out := make([]Setting, len(Channels))
	for i, channel := range Channels {
		out[i].Channel = channel
		at := slices.IndexFunc(stored, func(s Setting) bool { return s.Channel == channel })
		if at < 0 {
			continue
		}
		out[i] = stored[at]
		if out[i].Config == "" {
			continue
		}
		out[i].Config = build.Mask
		if !channel.Robot() { // the others say nothing but who
			text, err := s.Sealer.Open(stored[at].Config)
			if err != nil {
				return nil, fmt.Errorf("open notice settings: %w", err)
			}
			out[i].Config = text
		}
	}
	return out, nil
}

// Set says which events of a task are told over a channel. The actor must be allowed to edit the task.
func (s *Service) Set(ctx context.Context, actor build.Actor, id build.JobID, c Change) error {
	if _, err := s.Tasks.JobFor(ctx, actor, id, build.Modify); err != nil {
		return err
	}
	stored, err := s.Store.NoticeSettings(ctx, id)
	if err != nil {
		return err
	}
	if c, err = s.checked(c, stored); err != nil {
		return err
	}
	return s.Store.SetNotice(ctx, id, c)
}

// SetProject says which events are told over a channel of the tasks that follow their project. The actor must be allowed to assign permissions
// in it.
func (s *Service) SetProject(ctx context.Context, actor build.Actor, id build.ProjectID, c Change) error {
	if err := s.Tasks.Check(ctx, actor, build.JobRef{ProjectID: id}, build.Manage); err != nil {
		return err
	}
	if c.Follows {
		return fault.Field("use_project_notice", "must not be true for a project")
	}
	stored, err := s.Store.ProjectNotices(ctx, id)
	if err != nil {
		return err
	}
	if c, err = s.checked(c, stored); err != nil {
		return err
	}
	return s.Store.SetProjectNotice(ctx, id, c)
}

// checked returns a change with its configuration sealed, if it may be made to what is stored.
func (s *Service) checked(c Change, stored []Setting) (Change, error) {
	for _, e := range c.Events {
		if !slices.Contains(Events, e) {
			return c, fault.Field("enabled_event_type_names", "must be some of %v, found %.40q", Events, e)
		}
	}
	if c.Config == nil {
		own := func(s Setting) bool { return s.Channel == c.Channel && s.Config != "" && !s.Follows }
		if c.Channel.Robot() && len(c.Events) > 0 && !c.Follows && !slices.ContainsFunc(stored, own) {
			return c, fault.Field("param_config", "is missing; it says where the robot is, such as {\"webhook\": \"https://…\"}")
		}
		return c, nil
	}
	if _, err := parseConfig(c.Channel, *c.Config); err != nil {
		return c, err
	}
	text, err := s.Sealer.Seal(*c.Config)
	if err != nil {
		return c, fmt.Errorf("seal notice settings: %w", err)
	}
	c.Config = &text
	return c, nil
}

// Test sends a message to a robot at once. The actor must be allowed to edit the task.
func (s *Service) Test(ctx context.Context, actor build.Actor, id build.JobID, channel Channel, webhook string) error {
	job, err := s.Tasks.JobFor(ctx, actor, id, build.Modify)
	if err != nil {
		return err
	}
	if !channel.Robot() {
		return fault.Field("notice_type", "must be WECOM, DING_TALK or FEISHU, found %s", channel)
	}
	if err := CheckAddress("webhook_url", webhook); err != nil {
		return err
	}
	text := fmt.Sprintf("Atelier can reach this address. %s tries the notices of build task %s.", actor.UserName, job.Config.Name)
	if err := s.Sender.robot(ctx, channel, Config{Webhook: webhook}, text); err != nil {
		return fault.Wrap(err, fault.Invalid, "webhook_url: the message did not arrive: %v", err)
	}
	return nil
}

// Messages returns a page of the actor's system messages, the newest first, how many there are, and how many of them were not read.
func (s *Service) Messages(ctx context.Context, actor build.Actor, offset, limit int) (messages []UserMessage, total, unread int, err error) {
	return s.Store.Messages(ctx, actor.UserID, offset, limit)
}

// Read notes that the actor has read a message.
func (s *Service) Read(ctx context.Context, actor build.Actor, id string) error {
	return s.Store.ReadMessage(ctx, actor.UserID, id, s.Now())
}
