package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/notice"
)

const jobColumns = `jobs.id, jobs.build_project_id, jobs.project_id, jobs.domain_id, jobs.version, jobs.config, jobs.group_id, jobs.creator_id,
	jobs.creator_name, jobs.created_at, jobs.updated_at, jobs.disabling, jobs.last_number, jobs.counters,
	(SELECT v.user_id FROM job_versions v WHERE v.job_id = jobs.id AND v.version = jobs.version),
	(SELECT v.user_name FROM job_versions v WHERE v.job_id = jobs.id AND v.version = jobs.version)`

// storedDisabling is the stored form of [build.Disabling].
type storedDisabling struct {
	UserID   string `json:"user_id"`
	UserName string `json:"user_name"`
	At       int64  `json:"at"`
	Reason   string `json:"reason,omitempty"`
}

// jobRow receives jobColumns.
type jobRow struct {
	job                build.Job
	config, groupID    string
	created, updated   int64
	disabling, counter string
}

func (r *jobRow) dest() []any {
	j := &r.job
	return []any{&j.ID, &j.BuildProjectID, &j.ProjectID, &j.DomainID, &j.Version, &r.config, &r.groupID, &j.CreatorID, &j.CreatorName, &r.created, &r.updated, &r.disabling, &j.LastNumber, &r.counter, &j.EditorID, &j.EditorName}
}

func (r *jobRow) value() (build.Job, error) {
	var err error
	if r.job.Config, err = decodeConfig(r.config); err != nil {
		return build.Job{}, err
	}
	r.job.Config.GroupID = r.groupID // moving a job between groups leaves its configuration alone
	r.job.CreatedAt, r.job.UpdatedAt = moment(r.created), moment(r.updated)
	if r.disabling != "" {
		var d storedDisabling
		if err := fromJSON(r.disabling, &d); err != nil {
			return build.Job{}, err
		}
		r.job.Disabled = &build.Disabling{UserID: d.UserID, UserName: d.UserName, At: moment(d.At), Reason: d.Reason}
	}
	return r.job, fromJSON(r.counter, &r.job.Counters)
}

// missing turns "no rows" into a fault that says what does not exist.
func missing(err error, format string, args ...any) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.NotFound, format, args...)
	}
	return err
}

func scanJob(row scanner) (build.Job, error) {
	var r jobRow
	if err := row.Scan(r.dest()...); err != nil {
		return build.Job{}, missing(err, "the task does not exist")
	}
	return r.value()
}

func encodeDisabling(d *build.Disabling) string {
	if d == nil {
		return ""
	}
	return asJSON(storedDisabling{UserID: d.UserID, UserName: d.UserName, At: millis(d.At), Reason: d.Reason})
}

// CreateJob implements [build.Store].
func (s *Store) CreateJob(ctx context.Context, job build.Job) error {
	return s.write(ctx, func(t *tx) error { return s.insertJob(ctx, t, job) })
}

// CopyJob implements [build.Store].
func (s *Store) CopyJob(ctx context.Context, job build.Job, original build.JobID) error {
	return s.write(ctx, func(t *tx) error {
		if err := s.insertJob(ctx, t, job); err != nil {
			return err
		}
		if _, err := t.exec(ctx, `UPDATE jobs SET own_rights = (SELECT o.own_rights FROM jobs o WHERE o.id = ?) WHERE id = ?`, string(original), string(job.ID)); err != nil {
			return err
		}
		_, err := t.exec(ctx, `INSERT INTO job_rights (job_id, role, rights, created_at, updated_at)
			SELECT CAST(? AS TEXT), role, rights, created_at, updated_at FROM job_rights WHERE job_id = ?`, string(job.ID), string(original))
		return err
	})
}

