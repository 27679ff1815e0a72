-- +goose Up

CREATE TABLE endpoints (
    id           TEXT   PRIMARY KEY,
    project_id   TEXT   NOT NULL REFERENCES projects (id),
    name         TEXT   NOT NULL,
    kind         TEXT   NOT NULL,
    url          TEXT   NOT NULL,
    user_name    TEXT   NOT NULL,
    password     TEXT   NOT NULL, -- sealed
    region       TEXT   NOT NULL,
    creator_id   TEXT   NOT NULL, -- stays when the user is gone; empty when the operator made it
    creator_name TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    UNIQUE (project_id, name)
);

-- +goose Down
-- There is no way down; see 00001_first.sql.
