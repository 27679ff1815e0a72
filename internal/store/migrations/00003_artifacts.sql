-- +goose Up

-- The files that builds have put into the release repositories of their projects, one row for each upload. A file that was
-- replaced keeps its row, because its build did upload it; the content is gone.
CREATE TABLE artifacts (
    id          TEXT   PRIMARY KEY, -- also the key of the content in the bucket
    project_id  TEXT   NOT NULL,
    version     TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    path        TEXT   NOT NULL, -- in the workspace of the build
    size        BIGINT NOT NULL,
    sha256      TEXT   NOT NULL,
    record_id   TEXT   NOT NULL REFERENCES records (id),
    created_at  BIGINT NOT NULL,
    replaced_at BIGINT NOT NULL -- 0 while it is what its address stands for
);
CREATE UNIQUE INDEX artifacts_address ON artifacts (project_id, version, name) WHERE replaced_at = 0;
CREATE UNIQUE INDEX artifacts_record ON artifacts (record_id, version, name);

-- +goose Down
-- There is no way down; see 00001_first.sql.
