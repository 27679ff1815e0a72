package store

import (
	"context"

	"atelier/internal/build"
)

// Steps implements [build.Store].
func (s *Store) Steps(ctx context.Context, id build.RecordID) ([]build.Step, error) {
	rows, err := s.reader.rows(ctx, `SELECT record_id, sequence, id, stage, name, keyword, state, exit_code, ignored, started_at, finished_at, log_start, log_end
		FROM steps WHERE record_id = ? ORDER BY sequence`, string(id))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (build.Step, error) {
		var step build.Step
		var started, finished int64
		err := row.Scan(&step.RecordID, &step.Sequence, &step.ID, &step.Stage, &step.Name, &step.Keyword, &step.State, &step.ExitCode, &step.Ignored,
			&started, &finished, &step.LogStart, &step.LogEnd)
		step.StartedAt, step.FinishedAt = moment(started), moment(finished)
		return step, err
	})
}

// saveStep stores a step as it now stands.
func saveStep(ctx context.Context, t *tx, s build.Step) error {
	_, err := t.exec(ctx, `INSERT INTO steps (record_id, sequence, id, stage, name, keyword, state, exit_code, ignored, started_at, finished_at, log_start, log_end)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (record_id, sequence) DO UPDATE SET state = excluded.state, exit_code = excluded.exit_code, ignored = excluded.ignored,
			started_at = excluded.started_at, finished_at = excluded.finished_at, log_start = excluded.log_start, log_end = excluded.log_end`,
		string(s.RecordID), s.Sequence, s.ID, s.Stage, s.Name, s.Keyword, string(s.State), s.ExitCode, s.Ignored, millis(s.StartedAt), millis(s.FinishedAt), s.LogStart, s.LogEnd)
	return err
}
