package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// inBin is the condition of a job that is in the recycle bin.
const inBin = `deleted_at > 0 AND NOT doomed`

func scanDeletedJob(row scanner) (build.DeletedJob, error) {
	var r jobRow
	var deleted int64
	if err := row.Scan(append(r.dest(), &deleted)...); err != nil {
		return build.DeletedJob{}, missing(err, "the task does not exist in the recycle bin")
	}
	job, err := r.value()
	return build.DeletedJob{Job: job, DeletedAt: moment(deleted)}, err
}

// DeletedJob implements [build.Store].
func (s *Store) DeletedJob(ctx context.Context, id build.JobID) (build.DeletedJob, error) {
	return scanDeletedJob(s.reader.row(ctx, `SELECT `+jobColumns+`, deleted_at FROM jobs WHERE id = ? AND `+inBin, string(id)))
}

// DeletedJobs implements [build.Store].
func (s *Store) DeletedJobs(ctx context.Context, q build.BinQuery) ([]build.DeletedJob, int, error) {
	seen, args := viewable(q.Viewing)
	from := ` FROM jobs WHERE ` + inBin + ` AND ` + strings.Join(seen, " AND ")
	if q.Search != "" {
		from, args = from+` AND lower(name) LIKE ? ESCAPE '\'`, append(args, containing(q.Search))
	}
	var total int
	if err := s.reader.row(ctx, `SELECT count(*)`+from, args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	rows, err := s.reader.rows(ctx, `SELECT `+jobColumns+`, deleted_at`+from+` ORDER BY deleted_at DESC, id LIMIT ? OFFSET ?`, append(args, q.Limit, q.Offset)...)
	if err != nil {
		return nil, 0, err
	}
	jobs, err := collect(rows, scanDeletedJob)
	return jobs, total, err
}

// RestoreJobs implements [build.Store].
func (s *Store) RestoreJobs(ctx context.Context, ids []build.JobID) error {
	return s.writeEpoch(ctx, func(t *tx) error {
		for _, id := range ids {
			var name string
			if err := t.row(ctx, `SELECT name FROM jobs WHERE id = ? AND `+inBin, string(id)).Scan(&name); err != nil {
				return missing(err, "task %s does not exist in the recycle bin", id)
			}
			n, err := t.exec(ctx, `UPDATE jobs SET deleted_at = 0, deleted_by = '' WHERE id = ? AND `+inBin, string(id))
			switch {
			case s.dialect.isDuplicate(err):
				return fault.New(fault.Exists, "task %s cannot be restored: another task of the project is called %q by now; rename that one first", id, name)
			case err != nil:
				return err
			case n == 0:
				return fault.New(fault.NotFound, "task %s does not exist in the recycle bin", id)
			}
		}
		return nil
	})
}

// DoomJobs implements [build.Store].
func (s *Store) DoomJobs(ctx context.Context, ids []build.JobID) error {
	return s.write(ctx, func(t *tx) error {
		for _, id := range ids {
			n, err := t.exec(ctx, `UPDATE jobs SET doomed = TRUE WHERE id = ? AND `+inBin, string(id))
			if err != nil {
				return err
			}
			if n == 0 {
				return fault.New(fault.NotFound, "task %s does not exist in the recycle bin", id)
			}
		}
		return nil
	})
}

// KeepDays implements [build.Store].
func (s *Store) KeepDays(ctx context.Context, domainID string) (days int, err error) {
	err = s.reader.row(ctx, `SELECT keep_days FROM recycle_bins WHERE domain_id = ?`, domainID).Scan(&days)
	if errors.Is(err, sql.ErrNoRows) {
		return build.DefaultKeepDays, nil
	}
	return days, err
}

// SetKeepDays implements [build.Store].
func (s *Store) SetKeepDays(ctx context.Context, domainID string, days int) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO recycle_bins (domain_id, keep_days) VALUES (?, ?)
			ON CONFLICT (domain_id) DO UPDATE SET keep_days = excluded.keep_days`, domainID, days)
		return err
	})
}
