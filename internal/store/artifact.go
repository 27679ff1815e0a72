package store

import (
	"context"
	"strings"
	"time"

	"atelier/internal/build"
)

const artifactColumns = `id, project_id, version, name, path, size, sha256, record_id, created_at`

func scanArtifact(row scanner) (build.Artifact, error) {
	var a build.Artifact
	var created int64
	err := row.Scan(&a.ID, &a.ProjectID, &a.Version, &a.Name, &a.Path, &a.Size, &a.SHA256, &a.RecordID, &created)
	a.CreatedAt = moment(created)
	return a, err
}

// PublishArtifact implements [artifact.Index].
func (s *Store) PublishArtifact(ctx context.Context, a build.Artifact, fence int64, limits build.ArtifactLimits) (replaced string, err error) {
	for {
		err = s.write(ctx, func(t *tx) error {
			if err := fenced(t.exec(ctx, `UPDATE records SET lease_fence = lease_fence WHERE id = ? AND lease_fence = ? AND state = 'running'`,
				string(a.RecordID), fence)); err != nil {
				return err
			}
			replaced, err = publishArtifact(ctx, t, a, limits, s.Now())
			return err
		})
		if !s.dialect.isDuplicate(err) || ctx.Err() != nil {
			return replaced, err
		}
		// Another upload to the same address has committed; this one is newer.
	}
}

