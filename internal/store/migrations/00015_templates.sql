-- +goose Up

CREATE TABLE templates (
    uuid        TEXT   PRIMARY KEY,
    domain_id   TEXT   NOT NULL REFERENCES domains (id),
    name        TEXT   NOT NULL,
    description TEXT   NOT NULL,
    tool        TEXT   NOT NULL,
    config      TEXT   NOT NULL, -- parameters and steps, as a job's configuration
    user_id     TEXT   NOT NULL,
    user_name   TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    UNIQUE (domain_id, name)
);

-- Of custom and official templates; the latter are in no table.
CREATE TABLE template_favourites (
    user_id TEXT NOT NULL,
    uuid    TEXT NOT NULL,
    PRIMARY KEY (user_id, uuid)
);

CREATE TABLE template_uses (
    uuid      TEXT NOT NULL,
    job_id    TEXT NOT NULL,
    domain_id TEXT NOT NULL,
    PRIMARY KEY (uuid, job_id)
);

-- +goose Down
-- There is no way down; see 00001_first.sql.
