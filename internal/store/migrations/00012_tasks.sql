-- +goose Up

-- The tasks that a user has marked.
CREATE TABLE favourites (
    user_id TEXT NOT NULL,
    job_id  TEXT NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (user_id, job_id)
);
CREATE INDEX favourites_job ON favourites (job_id);

-- The recycle bin. A doomed task cannot be restored: it is being removed with its builds, in pieces.
ALTER TABLE jobs ADD COLUMN doomed BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX jobs_bin ON jobs (project_id, deleted_at) WHERE deleted_at > 0;
CREATE INDEX jobs_doomed ON jobs (id) WHERE doomed;
CREATE INDEX start_tokens_record ON start_tokens (record_id);

-- How long each tenant keeps deleted tasks. One that has not said so has no row.
CREATE TABLE recycle_bins (
    domain_id TEXT   PRIMARY KEY,
    keep_days BIGINT NOT NULL -- so that days in milliseconds do not overflow
);

-- Builds that are gone for good. Their logs lie on the disks of the servers that ran them, and each server removes its own.
CREATE TABLE purged_records (
    id        TEXT   PRIMARY KEY,
    purged_at BIGINT NOT NULL
);
CREATE INDEX purged_records_time ON purged_records (purged_at);

-- A file in a release repository outlives the build that made it, so it refers to nothing that can go.
CREATE TABLE artifacts_free (
    id          TEXT   PRIMARY KEY, -- also the key of the content in the bucket
    project_id  TEXT   NOT NULL,
    version     TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    path        TEXT   NOT NULL, -- in the workspace of the build
    size        BIGINT NOT NULL,
    sha256      TEXT   NOT NULL,
    record_id   TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    replaced_at BIGINT NOT NULL -- 0 while it is what its address stands for
);
INSERT INTO artifacts_free (id, project_id, version, name, path, size, sha256, record_id, created_at, replaced_at)
    SELECT id, project_id, version, name, path, size, sha256, record_id, created_at, replaced_at FROM artifacts;
DROP TABLE artifacts;
ALTER TABLE artifacts_free RENAME TO artifacts;
CREATE UNIQUE INDEX artifacts_address ON artifacts (project_id, version, name) WHERE replaced_at = 0;
CREATE UNIQUE INDEX artifacts_record ON artifacts (record_id, version, name);

-- The groups of a project's tasks: a tree. A path is the ids from the top, joined with dots.
CREATE TABLE job_groups (
    id         TEXT    PRIMARY KEY,
    project_id TEXT    NOT NULL,
    domain_id  TEXT    NOT NULL,
    parent_id  TEXT    NOT NULL, -- empty at the top
    name       TEXT    NOT NULL,
    path       TEXT    NOT NULL,
    ordinal    INTEGER NOT NULL, -- among all groups of the project
    created_by TEXT    NOT NULL, -- names of users
    created_at BIGINT  NOT NULL,
    updated_by TEXT    NOT NULL,
    updated_at BIGINT  NOT NULL
);
CREATE UNIQUE INDEX job_groups_name ON job_groups (project_id, parent_id, name);
CREATE INDEX jobs_group ON jobs (project_id, group_id);

-- +goose Down
-- There is no way down; see 00001_first.sql.
