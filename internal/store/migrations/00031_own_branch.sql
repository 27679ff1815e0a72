-- +goose Up

-- What is built is the head of the branch that the job names.
ALTER TABLE records ADD COLUMN own_branch BOOLEAN NOT NULL DEFAULT FALSE;

-- +goose Down
-- There is no way down; see 00001_first.sql.
