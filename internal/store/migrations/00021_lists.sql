-- +goose Up

-- How many builds of a job are kept, without the children of flows: lists say it with every page.
ALTER TABLE jobs ADD COLUMN builds INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET builds = (SELECT count(*) FROM records WHERE records.job_id = jobs.id AND records.parent_id = '');

-- The builds that are not over, for clients that ask again and again whether any is.
CREATE INDEX records_open ON records (job_id, number) WHERE finished_at = 0 AND parent_id = '';

-- The newest success of a repository.
CREATE INDEX records_succeeded ON records (job_id, repo_name, number) WHERE state = 'succeeded' AND parent_id = '';

-- Lists of the builds of a branch, of a tag, or of a trigger.
CREATE INDEX records_branch ON records (job_id, branch, number) WHERE parent_id = '';
CREATE INDEX records_trigger ON records (job_id, trigger_type, number) WHERE parent_id = '';
CREATE INDEX records_tag ON records (job_id, tag, number) WHERE tag <> '' AND parent_id = '';

-- +goose Down
-- There is no way down; see 00001_first.sql.
