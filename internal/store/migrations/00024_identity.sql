-- +goose Up

-- What names this database: a data directory says which one it belongs to, so that it is never used with another one.
CREATE TABLE identity (
    name TEXT PRIMARY KEY, -- always 'main'
    id   TEXT NOT NULL
);

-- The content of uploads and archives that is needed no more. Nothing else is ever removed from a bucket. Each server has a
-- bucket of its own, so a row stays until all of them had the time to read it.
CREATE TABLE removed_contents (
    id         TEXT   PRIMARY KEY,
    removed_at BIGINT NOT NULL
);
CREATE INDEX removed_contents_time ON removed_contents (removed_at);
CREATE INDEX reports_archive ON reports (archive_id) WHERE archive_id <> '';

-- +goose Down
-- There is no way down; see 00001_first.sql.
