package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// recordFields are the columns of a build that are read together, in the order of recordRow.
var recordFields = []string{
	"id", "info_id", "parent_id", "job_id", "job_name", "job_version", "config_kind", "number", "daily_number", "execution_id",
	"user_id", "user_name", "trigger_type", "rerun", "repo", "ref_kind", "branch", "tag", "commit_id", "commit_message", "commit_time",
	"build_file", "parameters", "warnings", "state", "error", "private_pool", "region", "created_at", "scheduled_at", "queued_at",
	"started_at", "runnable_at", "finished_at", "stop_requested_at", "stop_requested_by", "flow", "flow_job", "unattended", "own_branch", "logged",
}

// A build is read together with its job, which says whose it is and whether it may still be seen.
var (
	recordColumns = "records." + strings.Join(recordFields, ", records.") + ", jobs.build_project_id, jobs.project_id, jobs.domain_id, jobs.creator_id"
	recordFrom    = " FROM records JOIN jobs ON jobs.id = records.job_id"
	visible       = " AND jobs.deleted_at = 0"
)

type (
	storedRepo struct {
		Name      string `json:"name,omitempty"`
		ID        string `json:"id,omitempty"`
		URL       string `json:"url,omitempty"`
		WebURL    string `json:"web_url,omitempty"`
		GroupName string `json:"group_name,omitempty"`
		Kind      string `json:"kind,omitempty"`
	}
	storedValue struct {
		Name    string `json:"name"`
		Value   string `json:"value"`
		Private bool   `json:"private,omitempty"`
		Copy    bool   `json:"copy,omitempty"`
		Chosen  bool   `json:"chosen,omitempty"`
	}
)

// recordRow receives recordColumns.
type recordRow struct {
	record                                                      build.Record
	creator                                                     string
	repo, parameters, warnings                                  string
	commit                                                      int64
	created, scheduled, queued, started, runnable, done, stopAt int64
}

func (r *recordRow) dest() []any {
	b := &r.record
	return []any{
		&b.ID, &b.InfoID, &b.ParentID, &b.JobID, &b.JobName, &b.JobVersion, &b.ConfigKind, &b.Number, &b.DailyNumber, &b.ExecutionID,
		&b.UserID, &b.UserName, &b.Trigger, &b.Rerun, &r.repo, &b.RefKind, &b.Branch, &b.Tag, &b.Commit, &b.CommitMessage, &r.commit,
		&b.BuildFile, &r.parameters, &r.warnings, &b.State, &b.Error, &b.PrivatePool, &b.Region, &r.created, &r.scheduled, &r.queued,
		&r.started, &r.runnable, &r.done, &r.stopAt, &b.StopRequestedBy, &b.Flow, &b.FlowJob, &b.Unattended, &b.OwnBranch, &b.Logged,
		&b.BuildProjectID, &b.ProjectID, &b.DomainID, &r.creator,
	}
}

func (r *recordRow) value() (build.Record, build.JobRef, error) {
	b := &r.record
	var repo storedRepo
	if err := fromJSON(r.repo, &repo); err != nil {
		return build.Record{}, build.JobRef{}, err
	}
	b.Repo = build.Repo(repo)
	var values []storedValue
	if err := fromJSON(r.parameters, &values); err != nil {
		return build.Record{}, build.JobRef{}, err
	}
	b.Parameters = each(values, func(v storedValue) build.Value { return build.Value(v) })
	if err := fromJSON(r.warnings, &b.Warnings); err != nil {
		return build.Record{}, build.JobRef{}, err
	}
	b.CommitTime = moment(r.commit)
	b.CreatedAt, b.ScheduledAt, b.QueuedAt = moment(r.created), moment(r.scheduled), moment(r.queued)
	b.StartedAt, b.RunnableAt, b.FinishedAt = moment(r.started), moment(r.runnable), moment(r.done)
	b.StopRequestedAt = moment(r.stopAt)
	return *b, build.JobRef{ID: b.JobID, ProjectID: b.ProjectID, CreatorID: r.creator}, nil
}

func scanRecord(row scanner) (build.Record, build.JobRef, error) {
	var r recordRow
	if err := row.Scan(r.dest()...); err != nil {
		return build.Record{}, build.JobRef{}, missing(err, "the build does not exist")
	}
	return r.value()
}

var insertRecordSQL = `INSERT INTO records (` + strings.Join(recordFields, ", ") + `, repo_name, lease_owner, lease_fence, lease_until) VALUES (` +
	placeholders(len(recordFields)) + `, ?, '', 0, 0)`