// publishArtifact clears the address and takes it. Who else does so at the same time makes the insertion fail.
func publishArtifact(ctx context.Context, t *tx, a build.Artifact, limits build.ArtifactLimits, now time.Time) (replaced string, err error) {
	var known int
	if err := t.row(ctx, `SELECT COUNT(*) FROM artifacts WHERE id = ?`, a.ID).Scan(&known); err != nil || known > 0 {
		return "", err
	}
	if err := count(ctx, t, a, limits); err != nil {
		return "", err
	}
	// What the build itself has replaced is none of its results.
	rows, err := t.rows(ctx, `DELETE FROM artifacts WHERE record_id = ? AND version = ? AND name = ? RETURNING CASE WHEN replaced_at = 0 THEN id ELSE '' END`,
		string(a.RecordID), a.Version, a.Name)
	if err != nil {
		return "", err
	}
	own, err := collect(rows, scanID)
	if err != nil {
		return "", err
	}
	rows, err = t.rows(ctx, `UPDATE artifacts SET replaced_at = ? WHERE project_id = ? AND version = ? AND name = ? AND replaced_at = 0 RETURNING id`,
		max(1, millis(a.CreatedAt)), string(a.ProjectID), a.Version, a.Name)
	if err != nil {
		return "", err
	}
	others, err := collect(rows, scanID)
	if err != nil {
		return "", err
	}
	_, err = t.exec(ctx, `INSERT INTO artifacts (`+artifactColumns+`, replaced_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
		a.ID, string(a.ProjectID), a.Version, a.Name, a.Path, a.Size, a.SHA256, string(a.RecordID), millis(a.CreatedAt))
	if err != nil {
		return "", err
	}
	replaced = strings.Join(append(own, others...), "") // at most one stood there
	return replaced, removeContent(ctx, t, replaced, now)
}

// count adds an upload to what its project takes, in place of what stands at its address, and refuses it when that or what its
// build has uploaded is too much. Until the transaction ends nobody else uploads to the project.
func count(ctx context.Context, t *tx, a build.Artifact, limits build.ArtifactLimits) error {
	var project, was, own int64
	err := t.row(ctx, `INSERT INTO artifact_usage (project_id, bytes) VALUES (?, ?)
		ON CONFLICT (project_id) DO UPDATE SET bytes = artifact_usage.bytes + excluded.bytes RETURNING bytes`, string(a.ProjectID), a.Size).Scan(&project)
	if err != nil {
		return err
	}
	if err := t.row(ctx, `SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM artifacts WHERE project_id = ? AND version = ? AND name = ? AND replaced_at = 0`,
		string(a.ProjectID), a.Version, a.Name).Scan(&was); err != nil {
		return err
	}
	if was > 0 {
		if _, err := t.exec(ctx, `UPDATE artifact_usage SET bytes = bytes - ? WHERE project_id = ?`, was, string(a.ProjectID)); err != nil {
			return err
		}
	}
	if err := t.row(ctx, `SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM artifacts WHERE record_id = ? AND NOT (version = ? AND name = ?)`,
		string(a.RecordID), a.Version, a.Name).Scan(&own); err != nil {
		return err
	}
	return limits.Check(a, build.ArtifactUsage{Project: project - a.Size - was, Build: own})
}

// ArtifactUsage implements [artifact.Index].
func (s *Store) ArtifactUsage(ctx context.Context, a build.Artifact) (u build.ArtifactUsage, err error) {
	err = s.reader.row(ctx, `SELECT CAST(COALESCE((SELECT bytes FROM artifact_usage WHERE project_id = ?), 0)
			- (SELECT COALESCE(SUM(size), 0) FROM artifacts WHERE project_id = ? AND version = ? AND name = ? AND replaced_at = 0) AS BIGINT),
		CAST((SELECT COALESCE(SUM(size), 0) FROM artifacts WHERE record_id = ? AND NOT (version = ? AND name = ?)) AS BIGINT)`,
		string(a.ProjectID), string(a.ProjectID), a.Version, a.Name, string(a.RecordID), a.Version, a.Name).Scan(&u.Project, &u.Build)
	return u, err
}

// removeContent writes down that the content under a key, if it is not empty, is needed no more.
func removeContent(ctx context.Context, t *tx, key string, now time.Time) error {
	if key == "" {
		return nil
	}
	_, err := t.exec(ctx, `INSERT INTO removed_contents (id, removed_at) VALUES (?, ?) ON CONFLICT DO NOTHING`, key, millis(now))
	return err
}

func scanID(row scanner) (id string, err error) { return id, row.Scan(&id) }

// Artifact implements [artifact.Index].
func (s *Store) Artifact(ctx context.Context, project build.ProjectID, version, name string) (build.Artifact, error) {
	a, err := scanArtifact(s.reader.row(ctx, `SELECT `+artifactColumns+` FROM artifacts WHERE project_id = ? AND version = ? AND name = ? AND replaced_at = 0`,
		string(project), version, name))
	return a, missing(err, "the release repository of project %s has no file %s/%s", project, version, name)
}

// ArtifactsOf implements [artifact.Index].
func (s *Store) ArtifactsOf(ctx context.Context, id build.RecordID) ([]build.Artifact, error) {
	rows, err := s.reader.rows(ctx, `SELECT `+artifactColumns+` FROM artifacts
		WHERE record_id IN (SELECT CAST(? AS TEXT) UNION ALL SELECT id FROM records WHERE parent_id = ? AND parent_id <> '') ORDER BY id`, string(id), string(id))
	if err != nil {
		return nil, err
	}
	return collect(rows, scanArtifact)
}

// ArtifactIDs implements [artifact.Index].
func (s *Store) ArtifactIDs(ctx context.Context) ([]string, error) {
	rows, err := s.reader.rows(ctx, `SELECT id FROM artifacts WHERE replaced_at = 0 UNION ALL SELECT archive_id FROM reports WHERE archive_id <> ''`)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanID)
}

// ContentNeeded implements [artifact.Index].
func (s *Store) ContentNeeded(ctx context.Context, key string) (bool, error) {
	var n int
	err := s.reader.row(ctx, `SELECT (SELECT COUNT(*) FROM artifacts WHERE id = ? AND replaced_at = 0)
		+ (SELECT COUNT(*) FROM reports WHERE archive_id = ? AND archive_id <> '')`, key, key).Scan(&n)
	return n > 0, err
}

// RemovedContents implements [artifact.Index].
func (s *Store) RemovedContents(ctx context.Context, since time.Time) ([]string, error) {
	rows, err := s.reader.rows(ctx, `SELECT id FROM removed_contents WHERE removed_at >= ? ORDER BY removed_at`, millis(since))
	if err != nil {
		return nil, err
	}
	return collect(rows, scanID)
}

// ForgetRemovedContents implements [artifact.Index].
func (s *Store) ForgetRemovedContents(ctx context.Context, before time.Time) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `DELETE FROM removed_contents WHERE removed_at < ?`, millis(before))
		return err
	})
}
