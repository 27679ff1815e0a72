package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/hook"
)

var _ hook.Store = (*Store)(nil)

// SetHookSecret implements [hook.Store].
func (s *Store) SetHookSecret(ctx context.Context, project build.ProjectID, sealed string) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO hook_secrets (project_id, secret) VALUES (?, ?) ON CONFLICT (project_id) DO UPDATE SET secret = excluded.secret`, string(project), sealed)
		return err
	})
}

// HookSecret implements [hook.Store].
func (s *Store) HookSecret(ctx context.Context, project build.ProjectID) (sealed string, err error) {
	err = s.reader.row(ctx, `SELECT secret FROM hook_secrets WHERE project_id = ?`, string(project)).Scan(&sealed)
	return sealed, missing(err, "the project has no hooks")
}

const deliveryColumns = `id, project_id, job_id, provider, event, key, push, received_at, replays, handled_at, outcome, results, user_id, user_name`

func scanDelivery(row scanner) (d hook.Delivery, err error) {
	var push, results string
	var received, handled int64
	err = row.Scan(&d.ID, &d.ProjectID, &d.JobID, &d.Provider, &d.Event, &d.Key, &push, &received, &d.Replays, &handled, &d.Outcome, &results, &d.By.UserID, &d.By.UserName)
	if err != nil {
		return d, err
	}
	d.ReceivedAt, d.HandledAt = moment(received), moment(handled)
	return d, errors.Join(fromJSON(push, &d.Push), fromJSON(results, &d.Results))
}

// AddDelivery implements [hook.Store].
func (s *Store) AddDelivery(ctx context.Context, d hook.Delivery, most hook.Most) (id string, err error) {
	err = s.write(ctx, func(t *tx) error {
		if err := checkWaiting(ctx, t, d.ProjectID, most); err != nil {
			return err
		}
		_, err := t.exec(ctx, `INSERT INTO deliveries (`+deliveryColumns+`, next_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, '', '', ?, ?, ?) ON CONFLICT (project_id, key) DO NOTHING`,
			d.ID, string(d.ProjectID), string(d.JobID), string(d.Provider), d.Event, d.Key, asJSON(d.Push), millis(d.ReceivedAt), d.By.UserID, d.By.UserName, millis(d.ReceivedAt))
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, `DELETE FROM deliveries WHERE project_id = ? AND next_at = 0 AND received_at <
			(SELECT received_at FROM deliveries WHERE project_id = ? ORDER BY received_at DESC LIMIT 1 OFFSET ?)`, string(d.ProjectID), string(d.ProjectID), most.Kept-1); err != nil {
			return err
		}
		return t.row(ctx, `SELECT id FROM deliveries WHERE project_id = ? AND key = ?`, string(d.ProjectID), d.Key).Scan(&id)
	})
	return id, err
}

func checkWaiting(ctx context.Context, t *tx, project build.ProjectID, most hook.Most) error {
	var ofProject, ofTenant int
	if err := t.row(ctx, `SELECT count(CASE WHEN d.project_id = ? THEN 1 END), count(*) FROM deliveries d JOIN projects p ON p.id = d.project_id
		WHERE d.next_at > 0 AND p.domain_id = (SELECT domain_id FROM projects WHERE id = ?)`, string(project), string(project)).Scan(&ofProject, &ofTenant); err != nil {
		return err
	}
	if ofProject >= most.Waiting || ofTenant >= most.WaitingOfTenant {
		return fault.New(fault.Limit, "too many deliveries wait to be handled: %d of the project, %d of its tenant; at most %d and %d are allowed", ofProject, ofTenant, most.Waiting, most.WaitingOfTenant)
	}
	return nil
}

// Delivery implements [hook.Store].
func (s *Store) Delivery(ctx context.Context, project build.ProjectID, id string) (hook.Delivery, error) {
	d, err := scanDelivery(s.reader.row(ctx, `SELECT `+deliveryColumns+` FROM deliveries WHERE id = ? AND project_id = ?`, id, string(project)))
	return d, missing(err, "delivery %.40s does not exist", id)
}

// Deliveries implements [hook.Store].
func (s *Store) Deliveries(ctx context.Context, project build.ProjectID, offset, limit int) ([]hook.Delivery, int, error) {
	var total int
	if err := s.reader.row(ctx, `SELECT count(*) FROM deliveries WHERE project_id = ?`, string(project)).Scan(&total); err != nil {
		return nil, 0, err
	}
	rows, err := s.reader.rows(ctx, `SELECT `+deliveryColumns+` FROM deliveries WHERE project_id = ? ORDER BY received_at DESC, id DESC LIMIT ? OFFSET ?`, string(project), limit, offset)
	if err != nil {
		return nil, 0, err
	}
	found, err := collect(rows, scanDelivery)
	return found, total, err
}

// ReplayDelivery implements [hook.Store].
func (s *Store) ReplayDelivery(ctx context.Context, project build.ProjectID, id string, by build.Actor) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `UPDATE deliveries SET replays = replays + 1, next_at = 1, handled_at = 0, user_id = ?, user_name = ? WHERE id = ? AND project_id = ?`,
			by.UserID, by.UserName, id, string(project))
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "delivery %.40s does not exist", id)
		}
		return err
	})
}

// WaitingDeliveries implements [hook.Store].
func (s *Store) WaitingDeliveries(ctx context.Context, now time.Time) ([]hook.Waiting, error) {
	rows, err := s.reader.rows(ctx, `SELECT DISTINCT d.project_id, p.domain_id FROM deliveries d JOIN projects p ON p.id = d.project_id
		WHERE d.next_at > 0 AND d.next_at <= ? ORDER BY d.project_id`, millis(now))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (w hook.Waiting, err error) {
		err = row.Scan(&w.Project, &w.DomainID)
		return w, err
	})
}

// ClaimDelivery implements [hook.Store].
func (s *Store) ClaimDelivery(ctx context.Context, project build.ProjectID, now, until time.Time) (d hook.Delivery, ok bool, err error) {
	err = s.write(ctx, func(t *tx) error {
		var err error
		d, err = scanDelivery(t.row(ctx, `UPDATE deliveries SET next_at = ? WHERE id = (SELECT id FROM deliveries WHERE project_id = ? AND next_at > 0 AND next_at <= ? ORDER BY next_at LIMIT 1`+
			s.dialect.skipLocked()+`) RETURNING `+deliveryColumns, millis(until), string(project), millis(now)))
		ok = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		return err
	})
	return d, ok, err
}

// DeliveryHandled implements [hook.Store]. One that is to be played again meanwhile stays to be.
func (s *Store) DeliveryHandled(ctx context.Context, d hook.Delivery) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `UPDATE deliveries SET next_at = 0, handled_at = ?, outcome = ?, results = ? WHERE id = ? AND replays = ?`,
			millis(d.HandledAt), d.Outcome, asJSON(d.Results), d.ID, d.Replays)
		return err
	})
}

// ForgetDeliveries implements [hook.Store].
func (s *Store) ForgetDeliveries(ctx context.Context, before time.Time) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `DELETE FROM deliveries WHERE received_at < ?`, millis(before))
		return err
	})
}

// unknownRepository is stored of a job that nobody has looked at since repositories are stored.
const unknownRepository = "?"

func repositoryOf(c build.Config) string {
	source, _ := c.Source()
	return hook.RepositoryID(source.URL)
}

// JobsOfRepositories implements [hook.Store].
func (s *Store) JobsOfRepositories(ctx context.Context, project build.ProjectID, repositories []string) ([]build.Job, error) {
	if err := s.findRepositories(ctx, project); err != nil {
		return nil, err
	}
	args := []any{string(project)}
	for _, id := range repositories {
		args = append(args, id)
	}
	rows, err := s.reader.rows(ctx, `SELECT `+jobColumns+` FROM jobs WHERE project_id = ? AND deleted_at = 0 AND repository IN (`+
		strings.TrimSuffix(strings.Repeat("?, ", len(repositories)), ", ")+`) ORDER BY name`, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanJob)
}

// findRepositories stores which repositories the jobs of a project build, where that is not stored yet.
func (s *Store) findRepositories(ctx context.Context, project build.ProjectID) error {
	rows, err := s.reader.rows(ctx, `SELECT `+jobColumns+` FROM jobs WHERE project_id = ? AND deleted_at = 0 AND repository = ?`, string(project), unknownRepository)
	if err != nil {
		return err
	}
	jobs, err := collect(rows, scanJob)
	if err != nil || len(jobs) == 0 {
		return err
	}
	return s.write(ctx, func(t *tx) error {
		for _, job := range jobs {
			_, err := t.exec(ctx, `UPDATE jobs SET repository = ? WHERE id = ? AND repository = ?`, repositoryOf(job.Config), string(job.ID), unknownRepository)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// PushedJobs implements [hook.PollStore].
func (s *Store) PushedJobs(ctx context.Context) ([]build.Job, error) {
	rows, err := s.reader.rows(ctx, `SELECT `+jobColumns+` FROM jobs WHERE on_push AND deleted_at = 0 AND disabling = '' ORDER BY id`)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanJob)
}

// ClaimPoll implements [hook.PollStore].
func (s *Store) ClaimPoll(ctx context.Context, id build.JobID, now, next time.Time) (seen hook.Seen, ok bool, err error) {
	text := "{}"
	err = s.write(ctx, func(t *tx) error {
		err := t.row(ctx, `INSERT INTO polls (job_id, next_at) VALUES (?, ?)
			ON CONFLICT (job_id) DO UPDATE SET next_at = excluded.next_at WHERE polls.next_at <= ? RETURNING seen`, string(id), millis(next), millis(now)).Scan(&text)
		ok = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		return err
	})
	return seen, ok, errors.Join(err, fromJSON(text, &seen))
}

// SetPolled implements [hook.PollStore].
func (s *Store) SetPolled(ctx context.Context, id build.JobID, seen hook.Seen) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `UPDATE polls SET seen = ? WHERE job_id = ?`, asJSON(seen), string(id))
		return err
	})
}