func insertRecord(ctx context.Context, t *tx, b build.Record) error {
	values := each(b.Parameters, func(v build.Value) storedValue { return storedValue(v) })
	_, err := t.exec(ctx, insertRecordSQL,
		string(b.ID), b.InfoID, string(b.ParentID), string(b.JobID), b.JobName, b.JobVersion, string(b.ConfigKind), b.Number, b.DailyNumber, b.ExecutionID,
		b.UserID, b.UserName, string(b.Trigger), b.Rerun, asJSON(storedRepo(b.Repo)), string(b.RefKind), b.Branch, b.Tag, b.Commit, b.CommitMessage, millis(b.CommitTime),
		b.BuildFile, asJSON(values), asJSON(b.Warnings), string(b.State), b.Error, b.PrivatePool, b.Region, millis(b.CreatedAt), millis(b.ScheduledAt), millis(b.QueuedAt),
		millis(b.StartedAt), millis(b.RunnableAt), millis(b.FinishedAt), millis(b.StopRequestedAt), b.StopRequestedBy, b.Flow, b.FlowJob, b.Unattended, b.OwnBranch, b.Logged,
		build.TrendName(b.Repo.Name))
	return err
}

// StartBuild implements [build.Store].
func (s *Store) StartBuild(ctx context.Context, id build.JobID, day string, draft build.Draft) (build.Record, error) {
	var record build.Record
	err := s.write(ctx, func(t *tx) error {
		var err error
		record, err = startBuild(ctx, t, id, day, draft)
		return err
	})
	return record, err
}

// startBuild gives the job's next numbers and stores what draft makes of them.
func startBuild(ctx context.Context, t *tx, id build.JobID, day string, draft build.Draft) (build.Record, error) {
	var r jobRow
	var count int
	// This one statement locks the job, gives both numbers and reads the rest.
	err := t.row(ctx, `UPDATE jobs SET last_number = last_number + 1, builds = builds + 1, day = ?, day_count = CASE WHEN day = ? THEN day_count + 1 ELSE 1 END
		WHERE id = ? AND deleted_at = 0 RETURNING `+jobColumns+`, day_count`, day, day, string(id)).Scan(append(r.dest(), &count)...)
	if err != nil {
		return build.Record{}, missing(err, "the task does not exist")
	}
	job, err := r.value()
	if err != nil {
		return build.Record{}, err
	}
	record, err := draft(&job, count)
	if err != nil {
		return build.Record{}, err
	}
	if _, err := t.exec(ctx, `UPDATE jobs SET counters = ?, active_at = ? WHERE id = ?`, asJSON(job.Counters), millis(record.CreatedAt), string(id)); err != nil {
		return build.Record{}, err
	}
	return record, insertRecord(ctx, t, record)
}

// RequestStop implements [build.Store].
func (s *Store) RequestStop(ctx context.Context, id build.RecordID, by build.Actor, at time.Time) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `UPDATE records SET state = 'aborted', error = ?, finished_at = ?, stop_requested_at = ?, stop_requested_by = ?
			WHERE id = ? AND state = 'queued'`, build.StoppedMessage, millis(at), millis(at), by.UserID, string(id))
		if err != nil || n == 1 {
			return err
		}
		n, err = t.exec(ctx, `UPDATE records SET
			stop_requested_by = CASE WHEN stop_requested_at = 0 THEN ? ELSE stop_requested_by END,
			stop_requested_at = CASE WHEN stop_requested_at = 0 THEN ? ELSE stop_requested_at END
			WHERE id = ? AND state IN ('scheduled', 'running')`, by.UserID, millis(at), string(id))
		if err != nil || n == 1 {
			return err
		}
		var number int
		if err := t.row(ctx, `SELECT number FROM records WHERE id = ?`, string(id)).Scan(&number); err != nil {
			return missing(err, "the build does not exist")
		}
		return fault.New(fault.Finished, "build %d is over; it cannot be stopped", number)
	})
}

// Record implements [build.Store].
func (s *Store) Record(ctx context.Context, job build.JobID, number int) (build.Record, build.JobRef, error) {
	return scanRecord(s.reader.row(ctx, `SELECT `+recordColumns+recordFrom+` WHERE records.job_id = ? AND records.number = ? AND records.parent_id = ''`+visible, string(job), number))
}

// RecordByID implements [build.Store].
func (s *Store) RecordByID(ctx context.Context, id build.RecordID) (build.Record, build.JobRef, error) {
	return scanRecord(s.reader.row(ctx, `SELECT `+recordColumns+recordFrom+` WHERE records.id = ?`+visible, string(id)))
}

