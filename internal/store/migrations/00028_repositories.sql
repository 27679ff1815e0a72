-- +goose Up

-- What a job builds, as [hook.RepositoryID] says; empty when it builds no repository, a question mark when nobody has looked yet.
ALTER TABLE jobs ADD COLUMN repository TEXT NOT NULL DEFAULT '?';
CREATE INDEX jobs_repository ON jobs (project_id, repository) WHERE deleted_at = 0;

-- The deliveries of each project that nobody has handled.
DROP INDEX deliveries_waiting;
CREATE INDEX deliveries_waiting ON deliveries (project_id, next_at) WHERE next_at > 0;

-- +goose Down
-- There is no way down; see 00001_first.sql.