func (s *Store) insertJob(ctx context.Context, t *tx, job build.Job) error {
	config := encodeConfig(job.Config)
	_, err := t.exec(ctx, `INSERT INTO jobs (id, build_project_id, project_id, domain_id, name, group_id, version, config, creator_id,
		creator_name, created_at, updated_at, disabling, last_number, day, day_count, counters, active_at, deleted_at, deleted_by, scheduled, on_push, repository)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', 0, '', ?, 0, '', ?, ?, ?)`,
		string(job.ID), string(job.BuildProjectID), string(job.ProjectID), job.DomainID, job.Config.Name, job.Config.GroupID, job.Version, config, job.CreatorID,
		job.CreatorName, millis(job.CreatedAt), millis(job.UpdatedAt), encodeDisabling(job.Disabled), millis(job.CreatedAt), len(job.Config.Triggers) > 0, job.Config.OnPush(), repositoryOf(job.Config))
	if s.dialect.isDuplicate(err) {
		return nameTaken(job.Config.Name)
	}
	if err != nil {
		return err
	}
	return insertVersion(ctx, t, job, config, job.Editor(), job.CreatedAt)
}

func nameTaken(name string) error {
	return &fault.Error{Kind: fault.Exists, Field: "job_name", Message: fmt.Sprintf("another task of the project is called %q", name)}
}

func insertVersion(ctx context.Context, t *tx, job build.Job, config string, by build.Actor, at time.Time) error {
	_, err := t.exec(ctx, `INSERT INTO job_versions (job_id, version, config, user_id, user_name, saved_at) VALUES (?, ?, ?, ?, ?, ?)`,
		string(job.ID), job.Version, config, by.UserID, by.UserName, millis(at))
	return err
}

// Job implements [build.Store].
func (s *Store) Job(ctx context.Context, id build.JobID) (build.Job, error) {
	return scanJob(s.reader.row(ctx, `SELECT `+jobColumns+` FROM jobs WHERE id = ? AND deleted_at = 0`, string(id)))
}

// JobOfBuildProject implements [build.Store].
func (s *Store) JobOfBuildProject(ctx context.Context, id build.BuildProjectID) (build.Job, error) {
	return scanJob(s.reader.row(ctx, `SELECT `+jobColumns+` FROM jobs WHERE build_project_id = ? AND deleted_at = 0`, string(id)))
}

// ScheduledJobs returns the jobs that have a timer and are not disabled.
func (s *Store) ScheduledJobs(ctx context.Context) ([]build.Job, error) {
	rows, err := s.reader.rows(ctx, `SELECT `+jobColumns+` FROM jobs WHERE scheduled AND deleted_at = 0 AND disabling = '' ORDER BY id`)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanJob)
}

// JobConfig returns the configuration that a job had at a version, also of a job that was deleted since.
func (s *Store) JobConfig(ctx context.Context, id build.JobID, version int) (build.Config, error) {
	var text string
	err := s.reader.row(ctx, `SELECT config FROM job_versions WHERE job_id = ? AND version = ?`, string(id), version).Scan(&text)
	if err != nil {
		return build.Config{}, missing(err, "the task has no version %d", version)
	}
	return decodeConfig(text)
}

// CountJobs implements [build.Store].
func (s *Store) CountJobs(ctx context.Context, domainID string) (n int, err error) {
	err = s.reader.row(ctx, `SELECT count(*) FROM jobs WHERE domain_id = ? AND deleted_at = 0`, domainID).Scan(&n)
	return n, err
}

// NameTaken implements [build.Store].
func (s *Store) NameTaken(ctx context.Context, project build.ProjectID, name string) (taken bool, err error) {
	err = s.reader.row(ctx, `SELECT EXISTS (SELECT 1 FROM jobs WHERE project_id = ? AND name = ? AND deleted_at = 0)`, string(project), name).Scan(&taken)
	return taken, err
}

// lockJob reads a job that the transaction is going to change.
func (s *Store) lockJob(ctx context.Context, t *tx, id build.JobID) (build.Job, error) {
	// Changing a row locks it, in both databases and in the same words.
	return scanJob(t.row(ctx, `UPDATE jobs SET version = version WHERE id = ? AND deleted_at = 0 RETURNING `+jobColumns, string(id)))
}

