-- +goose Up

-- What roles may do with a job that does not follow its project. The rows stay when it follows the project again, and count once more
-- when it no longer does.
ALTER TABLE jobs ADD COLUMN own_rights BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE job_rights (
    job_id     TEXT    NOT NULL REFERENCES jobs (id),
    role       TEXT    NOT NULL,
    rights     INTEGER NOT NULL, -- the sum of 1 << right; see build.Right
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL,
    PRIMARY KEY (job_id, role)
);

-- +goose Down
-- There is no way down; see 00001_first.sql.
