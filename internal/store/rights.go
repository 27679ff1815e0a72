package store

import (
	"context"
	"database/sql"
	"errors"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/iam"
)

// JobRules implements [iam.Store]. A job that does not exist follows its project.
func (s *Store) JobRules(ctx context.Context, id build.JobID) (own bool, rules []iam.Rule, err error) {
	err = s.reader.row(ctx, `SELECT own_rights FROM jobs WHERE id = ?`, string(id)).Scan(&own)
	if errors.Is(err, sql.ErrNoRows) || err == nil && !own {
		return false, nil, nil
	}
	if err != nil {
		return false, nil, err
	}
	rows, err := s.reader.rows(ctx, `SELECT role, rights, created_at, updated_at FROM job_rights WHERE job_id = ?`, string(id))
	if err != nil {
		return false, nil, err
	}
	rules, err = collect(rows, func(row scanner) (r iam.Rule, err error) {
		var created, updated int64
		err = row.Scan(&r.Role, &r.Rights, &created, &updated)
		r.CreatedAt, r.UpdatedAt = moment(created), moment(updated)
		return r, err
	})
	return own, rules, err
}

// SetJobRules implements [iam.Store].
func (s *Store) SetJobRules(ctx context.Context, ids []build.JobID, own bool, rules []iam.Rule) error {
	return s.writeEpoch(ctx, func(t *tx) error {
		for _, id := range ids {
			n, err := t.exec(ctx, `UPDATE jobs SET own_rights = ? WHERE id = ? AND deleted_at = 0`, own, string(id))
			if err == nil && n == 0 {
				err = fault.New(fault.NotFound, "task %s does not exist", id)
			}
			if err != nil {
				return err
			}
			for _, r := range rules {
				_, err := t.exec(ctx, `INSERT INTO job_rights (job_id, role, rights, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
					ON CONFLICT (job_id, role) DO UPDATE SET rights = excluded.rights, updated_at = excluded.updated_at`,
					string(id), string(r.Role), int(r.Rights), millis(r.CreatedAt), millis(r.UpdatedAt))
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}
