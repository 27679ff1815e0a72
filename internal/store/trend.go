package store

import (
	"context"
	"time"

	"atelier/internal/build"
)

// maxNames is how many repositories, or branches of one, are listed.
const maxNames = 1000

// Repositories implements [build.Store]. It goes from one name to the next in the index, however many builds have it.
func (s *Store) Repositories(ctx context.Context, id build.JobID) (latest string, names []string, err error) {
	rows, err := s.reader.rows(ctx, `WITH RECURSIVE names (name) AS (
			SELECT MIN(repo_name) FROM records WHERE job_id = ? AND parent_id = '' AND repo_name > ''
			UNION ALL
			SELECT (SELECT MIN(repo_name) FROM records WHERE job_id = ? AND parent_id = '' AND repo_name > names.name) FROM names WHERE names.name IS NOT NULL
		) SELECT name FROM names WHERE name IS NOT NULL LIMIT ?`, string(id), string(id), maxNames)
	if err != nil {
		return "", nil, err
	}
	if names, err = collect(rows, scanID); err != nil || len(names) == 0 {
		return "", names, err
	}
	err = s.reader.row(ctx, `SELECT repo_name FROM records WHERE job_id = ? AND parent_id = '' ORDER BY number DESC LIMIT 1`, string(id)).Scan(&latest)
	return latest, names, err
}

// RepositoryBranches implements [build.Store].
func (s *Store) RepositoryBranches(ctx context.Context, id build.JobID, repository string) ([]string, error) {
	rows, err := s.reader.rows(ctx, `WITH RECURSIVE names (name) AS (
			SELECT MIN(branch) FROM records WHERE job_id = ? AND parent_id = '' AND repo_name = ? AND branch > ''
			UNION ALL
			SELECT (SELECT MIN(branch) FROM records WHERE job_id = ? AND parent_id = '' AND repo_name = ? AND branch > names.name) FROM names WHERE names.name IS NOT NULL
		) SELECT name FROM names WHERE name IS NOT NULL LIMIT ?`, string(id), repository, string(id), repository, maxNames)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanID)
}

// ended is the part of a query that selects the builds of a trend. They are found by the time of their creation, so that it does not matter how
// many came before.
func ended(q build.TrendQuery) (condition string, args []any) {
	condition = ` FROM records WHERE job_id = ? AND created_at >= ? AND parent_id = '' AND repo_name = ?
		AND state IN ('succeeded', 'failed', 'unschedulable', 'aborted', 'timed_out')`
	args = []any{string(q.JobID), millis(q.From), q.Repository}
	if q.Branch != "" {
		condition, args = condition+` AND branch = ?`, append(args, q.Branch)
	}
	return condition, args
}

// Outcomes implements [build.Store].
func (s *Store) Outcomes(ctx context.Context, q build.TrendQuery) ([]build.Outcome, error) {
	const quarter = 15 * time.Minute
	condition, args := ended(q)
	rows, err := s.reader.rows(ctx, `SELECT created_at / 900000, COUNT(*), SUM(CASE WHEN state = 'succeeded' THEN 1 ELSE 0 END)`+condition+` GROUP BY 1 ORDER BY 1`, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (o build.Outcome, err error) {
		var n int64
		err = row.Scan(&n, &o.Builds, &o.Succeeded)
		o.At = moment(n * quarter.Milliseconds())
		return o, err
	})
}

// BuildTimes implements [build.Store].
func (s *Store) BuildTimes(ctx context.Context, q build.TrendQuery) (build.BuildTimes, error) {
	condition, args := ended(q)
	condition += ` AND started_at > 0`
	var t build.BuildTimes
	var sum, least, most int64
	if err := s.reader.row(ctx, `SELECT COUNT(*), CAST(COALESCE(SUM(finished_at - started_at), 0) AS BIGINT), COALESCE(MIN(finished_at - started_at), 0),
		COALESCE(MAX(finished_at - started_at), 0)`+condition, args...).Scan(&t.Builds, &sum, &least, &most); err != nil {
		return t, err
	}
	t.Sum, t.Min, t.Max = time.Duration(sum)*time.Millisecond, time.Duration(least)*time.Millisecond, time.Duration(most)*time.Millisecond
	rows, err := s.reader.rows(ctx, `SELECT number, daily_number, state, finished_at - started_at`+condition+` ORDER BY created_at DESC, number DESC LIMIT ?`,
		append(args, build.MaxBuildTimes)...)
	if err != nil {
		return t, err
	}
	t.Newest, err = collect(rows, func(row scanner) (b build.BuildTime, err error) {
		var took int64
		err = row.Scan(&b.Number, &b.DailyNumber, &b.State, &took)
		b.Time = time.Duration(took) * time.Millisecond
		return b, err
	})
	return t, err
}
