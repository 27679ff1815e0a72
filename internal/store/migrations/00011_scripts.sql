-- +goose Up

-- What a build was to do, as text for people, once it is known.
CREATE TABLE scripts (
    record_id TEXT PRIMARY KEY REFERENCES records (id) ON DELETE CASCADE,
    script    TEXT NOT NULL
);

-- +goose Down
-- There is no way down; see 00001_first.sql.
