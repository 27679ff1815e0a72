package store

import (
	"context"
	"time"

	"atelier/internal/build"
	"atelier/internal/report"
)

// storedCoverage has of each thing how many were covered, and how many there are.
type storedCoverage struct {
	Lines      report.Counter `json:"lines"`
	Branches   report.Counter `json:"branches"`
	Statements report.Counter `json:"statements"`
}

// saveReport stores the report of a step. One that was stored before stays, since its archive may have been asked for.
func saveReport(ctx context.Context, t *tx, r build.Report) error {
	_, err := t.exec(ctx, `INSERT INTO reports (record_id, sequence, id, stage, files, succeeded, failed, errors, skipped, duration, coverage, archive_id, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		string(r.RecordID), r.Sequence, r.ID, r.Stage, r.Files, r.Tests.Succeeded, r.Tests.Failed, r.Tests.Errors, r.Tests.Skipped,
		r.Tests.Time.Milliseconds(), asJSON(storedCoverage(r.Coverage)), r.Archive, millis(r.CreatedAt))
	return err
}

// Reports implements [build.Store].
func (s *Store) Reports(ctx context.Context, id build.RecordID) ([]build.Report, error) {
	rows, err := s.reader.rows(ctx, `SELECT record_id, sequence, id, stage, files, succeeded, failed, errors, skipped, duration, coverage, archive_id, created_at
		FROM reports WHERE record_id IN (SELECT CAST(? AS TEXT) UNION ALL SELECT id FROM records WHERE parent_id = ? AND parent_id <> '') ORDER BY id`, string(id), string(id))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (build.Report, error) {
		var r build.Report
		var took, created int64
		var coverage string
		if err := row.Scan(&r.RecordID, &r.Sequence, &r.ID, &r.Stage, &r.Files, &r.Tests.Succeeded, &r.Tests.Failed, &r.Tests.Errors, &r.Tests.Skipped,
			&took, &coverage, &r.Archive, &created); err != nil {
			return r, err
		}
		r.Tests.Time, r.CreatedAt = time.Duration(took)*time.Millisecond, moment(created)
		var c storedCoverage
		err := fromJSON(coverage, &c)
		r.Coverage = report.Coverage(c)
		return r, err
	})
}
