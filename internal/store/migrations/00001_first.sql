-- +goose Up

-- One text for SQLite and PostgreSQL. Times are milliseconds since 1970, 0 for "not yet"; lists and maps are JSON text.

CREATE TABLE settings (
    name  TEXT   PRIMARY KEY,
    value BIGINT NOT NULL
);
-- Whoever changes what a cache may hold adds one; see epoch.go.
INSERT INTO settings (name, value) VALUES ('epoch', 1);

CREATE TABLE domains (
    id         TEXT   PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE users (
    id            TEXT    PRIMARY KEY,
    domain_id     TEXT    NOT NULL REFERENCES domains (id),
    name          TEXT    NOT NULL,
    password_hash TEXT    NOT NULL, -- argon2id with its parameters; empty when the user has none
    administrator BOOLEAN NOT NULL, -- of the domain
    enabled       BOOLEAN NOT NULL,
    generation    INTEGER NOT NULL, -- tokens and temporary keys of an older one are not live
    created_at    BIGINT  NOT NULL,
    UNIQUE (domain_id, name)
);

-- An IAM project stands for a region of a domain; it is not a project with build tasks in it.
CREATE TABLE iam_projects (
    id         TEXT   PRIMARY KEY,
    domain_id  TEXT   NOT NULL REFERENCES domains (id),
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (domain_id, name)
);

CREATE TABLE access_keys (
    access      TEXT    PRIMARY KEY,
    user_id     TEXT    NOT NULL REFERENCES users (id),
    secret      TEXT    NOT NULL, -- sealed
    description TEXT    NOT NULL,
    active      BOOLEAN NOT NULL,
    created_at  BIGINT  NOT NULL,
    expires_at  BIGINT  NOT NULL, -- 0 for a permanent key
    session     TEXT    NOT NULL, -- hash of the security token that a temporary key needs
    generation  INTEGER NOT NULL, -- of the user, when a temporary key was made
    origin      TEXT    NOT NULL  -- permanent key that a temporary one goes back to; empty for a password
);
CREATE INDEX access_keys_user ON access_keys (user_id);
CREATE INDEX access_keys_expiry ON access_keys (expires_at) WHERE expires_at > 0;

CREATE TABLE tokens (
    hash           TEXT    PRIMARY KEY, -- SHA-256 of the token
    user_id        TEXT    NOT NULL REFERENCES users (id),
    method         TEXT    NOT NULL,
    iam_project_id TEXT    NOT NULL, -- empty when the scope is the domain
    generation     INTEGER NOT NULL, -- of the user, when it was issued
    origin         TEXT    NOT NULL, -- permanent access key that it goes back to; empty for a password
    issued_at      BIGINT  NOT NULL,
    expires_at     BIGINT  NOT NULL
);
CREATE INDEX tokens_user ON tokens (user_id);
CREATE INDEX tokens_expiry ON tokens (expires_at);

CREATE TABLE projects (
    id         TEXT   PRIMARY KEY,
    domain_id  TEXT   NOT NULL REFERENCES domains (id),
    name       TEXT   NOT NULL,
    creator_id TEXT   NOT NULL, -- empty when the installation's owner made it
    created_at BIGINT NOT NULL,
    UNIQUE (domain_id, name)
);

CREATE TABLE members (
    project_id TEXT NOT NULL REFERENCES projects (id),
    user_id    TEXT NOT NULL REFERENCES users (id),
    role       TEXT NOT NULL,
    PRIMARY KEY (project_id, user_id, role)
);
CREATE INDEX members_user ON members (user_id);

CREATE TABLE jobs (
    id               TEXT    PRIMARY KEY,
    build_project_id TEXT    NOT NULL UNIQUE,
    project_id       TEXT    NOT NULL,
    domain_id        TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    group_id         TEXT    NOT NULL,
    version          INTEGER NOT NULL,
    config           TEXT    NOT NULL,
    creator_id       TEXT    NOT NULL,
    creator_name     TEXT    NOT NULL,
    created_at       BIGINT  NOT NULL,
    updated_at       BIGINT  NOT NULL,
    disabling        TEXT    NOT NULL, -- empty when the job may run
    last_number      INTEGER NOT NULL, -- of the newest build
    day              TEXT    NOT NULL, -- of the newest build
    day_count        INTEGER NOT NULL, -- of the builds on that day
    counters         TEXT    NOT NULL, -- of the auto-increment parameters
    active_at        BIGINT  NOT NULL, -- newest build, or creation: what lists are ordered by
    deleted_at       BIGINT  NOT NULL,
    deleted_by       TEXT    NOT NULL
);
CREATE UNIQUE INDEX jobs_name ON jobs (project_id, name) WHERE deleted_at = 0;
CREATE INDEX jobs_activity ON jobs (project_id, active_at) WHERE deleted_at = 0;
CREATE INDEX jobs_domain ON jobs (domain_id) WHERE deleted_at = 0;

-- Every configuration that a job ever had. A build runs the one that its record names.
CREATE TABLE job_versions (
    job_id    TEXT    NOT NULL REFERENCES jobs (id),
    version   INTEGER NOT NULL,
    config    TEXT    NOT NULL,
    user_id   TEXT    NOT NULL,
    user_name TEXT    NOT NULL,
    saved_at  BIGINT  NOT NULL,
    PRIMARY KEY (job_id, version)
);

CREATE TABLE records (
    id                TEXT    PRIMARY KEY,
    info_id           TEXT    NOT NULL,
    parent_id         TEXT    NOT NULL, -- empty unless the build is part of a flow
    job_id            TEXT    NOT NULL REFERENCES jobs (id),
    job_name          TEXT    NOT NULL,
    job_version       INTEGER NOT NULL,
    config_kind       TEXT    NOT NULL,
    number            INTEGER NOT NULL,
    daily_number      TEXT    NOT NULL,
    execution_id      TEXT    NOT NULL,
    user_id           TEXT    NOT NULL,
    user_name         TEXT    NOT NULL,
    trigger_type      TEXT    NOT NULL,
    rerun             BOOLEAN NOT NULL,
    repo              TEXT    NOT NULL,
    ref_kind          TEXT    NOT NULL,
    branch            TEXT    NOT NULL,
    tag               TEXT    NOT NULL,
    commit_id         TEXT    NOT NULL,
    commit_message    TEXT    NOT NULL,
    commit_time       BIGINT  NOT NULL,
    build_file        TEXT    NOT NULL,
    parameters        TEXT    NOT NULL,
    warnings          TEXT    NOT NULL,
    state             TEXT    NOT NULL,
    error             TEXT    NOT NULL,
    private_pool      BOOLEAN NOT NULL,
    region            TEXT    NOT NULL,
    created_at        BIGINT  NOT NULL,
    scheduled_at      BIGINT  NOT NULL,
    queued_at         BIGINT  NOT NULL,
    started_at        BIGINT  NOT NULL,
    runnable_at       BIGINT  NOT NULL,
    finished_at       BIGINT  NOT NULL,
    stop_requested_at BIGINT  NOT NULL,
    stop_requested_by TEXT    NOT NULL,
    lease_owner       TEXT    NOT NULL, -- the engine that holds the build
    lease_fence       BIGINT  NOT NULL, -- grows with every lease; a report with an old one is refused
    lease_until       BIGINT  NOT NULL
);
CREATE UNIQUE INDEX records_number ON records (job_id, number) WHERE parent_id = '';
CREATE INDEX records_created ON records (job_id, created_at);
CREATE INDEX records_parent ON records (parent_id) WHERE parent_id <> '';
CREATE INDEX records_queue ON records (queued_at, id) WHERE state = 'queued';
CREATE INDEX records_leases ON records (lease_until) WHERE state IN ('scheduled', 'running');

CREATE TABLE steps (
    record_id   TEXT    NOT NULL REFERENCES records (id),
    sequence    INTEGER NOT NULL,
    id          TEXT    NOT NULL,
    stage       TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    keyword     TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    exit_code   INTEGER NOT NULL,
    ignored     BOOLEAN NOT NULL,
    started_at  BIGINT  NOT NULL,
    finished_at BIGINT  NOT NULL,
    log_start   BIGINT  NOT NULL,
    log_end     BIGINT  NOT NULL,
    PRIMARY KEY (record_id, sequence)
);

-- +goose Down
-- There is no way down: an older program refuses a newer database, and a backup is the way back.
