-- +goose Up

-- Whether a job is built when its code changes.
ALTER TABLE jobs ADD COLUMN on_push BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX jobs_on_push ON jobs (id) WHERE on_push;

-- What the branches of such jobs had when somebody looked last.
CREATE TABLE polls (
    job_id    TEXT   PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    commit_id TEXT   NOT NULL,
    next_at   BIGINT NOT NULL
);

-- +goose Down
-- There is no way down; see 00001_first.sql.
