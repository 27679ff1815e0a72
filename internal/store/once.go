package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"

	"atelier/internal/build"
)

// errTaken undoes a transaction that was to take a token which is taken.
var errTaken = errors.New("the token is taken")

// StartBuildOnce implements [build.Store].
func (s *Store) StartBuildOnce(ctx context.Context, id build.JobID, day string, once build.Once, draft build.Draft) (build.Record, string, error) {
	var started, before build.Record
	var earlier string
	err := s.write(ctx, func(t *tx) error {
		var err error
		started, err = startBuild(ctx, t, id, day, func(job *build.Job, count int) (build.Record, error) {
			// The job is locked here, so whoever took the token has committed, and nobody takes it now.
			var err error
			before, earlier, err = startedWith(ctx, t, id, once)
			if errors.Is(err, sql.ErrNoRows) {
				return draft(job, count)
			}
			return build.Record{}, cmp.Or(err, errTaken)
		})
		if err != nil {
			return err
		}
		_, err = t.exec(ctx, `INSERT INTO start_tokens (job_id, user_id, token, meaning, record_id, execution_id) VALUES (?, ?, ?, ?, ?, ?)`,
			string(id), once.UserID, once.Token, once.Meaning, string(started.ID), started.ExecutionID)
		return err
	})
	if errors.Is(err, errTaken) {
		return before, earlier, nil
	}
	return started, "", err
}

// startedWith returns the build that a token has started, with the execution id of its first answer, and the meaning of the
// request that started it.
func startedWith(ctx context.Context, t *tx, id build.JobID, once build.Once) (build.Record, string, error) {
	var r recordRow
	var meaning, execution string
	err := t.row(ctx, `SELECT `+recordColumns+`, start_tokens.meaning, start_tokens.execution_id`+recordFrom+`
		JOIN start_tokens ON start_tokens.record_id = records.id
		WHERE start_tokens.job_id = ? AND start_tokens.user_id = ? AND start_tokens.token = ?`,
		string(id), once.UserID, once.Token).Scan(append(r.dest(), &meaning, &execution)...)
	if err != nil {
		return build.Record{}, "", err
	}
	record, _, err := r.value()
	record.ExecutionID = execution
	return record, meaning, err
}
