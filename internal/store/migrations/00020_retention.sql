-- +goose Up

-- Builds that are over, in the order in which they ended: the oldest go first.
CREATE INDEX records_finished ON records (finished_at) WHERE parent_id = '' AND finished_at > 0;

-- +goose Down
-- There is no way down; see 00001_first.sql.
