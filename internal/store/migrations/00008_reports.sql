-- +goose Up

-- What the tests of a step came to, and the coverage that it left.
CREATE TABLE reports (
    record_id  TEXT    NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    sequence   INTEGER NOT NULL, -- of the step
    id         TEXT    NOT NULL,
    stage      TEXT    NOT NULL,
    files      INTEGER NOT NULL, -- with results; 0 when there is only coverage
    succeeded  INTEGER NOT NULL,
    failed     INTEGER NOT NULL,
    errors     INTEGER NOT NULL,
    skipped    INTEGER NOT NULL,
    duration   BIGINT  NOT NULL, -- of the tests, in milliseconds
    coverage   TEXT    NOT NULL,
    archive_id TEXT    NOT NULL, -- key in the bucket of the ZIP with the coverage reports; empty when there is none
    created_at BIGINT  NOT NULL,
    PRIMARY KEY (record_id, sequence)
);

-- The repositories and branches that a task has built, as trends are asked for; those of builds before this version are not known.
ALTER TABLE records ADD COLUMN repo_name TEXT NOT NULL DEFAULT '';
CREATE INDEX records_repo ON records (job_id, repo_name, branch) WHERE parent_id = '';

-- +goose Down
-- There is no way down; see 00001_first.sql.
