package store

import (
	"context"

	"atelier/internal/build"
)

// Versions implements [build.Store].
func (s *Store) Versions(ctx context.Context, id build.JobID, offset, limit int) ([]build.Version, int, error) {
	var total int
	if err := s.reader.row(ctx, `SELECT count(*) FROM job_versions WHERE job_id = ?`, string(id)).Scan(&total); err != nil {
		return nil, 0, err
	}
	rows, err := s.reader.rows(ctx, `SELECT version, user_id, user_name, saved_at FROM job_versions WHERE job_id = ? ORDER BY version DESC LIMIT ? OFFSET ?`,
		string(id), limit, offset)
	if err != nil {
		return nil, 0, err
	}
	versions, err := collect(rows, func(row scanner) (v build.Version, err error) {
		var saved int64
		err = row.Scan(&v.Number, &v.UserID, &v.UserName, &saved)
		v.SavedAt = moment(saved)
		return v, err
	})
	return versions, total, err
}