// LastSuccess implements [build.Store]. It looks for the newest of each job, of which there are few in comparison with builds. The repository is
// written as a range, and orders: else PostgreSQL may go back through all builds of a job that never built it.
func (s *Store) LastSuccess(ctx context.Context, viewing build.Viewing, repository string) (build.Record, error) {
	where, args := viewable(viewing)
	record, _, err := scanRecord(s.reader.row(ctx, `SELECT `+recordColumns+recordFrom+` WHERE records.id IN (
		SELECT (SELECT r.id FROM records r WHERE r.job_id = jobs.id AND r.parent_id = '' AND r.repo_name BETWEEN ? AND ? AND r.state = 'succeeded' ORDER BY r.repo_name DESC, r.number DESC LIMIT 1)
		FROM jobs WHERE jobs.deleted_at = 0 AND `+strings.Join(where, " AND ")+`) ORDER BY records.finished_at DESC LIMIT 1`, append([]any{repository, repository}, args...)...))
	return record, err
}

// saveScript keeps what a build is to do. It may be repeated.
func saveScript(ctx context.Context, t *tx, id build.RecordID, script string) error {
	_, err := t.exec(ctx, `INSERT INTO scripts (record_id, script) VALUES (?, ?) ON CONFLICT (record_id) DO UPDATE SET script = excluded.script`, string(id), script)
	return err
}

// Script implements [build.Store].
func (s *Store) Script(ctx context.Context, id build.RecordID) (script string, err error) {
	err = s.reader.row(ctx, `SELECT script FROM scripts WHERE record_id = ?`, string(id)).Scan(&script)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return script, err
}

// HealthScore implements [build.Store].
func (s *Store) HealthScore(ctx context.Context, id build.JobID) (score int, err error) {
	err = s.reader.row(ctx, `SELECT `+healthScore+` FROM jobs WHERE jobs.id = ?`, string(id)).Scan(&score)
	return score, missing(err, "the task does not exist")
}

// CountResults implements [build.Store].
func (s *Store) CountResults(ctx context.Context, id build.JobID, from, to time.Time) (finished, succeeded int, err error) {
	err = s.reader.row(ctx, `SELECT count(*), COALESCE(sum(CASE WHEN state = 'succeeded' THEN 1 ELSE 0 END), 0) FROM records
		WHERE job_id = ? AND parent_id = '' AND finished_at > 0 AND created_at >= ? AND created_at < ?`, string(id), millis(from), millis(to)).Scan(&finished, &succeeded)
	return finished, succeeded, err
}

// LatestActive implements [build.Store].
func (s *Store) LatestActive(ctx context.Context, job build.JobID) (build.Record, error) {
	record, _, err := scanRecord(s.reader.row(ctx, `SELECT `+recordColumns+recordFrom+` WHERE records.job_id = ? AND records.parent_id = ''
		AND records.finished_at = 0`+visible+` ORDER BY records.number DESC LIMIT 1`, string(job)))
	return record, err
}

// Records implements [build.Store].
func (s *Store) Records(ctx context.Context, q build.RecordQuery) ([]build.Record, int, error) {
	where, args := []string{"records.job_id = ?", "records.parent_id = ''"}, []any{string(q.JobID)}
	in := func(column string, values []any) {
		if len(values) > 0 {
			where, args = append(where, fmt.Sprintf("records.%s IN (%s)", column, placeholders(len(values)))), append(args, values...)
		}
	}
	in("trigger_type", anys(q.Triggers))
	in("state", anys(q.States))
	in("branch", anys(q.Branches))
	in("tag", anys(q.Tags))
	if len(q.Tags) > 0 && !slices.Contains(q.Tags, "") {
		where = append(where, "records.tag <> ''") // the index has no others
	}
	// Builds are in the order of their numbers, or of their times when those select them: a period is found by its time alone, however many came before.
	order := " ORDER BY records.number DESC"
	if !q.From.IsZero() {
		where, args = append(where, "records.created_at >= ?"), append(args, millis(q.From))
	}
	if !q.To.IsZero() {
		where, args = append(where, "records.created_at < ?"), append(args, millis(q.To))
	}
	if !q.From.IsZero() || !q.To.IsZero() {
		order = " ORDER BY records.created_at DESC, records.number DESC"
	}
	condition := " WHERE " + strings.Join(where, " AND ")
	count := `SELECT count(*)` + recordFrom + condition + visible
	if len(where) == 2 { // nothing but the job
		count = `SELECT builds FROM jobs WHERE id = ?` + visible
	}
	var total int
	if err := s.reader.row(ctx, count, args...).Scan(&total); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, 0, err
	}
	rows, err := s.reader.rows(ctx, `SELECT `+recordColumns+recordFrom+condition+visible+order+` LIMIT ? OFFSET ?`,
		append(slices.Clone(args), q.Limit, q.Offset)...)
	if err != nil {
		return nil, 0, err
	}
	records, err := collect(rows, func(row scanner) (build.Record, error) {
		record, _, err := scanRecord(row)
		return record, err
	})
	return records, total, err
}
