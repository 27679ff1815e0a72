-- +goose Up

-- The tokens by which clients make a start request safe to repeat: one token of a user starts one build of a job.
CREATE TABLE start_tokens (
    job_id       TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    token        TEXT NOT NULL,
    meaning      TEXT NOT NULL, -- sealed digest of what the request asked for
    record_id    TEXT NOT NULL REFERENCES records (id),
    execution_id TEXT NOT NULL, -- as it was answered; the record may have another one by now
    PRIMARY KEY (job_id, user_id, token)
);

-- +goose Down
-- There is no way down; see 00001_first.sql.
