-- +goose Up

-- What all branches of such a job's repository had when somebody looked last; the repository may be another one meanwhile.
ALTER TABLE polls DROP COLUMN commit_id;
ALTER TABLE polls ADD COLUMN seen TEXT NOT NULL DEFAULT '{}';

-- +goose Down
-- There is no way down; see 00001_first.sql.
