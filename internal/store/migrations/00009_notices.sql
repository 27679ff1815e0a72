-- +goose Up

-- What is told of a job, by channel.
CREATE TABLE notice_settings (
    job_id  TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    channel TEXT NOT NULL,
    events  TEXT NOT NULL, -- with a bar before and behind each: |deleteJob|buildJobFail|
    config  TEXT NOT NULL, -- sealed; empty when there is none
    PRIMARY KEY (job_id, channel)
);

-- What is to be told. A row is written together with what happened.
CREATE TABLE notices (
    id            TEXT    PRIMARY KEY,
    job_id        TEXT    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    record_id     TEXT    NOT NULL, -- empty when it is not about a build
    event         TEXT    NOT NULL,
    channel       TEXT    NOT NULL,
    user_id       TEXT    NOT NULL,
    user_name     TEXT    NOT NULL,
    at            BIGINT  NOT NULL,
    state         TEXT    NOT NULL, -- waiting, sent, failed
    tries         INTEGER NOT NULL,
    next_at       BIGINT  NOT NULL,
    error         TEXT    NOT NULL  -- of the last try
);
CREATE INDEX notices_due ON notices (next_at) WHERE state = 'waiting';
CREATE INDEX notices_job ON notices (job_id);
CREATE INDEX notices_done ON notices (at) WHERE state <> 'waiting';

CREATE TABLE messages (
    id      TEXT   NOT NULL, -- of the notice
    user_id TEXT   NOT NULL,
    job_id  TEXT   NOT NULL,
    event   TEXT   NOT NULL,
    title   TEXT   NOT NULL,
    text    TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    read_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, id)
);
CREATE INDEX messages_user ON messages (user_id, at);
CREATE INDEX messages_age ON messages (at);

ALTER TABLE users ADD COLUMN email TEXT NOT NULL DEFAULT '';

-- +goose Down
-- There is no way down; see 00001_first.sql.
