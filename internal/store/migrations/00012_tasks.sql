-- +goose Up

-- The tasks that a user has marked.
CREATE TABLE favourites (
    user_id TEXT NOT NULL,
    job_id  TEXT NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (user_id, job_id)
);
CREATE INDEX favourites_job ON favourites (job_id);

-- +goose Down
-- There is no way down; see 00001_first.sql.
