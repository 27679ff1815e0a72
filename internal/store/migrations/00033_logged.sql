-- +goose Up

-- A build that is over had begun a log. One that was stopped before it had any has none that could be missing.
ALTER TABLE records ADD COLUMN logged BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE records SET logged = TRUE WHERE runnable_at > 0 AND finished_at > 0;

-- +goose Down
-- There is no way down; see 00001_first.sql.