// ChangeJob implements [build.Store].
func (s *Store) ChangeJob(ctx context.Context, id build.JobID, by build.Actor, at time.Time, change func(*build.Job) error) (build.Job, error) {
	var job build.Job
	err := s.write(ctx, func(t *tx) error {
		var err error
		if job, err = s.lockJob(ctx, t, id); err != nil {
			return err
		}
		before, editor, wasDisabled := encodeConfig(job.Config), job.EditorID, job.Disabled != nil
		if err := change(&job); err != nil {
			return err
		}
		config := encodeConfig(job.Config)
		if config != before {
			job.EditorID, job.EditorName = by.UserID, by.UserName
		}
		if config != before || job.EditorID != editor {
			job.Version++
			job.UpdatedAt = at
			if err := insertVersion(ctx, t, job, config, job.Editor(), at); err != nil {
				return err
			}
			if err := tellOfJob(ctx, t, id, notice.Updated, by, at, strconv.Itoa(job.Version)); err != nil {
				return err
			}
		}
		if job.Disabled != nil && !wasDisabled {
			if err := tellOfJob(ctx, t, id, notice.Disabled, by, at, strconv.FormatInt(millis(at), 10)); err != nil {
				return err
			}
		}
		_, err = t.exec(ctx, `UPDATE jobs SET name = ?, group_id = ?, version = ?, config = ?, updated_at = ?, disabling = ?, scheduled = ?, on_push = ?, repository = ? WHERE id = ?`,
			job.Config.Name, job.Config.GroupID, job.Version, config, millis(job.UpdatedAt), encodeDisabling(job.Disabled), len(job.Config.Triggers) > 0, job.Config.OnPush(), repositoryOf(job.Config), string(id))
		if s.dialect.isDuplicate(err) {
			return nameTaken(job.Config.Name)
		}
		return err
	})
	return job, err
}

// DeleteJobs implements [build.Store].
func (s *Store) DeleteJobs(ctx context.Context, ids []build.JobID, by build.Actor, at time.Time) (running []build.RecordID, err error) {
	err = s.writeEpoch(ctx, func(t *tx) error {
		running = nil
		for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) { // always in one order, so that no two wait for each other
			stopped, err := deleteJob(ctx, t, id, by, at)
			if err != nil {
				return err
			}
			running = append(running, stopped...)
		}
		return nil
	})
	return running, err
}

func deleteJob(ctx context.Context, t *tx, id build.JobID, by build.Actor, at time.Time) (running []build.RecordID, err error) {
	n, err := t.exec(ctx, `UPDATE jobs SET deleted_at = ?, deleted_by = ? WHERE id = ? AND deleted_at = 0`, millis(at), by.UserID, string(id))
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fault.New(fault.NotFound, "task %s does not exist", id)
	}
	if err := tellOfJob(ctx, t, id, notice.Deleted, by, at, strconv.FormatInt(millis(at), 10)); err != nil {
		return nil, err
	}
	if _, err := t.exec(ctx, `UPDATE records SET state = 'aborted', finished_at = ?, stop_requested_at = ?, stop_requested_by = ?
		WHERE job_id = ? AND state = 'queued'`, millis(at), millis(at), by.UserID, string(id)); err != nil {
		return nil, err
	}
	rows, err := t.rows(ctx, `UPDATE records SET stop_requested_at = ?, stop_requested_by = ?
		WHERE job_id = ? AND state IN ('scheduled', 'running') RETURNING id`, millis(at), by.UserID, string(id))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (id build.RecordID, err error) { return id, row.Scan(&id) })
}

