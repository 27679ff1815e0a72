-- +goose Up

CREATE TABLE hook_secrets (
    project_id TEXT PRIMARY KEY REFERENCES projects (id),
    secret     TEXT NOT NULL -- sealed
);

-- What hosts of repositories have told.
CREATE TABLE deliveries (
    id          TEXT    PRIMARY KEY,
    project_id  TEXT    NOT NULL REFERENCES projects (id),
    job_id      TEXT    NOT NULL, -- empty when it is for all tasks of the project
    provider    TEXT    NOT NULL,
    event       TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    push        TEXT    NOT NULL,
    received_at BIGINT  NOT NULL,
    replays     INTEGER NOT NULL,
    next_at     BIGINT  NOT NULL, -- when somebody may look at it; 0 when somebody has
    handled_at  BIGINT  NOT NULL,
    outcome     TEXT    NOT NULL,
    results     TEXT    NOT NULL,
    UNIQUE (project_id, key)
);
CREATE INDEX deliveries_waiting ON deliveries (next_at) WHERE next_at > 0;
CREATE INDEX deliveries_project ON deliveries (project_id, received_at);
CREATE INDEX deliveries_age ON deliveries (received_at);

-- +goose Down
-- There is no way down; see 00001_first.sql.
