package store

import (
	"context"
	"time"

	"atelier/internal/build"
)

// ofRecord and ofJob name the rows that go with a build and with a job. A test holds them against the database's foreign keys.
var (
	ofRecord = map[string]string{
		"steps":        `DELETE FROM steps WHERE record_id = ?`,
		"flow_jobs":    `DELETE FROM flow_jobs WHERE parent_id = ?`,
		"start_tokens": `DELETE FROM start_tokens WHERE record_id = ?`,
		// What an address of the release repository stands for does not go: other builds may download it.
		"artifacts": `DELETE FROM artifacts WHERE record_id = ? AND replaced_at > 0`,
	}
	ofJob = map[string]string{
		"job_versions": `DELETE FROM job_versions WHERE job_id = ?`,
		"favourites":   `DELETE FROM favourites WHERE job_id = ?`,
		"job_rights":   `DELETE FROM job_rights WHERE job_id = ?`,
		// No key of the database says so of this one.
		"template_uses": `DELETE FROM template_uses WHERE job_id = ?`,
	}
)

// DoomExpired marks the deleted jobs that have been kept long enough.
func (s *Store) DoomExpired(ctx context.Context, now time.Time) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `UPDATE jobs SET doomed = TRUE WHERE `+inBin+`
			AND deleted_at + 86400000 * COALESCE((SELECT keep_days FROM recycle_bins b WHERE b.domain_id = jobs.domain_id), ?) <= ?`,
			build.DefaultKeepDays, millis(now))
		return err
	})
}

// DoomedJobs returns the jobs that are to be removed for good.
func (s *Store) DoomedJobs(ctx context.Context) ([]build.JobID, error) {
	rows, err := s.reader.rows(ctx, `SELECT id FROM jobs WHERE doomed ORDER BY id`)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (id build.JobID, err error) { return id, row.Scan(&id) })
}

// Purge removes at most n builds of a doomed job, and the job when none is left. It reports whether there is more that can be
// removed now: a build that an executor still holds has to end first, and what was to be told of the job be told or given up. Each call is a piece that is complete in itself, so a
// server that dies between two of them, or another one that does the same work, loses nothing.
func (s *Store) Purge(ctx context.Context, id build.JobID, now time.Time, n int) (more bool, err error) {
	err = s.write(ctx, func(t *tx) error {
		more = false
		// Whoever comes second waits here, and finds less to do.
		locked, err := t.exec(ctx, `UPDATE jobs SET doomed = TRUE WHERE id = ? AND doomed`, string(id))
		if err != nil || locked == 0 {
			return err
		}
		var held int
		if err := t.row(ctx, `SELECT (SELECT count(*) FROM records WHERE job_id = ? AND state IN ('scheduled', 'running'))
			+ (SELECT count(*) FROM notices WHERE job_id = ? AND state = 'waiting')`, string(id), string(id)).Scan(&held); err != nil || held > 0 {
			return err
		}
		rows, err := t.rows(ctx, `SELECT id FROM records WHERE job_id = ? ORDER BY created_at LIMIT ?`, string(id), n)
		if err != nil {
			return err
		}
		records, err := collect(rows, scanID)
		if err != nil {
			return err
		}
		for _, record := range records {
			if err := purgeRecord(ctx, t, record, now); err != nil {
				return err
			}
		}
		if len(records) > 0 {
			more = true
			return nil
		}
		for _, query := range ofJob {
			if _, err := t.exec(ctx, query, string(id)); err != nil {
				return err
			}
		}
		_, err = t.exec(ctx, `DELETE FROM jobs WHERE id = ?`, string(id))
		return err
	})
	return more, err
}

func purgeRecord(ctx context.Context, t *tx, id string, now time.Time) error {
	if _, err := t.exec(ctx, `INSERT INTO removed_contents (id, removed_at) SELECT archive_id, CAST(? AS BIGINT) FROM reports
		WHERE record_id = ? AND archive_id <> '' ON CONFLICT DO NOTHING`, millis(now), id); err != nil {
		return err
	}
	for _, query := range ofRecord {
		if _, err := t.exec(ctx, query, id); err != nil {
			return err
		}
	}
	if _, err := t.exec(ctx, `INSERT INTO purged_records (id, purged_at) VALUES (?, ?)`, id, millis(now)); err != nil {
		return err
	}
	if _, err := t.exec(ctx, `UPDATE jobs SET builds = builds - 1 WHERE id = (SELECT job_id FROM records WHERE id = ? AND parent_id = '')`, id); err != nil {
		return err
	}
	_, err := t.exec(ctx, `DELETE FROM records WHERE id = ?`, id)
	return err
}

// OldBuilds returns at most n builds that ended before a moment and are not among the latest of their job, with those of the jobs of flows. The
// oldest come first.
func (s *Store) OldBuilds(ctx context.Context, before time.Time, latest, n int) ([]build.RecordID, error) {
	// Numbers have no gaps, so they tell how many builds of a job are newer. A build of a flow's job goes with the flow.
	rows, err := s.reader.rows(ctx, `SELECT records.id`+recordFrom+` WHERE records.parent_id = '' AND records.finished_at > 0 AND records.finished_at < ?
		AND records.number <= jobs.last_number - CAST(? AS BIGINT)
		AND 0 = (SELECT count(*) FROM records c WHERE c.parent_id = records.id AND c.parent_id <> '' AND c.finished_at = 0)
		ORDER BY records.finished_at LIMIT ?`, millis(before), latest, n)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (id build.RecordID, err error) { return id, row.Scan(&id) })
}

// PurgeBuilds removes builds that are over, with those of the jobs of flows. One that somebody else has removed is no error.
func (s *Store) PurgeBuilds(ctx context.Context, ids []build.RecordID, now time.Time) error {
	return s.writeEpoch(ctx, func(t *tx) error { // caches hold finished builds
		for _, id := range ids {
			// Whoever comes second waits here, and finds nothing.
			locked, err := t.exec(ctx, `UPDATE records SET finished_at = finished_at WHERE id = ? AND finished_at > 0`, string(id))
			if err != nil {
				return err
			}
			if locked == 0 {
				continue
			}
			rows, err := t.rows(ctx, `SELECT id FROM records WHERE parent_id = ? AND parent_id <> ''`, string(id))
			if err != nil {
				return err
			}
			children, err := collect(rows, scanID)
			if err != nil {
				return err
			}
			for _, record := range append(children, string(id)) {
				if err := purgeRecord(ctx, t, record, now); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// PurgedRecords returns the builds that were removed at a moment or later.
func (s *Store) PurgedRecords(ctx context.Context, since time.Time) ([]build.RecordID, error) {
	rows, err := s.reader.rows(ctx, `SELECT id FROM purged_records WHERE purged_at >= ? ORDER BY purged_at`, millis(since))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (id build.RecordID, err error) { return id, row.Scan(&id) })
}

// ForgetPurged forgets the builds that were removed before a moment.
func (s *Store) ForgetPurged(ctx context.Context, before time.Time) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `DELETE FROM purged_records WHERE purged_at < ?`, millis(before))
		return err
	})
}
