-- +goose Up

-- How much the artifacts of a project take that stand at an address, counted in the transactions that change it.
CREATE TABLE artifact_usage (
    project_id TEXT   PRIMARY KEY,
    bytes      BIGINT NOT NULL
);
INSERT INTO artifact_usage (project_id, bytes) SELECT project_id, CAST(SUM(size) AS BIGINT) FROM artifacts WHERE replaced_at = 0 GROUP BY project_id;

-- +goose Down
-- There is no way down; see 00001_first.sql.
