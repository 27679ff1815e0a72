package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/notice"
)

var _ notice.Store = (*Store)(nil)

// NoticeStored receives a value some time after notices were stored by this process.
func (s *Store) NoticeStored() <-chan struct{} { return s.noticed }

// tellOfBuild stores what is to be told of the end of a build, which is not a child of a flow.
func tellOfBuild(ctx context.Context, t *tx, id build.RecordID, e build.End) error {
	event := notice.Failed
	switch e.State {
	case build.Succeeded:
		event = notice.Succeeded
	case build.Aborted:
		return nil
	}
	n, err := t.exec(ctx, `INSERT INTO notices (id, job_id, record_id, event, channel, user_id, user_name, at, state, tries, next_at, error)
		SELECT r.id || '-' || s.channel, r.job_id, r.id, CAST(? AS TEXT), s.channel, r.user_id, r.user_name, r.finished_at, 'waiting', 0, r.finished_at, ''
		FROM records r JOIN job_notices s ON s.job_id = r.job_id WHERE r.id = ? AND r.parent_id = '' AND s.events LIKE '%|' || CAST(? AS TEXT) || '|%'
		ON CONFLICT DO NOTHING`, string(event), string(id), string(event))
	t.noticed = t.noticed || n > 0
	return err
}

// tellOfJob stores what is to be told of a change of a job. once tells two changes at one moment apart.
func tellOfJob(ctx context.Context, t *tx, id build.JobID, event notice.Event, by build.Actor, at time.Time, once string) error {
	n, err := t.exec(ctx, `INSERT INTO notices (id, job_id, record_id, event, channel, user_id, user_name, at, state, tries, next_at, error)
		SELECT CAST(? AS TEXT) || '-' || channel, job_id, '', CAST(? AS TEXT), channel, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT), 'waiting', 0, CAST(? AS BIGINT), ''
		FROM job_notices WHERE job_id = ? AND events LIKE '%|' || CAST(? AS TEXT) || '|%' ON CONFLICT DO NOTHING`,
		string(id)+"-"+string(event)+"-"+once, string(event), by.UserID, by.UserName, millis(at), millis(at), string(id), string(event))
	t.noticed = t.noticed || n > 0
	return err
}

// NoticeSettings implements [notice.Store].
func (s *Store) NoticeSettings(ctx context.Context, id build.JobID) ([]notice.Setting, error) {
	return s.noticeSettings(ctx, `SELECT channel, events, config, follows FROM job_notices WHERE job_id = ? ORDER BY channel`, string(id))
}

// ProjectNotices implements [notice.Store].
func (s *Store) ProjectNotices(ctx context.Context, id build.ProjectID) ([]notice.Setting, error) {
	return s.noticeSettings(ctx, `SELECT channel, events, config, FALSE FROM project_notices WHERE project_id = ? ORDER BY channel`, string(id))
}

func (s *Store) noticeSettings(ctx context.Context, query, id string) ([]notice.Setting, error) {
	rows, err := s.reader.rows(ctx, query, id)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (set notice.Setting, err error) {
		var events string
		err = row.Scan(&set.Channel, &events, &set.Config, &set.Follows)
		for event := range strings.SplitSeq(strings.Trim(events, "|"), "|") {
			if event != "" {
				set.Events = append(set.Events, notice.Event(event))
			}
		}
		return set, err
	})
}

// SetNotice implements [notice.Store].
func (s *Store) SetNotice(ctx context.Context, id build.JobID, c notice.Change) error {
	return s.write(ctx, func(t *tx) error {
		config, update := config(c)
		_, err := t.exec(ctx, `INSERT INTO notice_settings (job_id, channel, events, config, follows) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (job_id, channel) DO UPDATE SET events = excluded.events, follows = excluded.follows`+update, string(id), string(c.Channel), bars(c.Events), config, c.Follows)
		return err
	})
}

// SetProjectNotice implements [notice.Store].
func (s *Store) SetProjectNotice(ctx context.Context, id build.ProjectID, c notice.Change) error {
	return s.write(ctx, func(t *tx) error {
		config, update := config(c)
		_, err := t.exec(ctx, `INSERT INTO project_notices (project_id, channel, events, config) VALUES (?, ?, ?, ?)
			ON CONFLICT (project_id, channel) DO UPDATE SET events = excluded.events`+update, string(id), string(c.Channel), bars(c.Events), config)
		return err
	})
}

// bars writes events as the tables have them.
func bars(events []notice.Event) string {
	text := "|"
	for _, e := range events {
		text += string(e) + "|"
	}
	return text
}

// config is the configuration of a setting that is new, and the words that change that of one which is there.
func config(c notice.Change) (text, update string) {
	if c.Config == nil {
		return "", ""
	}
	return *c.Config, ", config = excluded.config"
}

// Favouring implements [notice.Store].
func (s *Store) Favouring(ctx context.Context, id build.JobID) ([]string, error) {
	rows, err := s.reader.rows(ctx, `SELECT user_id FROM favourites WHERE job_id = ? ORDER BY user_id`, string(id))
	if err != nil {
		return nil, err
	}
	return collect(rows, scanID)
}

// notOn is the condition of notices whose way is not one of some.
func notOn(busy []notice.Way) (condition string, args []any) {
	for _, w := range busy {
		condition += ` AND NOT (job_id = ? AND channel = ?)`
		args = append(args, string(w.JobID), string(w.Channel))
	}
	return condition, args
}