// SetFavourite implements [build.Store].
func (s *Store) SetFavourite(ctx context.Context, userID string, id build.JobID, marked bool) error {
	return s.write(ctx, func(t *tx) error {
		query := `DELETE FROM favourites WHERE user_id = ? AND job_id = ?`
		if marked {
			query = `INSERT INTO favourites (user_id, job_id) VALUES (?, ?) ON CONFLICT DO NOTHING`
		}
		_, err := t.exec(ctx, query, userID, string(id))
		return err
	})
}

// resultRows are what collect reads.
type resultRows interface {
	scanner
	Next() bool
	Err() error
	Close() error
}

// collect reads all rows and closes them.
func collect[T any](rows resultRows, scan func(scanner) (T, error)) ([]T, error) {
	defer func() { _ = rows.Close() }() // Err has said it
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// healthScore is the share of successes among the last ten finished builds of a job, in percent.
const healthScore = `COALESCE((SELECT 100 * sum(CASE WHEN state = 'succeeded' THEN 1 ELSE 0 END) / count(*) FROM (
	SELECT state FROM records h WHERE h.job_id = jobs.id AND h.parent_id = '' AND h.finished_at > 0 ORDER BY h.number DESC LIMIT 10) last_ten), 0)`

const isFavourite = `EXISTS (SELECT 1 FROM favourites f WHERE f.user_id = ? AND f.job_id = jobs.id)`

// Jobs implements [build.Store].
func (s *Store) Jobs(ctx context.Context, q build.JobQuery) ([]build.JobSummary, int, error) {
	where, args := jobFilter(q)
	from := ` FROM jobs WHERE ` + where
	if q.Status != "" || q.Sort == build.SortByBuildStatus {
		from = ` FROM jobs LEFT JOIN records last ON last.job_id = jobs.id AND last.number = jobs.last_number AND last.parent_id = '' WHERE ` + where
	}
	var total int
	if err := s.reader.row(ctx, `SELECT count(*)`+from, args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	order := map[build.JobSort]string{
		build.SortByName: "jobs.name", build.SortByCreation: "jobs.created_at",
		build.SortByHealth: healthScore, build.SortByBuildStatus: "COALESCE(last.state, '')",
	}[q.Sort]
	if order == "" {
		order = "jobs.active_at"
	}
	direction := " ASC"
	if q.Descending {
		direction = " DESC"
	}
	rows, err := s.reader.rows(ctx, `SELECT `+jobColumns+`, `+healthScore+`, `+isFavourite+from+` ORDER BY `+order+direction+`, jobs.id LIMIT ? OFFSET ?`,
		slices.Concat([]any{q.UserID}, args, []any{q.Limit, q.Offset})...)
	if err != nil {
		return nil, 0, err
	}
	jobs, err := collect(rows, func(row scanner) (build.JobSummary, error) {
		var r jobRow
		var summary build.JobSummary
		if err := row.Scan(append(r.dest(), &summary.HealthScore, &summary.Favourite)...); err != nil {
			return summary, err
		}
		var err error
		summary.Job, err = r.value()
		return summary, err
	})
	if err != nil {
		return nil, 0, err
	}
	return jobs, total, s.addLastBuilds(ctx, jobs)
}

// jobFilter returns the condition of a list of jobs.
func jobFilter(q build.JobQuery) (string, []any) {
	where := []string{`jobs.deleted_at = 0`}
	seen, args := viewable(q.Viewing)
	where = append(where, seen...)
	if q.Search != "" {
		pattern := containing(q.Search)
		where = append(where, `(lower(jobs.name) LIKE ? ESCAPE '\' OR lower(jobs.creator_name) LIKE ? ESCAPE '\')`)
		args = append(args, pattern, pattern)
	}
	if q.CreatorID != "" {
		where, args = append(where, `jobs.creator_id = ?`), append(args, q.CreatorID)
	}
	if q.ID != "" {
		where, args = append(where, `jobs.id = ?`), append(args, string(q.ID))
	}
	if len(q.GroupIDs) > 0 {
		where, args = append(where, `jobs.group_id IN (`+placeholders(len(q.GroupIDs))+`)`), append(args, anys(q.GroupIDs)...)
	}
	if q.Ungrouped {
		where = append(where, `NOT EXISTS (SELECT 1 FROM job_groups g WHERE g.id = jobs.group_id AND g.project_id = jobs.project_id)`)
	}
	switch states := q.Status.States(); {
	case q.Status == "":
	case len(states) == 0:
		where = append(where, `jobs.last_number = 0`)
	default:
		where = append(where, `last.state IN (`+placeholders(len(states))+`)`)
		args = append(args, anys(states)...)
	}
	return strings.Join(where, " AND "), args
}

// viewable returns the conditions of the jobs that a user may view.
func viewable(v build.Viewing) (where []string, args []any) {
	projects := slices.Concat(v.Everything, v.ByProject, v.ByTask)
	where, args = []string{oneOf(`jobs.project_id`, len(projects))}, anys(projects)
	if len(projects) == len(v.Everything) {
		return where, args
	}
	where = append(where, `(jobs.creator_id = ? OR `+oneOf(`jobs.project_id`, len(v.Everything))+`
		OR CASE WHEN jobs.own_rights THEN EXISTS (SELECT 1 FROM job_rights r JOIN members m ON m.role = r.role
			WHERE r.job_id = jobs.id AND m.project_id = jobs.project_id AND m.user_id = ? AND r.rights & 1 = 1)
		ELSE `+oneOf(`jobs.project_id`, len(v.ByProject))+` END)`)
	args = append(args, v.UserID)
	args = append(args, anys(v.Everything)...)
	args = append(args, v.UserID)
	return where, append(args, anys(v.ByProject)...)
}

// oneOf is the condition that a column has one of n values.
func oneOf(column string, n int) string {
	if n == 0 {
		return `FALSE` // an empty list is no SQL
	}
	return column + ` IN (` + placeholders(n) + `)`
}

// TenantSummary implements [build.Store].
func (s *Store) TenantSummary(ctx context.Context, domainID string) (build.TenantSummary, error) {
	var sum build.TenantSummary
	err := s.reader.row(ctx, `SELECT count(*), COALESCE(sum(last_number), 0) FROM jobs WHERE domain_id = ? AND deleted_at = 0`, domainID).Scan(&sum.Jobs, &sum.Builds)
	if err != nil {
		return sum, err
	}
	err = s.reader.row(ctx, `SELECT COALESCE(CAST(avg(score) AS INTEGER), 0) FROM (SELECT `+healthScore+` AS score FROM jobs
		WHERE jobs.domain_id = ? AND jobs.deleted_at = 0 AND jobs.last_number > 0) scores`, domainID).Scan(&sum.SuccessRatio)
	if err != nil {
		return sum, err
	}
	err = s.reader.row(ctx, `SELECT count(*) FROM (SELECT DISTINCT a.project_id, a.version FROM projects p JOIN artifacts a ON a.project_id = p.id
		WHERE p.domain_id = ? AND a.replaced_at = 0) versions`, domainID).Scan(&sum.Versions)
	return sum, err
}

// containing is the pattern of texts that hold another one, in lower case.
func containing(part string) string {
	return `%` + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(part)) + `%`
}

// addLastBuilds fills in the newest build of each job.
func (s *Store) addLastBuilds(ctx context.Context, jobs []build.JobSummary) error {
	for i, job := range jobs { // at most a page of them, each one row by its key
		if job.LastNumber == 0 {
			continue
		}
		record, _, err := s.Record(ctx, job.ID, job.LastNumber)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		jobs[i].Last = &record
	}
	return nil
}

// placeholders returns n question marks for a list.
func placeholders(n int) string {
	return strings.TrimSuffix(strings.Repeat("?, ", n), ", ")
}

// anys returns texts of a named type as arguments of a query.
func anys[T ~string](in []T) []any {
	out := make([]any, len(in))
	for i, v := range in {
		out[i] = string(v)
	}
	return out
}
