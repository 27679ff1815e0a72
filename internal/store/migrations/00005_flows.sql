-- +goose Up

-- A flow is a build that only waits for others, its children. Each of these is one job of the flow.
ALTER TABLE records ADD COLUMN flow BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE records ADD COLUMN flow_job TEXT NOT NULL DEFAULT '';

CREATE TABLE flow_jobs (
    parent_id  TEXT    NOT NULL REFERENCES records (id),
    sequence   INTEGER NOT NULL,
    name       TEXT    NOT NULL,
    depends_on TEXT    NOT NULL,
    skipped    BOOLEAN NOT NULL,
    child_id   TEXT    NOT NULL, -- of the build that the job becomes
    PRIMARY KEY (parent_id, sequence)
);

-- +goose Down
-- There is no way down; see 00001_first.sql.