// ClaimNotice implements [notice.Store].
func (s *Store) ClaimNotice(ctx context.Context, now, until time.Time, busy []notice.Way) (n notice.Notice, ok bool, err error) {
	var record build.RecordID
	free, args := notOn(busy)
	err = s.write(ctx, func(t *tx) error {
		var at int64
		err := t.row(ctx, `UPDATE notices SET next_at = ? WHERE id = (SELECT id FROM notices WHERE state = 'waiting' AND next_at <= ?`+free+` ORDER BY next_at LIMIT 1`+
			s.dialect.skipLocked()+`) RETURNING id, job_id, record_id, event, channel, tries, at, user_id, user_name`, append([]any{millis(until), millis(now)}, args...)...).
			Scan(&n.ID, &n.JobID, &record, &n.Event, &n.Channel, &n.Tries, &at, &n.UserID, &n.UserName)
		if errors.Is(err, sql.ErrNoRows) {
			ok = false
			return nil
		}
		if err != nil {
			return err
		}
		ok, n.At = true, moment(at)
		return t.row(ctx, `SELECT name, project_id, creator_id FROM jobs WHERE id = ?`, string(n.JobID)).Scan(&n.JobName, &n.ProjectID, &n.CreatorID)
	})
	if err != nil || !ok || record == "" {
		return n, ok, err
	}
	// The build may be read also after its job was deleted.
	r, _, err := scanRecord(s.reader.row(ctx, `SELECT `+recordColumns+recordFrom+` WHERE records.id = ?`, string(record)))
	n.Record = &r
	return n, true, err
}

// ReleaseNotice implements [notice.Store].
func (s *Store) ReleaseNotice(ctx context.Context, id string, due time.Time) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `UPDATE notices SET next_at = ? WHERE id = ? AND state = 'waiting'`, millis(due), id)
		return err
	})
}

// NoticeSent implements [notice.Store].
func (s *Store) NoticeSent(ctx context.Context, id string) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `UPDATE notices SET state = 'sent', tries = tries + 1, error = '' WHERE id = ?`, id)
		return err
	})
}

// NoticeFailed implements [notice.Store].
func (s *Store) NoticeFailed(ctx context.Context, id, why string, next time.Time) error {
	state := "waiting"
	if next.IsZero() {
		state = "failed"
	}
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `UPDATE notices SET state = ?, tries = tries + 1, error = ?, next_at = ? WHERE id = ?`, state, why, millis(next), id)
		return err
	})
}

// NextNotice implements [notice.Store].
func (s *Store) NextNotice(ctx context.Context, busy []notice.Way) (time.Time, error) {
	var next int64
	free, args := notOn(busy)
	err := s.reader.row(ctx, `SELECT next_at FROM notices WHERE state = 'waiting'`+free+` ORDER BY next_at LIMIT 1`, args...).Scan(&next)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	return moment(next), err
}

// ForgetNotices implements [notice.Store].
func (s *Store) ForgetNotices(ctx context.Context, before time.Time) error {
	return s.write(ctx, func(t *tx) error {
		if _, err := t.exec(ctx, `DELETE FROM notices WHERE state <> 'waiting' AND at < ?`, millis(before)); err != nil {
			return err
		}
		_, err := t.exec(ctx, `DELETE FROM messages WHERE at < ?`, millis(before))
		return err
	})
}

// AddMessage implements [notice.Store].
func (s *Store) AddMessage(ctx context.Context, m notice.UserMessage, userIDs []string) error {
	return s.write(ctx, func(t *tx) error {
		for _, user := range userIDs {
			_, err := t.exec(ctx, `INSERT INTO messages (id, user_id, job_id, event, title, text, at, read_at) VALUES (?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING`,
				m.ID, user, string(m.JobID), string(m.Event), m.Title, m.Text, millis(m.At))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Messages implements [notice.Store].
func (s *Store) Messages(ctx context.Context, userID string, offset, limit int) (messages []notice.UserMessage, total, unread int, err error) {
	err = s.reader.row(ctx, `SELECT count(*), count(CASE WHEN read_at = 0 THEN 1 END) FROM messages WHERE user_id = ?`, userID).Scan(&total, &unread)
	if err != nil {
		return nil, 0, 0, err
	}
	rows, err := s.reader.rows(ctx, `SELECT id, job_id, event, title, text, at, read_at FROM messages WHERE user_id = ? ORDER BY at DESC, id LIMIT ? OFFSET ?`,
		userID, limit, offset)
	if err != nil {
		return nil, 0, 0, err
	}
	messages, err = collect(rows, func(row scanner) (m notice.UserMessage, err error) {
		var at, read int64
		err = row.Scan(&m.ID, &m.JobID, &m.Event, &m.Title, &m.Text, &at, &read)
		m.At, m.ReadAt = moment(at), moment(read)
		return m, err
	})
	return messages, total, unread, err
}

// ReadMessage implements [notice.Store].
func (s *Store) ReadMessage(ctx context.Context, userID, id string, at time.Time) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `UPDATE messages SET read_at = CASE WHEN read_at = 0 THEN ? ELSE read_at END WHERE user_id = ? AND id = ?`, millis(at), userID, id)
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "message %.80q does not exist", id)
		}
		return err
	})
}
