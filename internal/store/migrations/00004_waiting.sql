-- +goose Up

-- What a queued build needs of an executor, once its plan is known; and what its log says that it waits for.
ALTER TABLE records ADD COLUMN need_arch TEXT NOT NULL DEFAULT '';
ALTER TABLE records ADD COLUMN need_class TEXT NOT NULL DEFAULT '';
ALTER TABLE records ADD COLUMN waits_for TEXT NOT NULL DEFAULT '';

-- How many builds of a task run is asked with every lease.
CREATE INDEX records_active ON records (job_id) WHERE state IN ('scheduled', 'running');

-- The engines that take builds. One that has not renewed its row in time is gone.
CREATE TABLE engines (
    owner   TEXT    PRIMARY KEY,
    arch    TEXT    NOT NULL,
    classes TEXT    NOT NULL,
    slots   INTEGER NOT NULL,
    until   BIGINT  NOT NULL
);

-- +goose Down
-- There is no way down; see 00001_first.sql.
