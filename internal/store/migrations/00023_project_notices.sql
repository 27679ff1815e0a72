-- +goose Up

-- What is told of the jobs of a project that follow it, by channel. The columns are those of notice_settings.
CREATE TABLE project_notices (
    project_id TEXT NOT NULL REFERENCES projects (id),
    channel    TEXT NOT NULL,
    events     TEXT NOT NULL,
    config     TEXT NOT NULL,
    PRIMARY KEY (project_id, channel)
);
ALTER TABLE notice_settings ADD COLUMN follows BOOLEAN NOT NULL DEFAULT FALSE;

-- What is told of a job, by channel: what its own settings say, or those of its project where it follows them.
CREATE VIEW job_notices AS
SELECT s.job_id, s.channel, s.follows,
    CASE WHEN s.follows THEN COALESCE(p.events, '|') ELSE s.events END AS events,
    CASE WHEN s.follows THEN COALESCE(p.config, '') ELSE s.config END AS config
FROM notice_settings s JOIN jobs j ON j.id = s.job_id
LEFT JOIN project_notices p ON p.project_id = j.project_id AND p.channel = s.channel;

-- +goose Down
-- There is no way down; see 00001_first.sql.
