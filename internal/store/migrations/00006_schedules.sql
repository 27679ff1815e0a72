-- +goose Up

-- Tasks that a clock builds. They are looked for every minute.
ALTER TABLE jobs ADD COLUMN scheduled BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE jobs SET scheduled = TRUE WHERE config LIKE '%hudson.triggers.TimerTrigger%';
CREATE INDEX jobs_scheduled ON jobs (id) WHERE scheduled AND deleted_at = 0;

-- +goose Down
-- There is no way down; see 00001_first.sql.
