-- +goose Up

CREATE TABLE keystore_files (
    id           TEXT    PRIMARY KEY,
    domain_id    TEXT    NOT NULL REFERENCES domains (id),
    name         TEXT    NOT NULL,
    description  TEXT    NOT NULL,
    shared       BOOLEAN NOT NULL,
    content      TEXT    NOT NULL, -- sealed
    creator_id   TEXT    NOT NULL,
    creator_name TEXT    NOT NULL,
    updater_id   TEXT    NOT NULL,
    updater_name TEXT    NOT NULL,
    created_at   BIGINT  NOT NULL,
    updated_at   BIGINT  NOT NULL,
    UNIQUE (domain_id, name)
);

CREATE TABLE keystore_grants (
    id         TEXT    PRIMARY KEY,
    file_id    TEXT    NOT NULL REFERENCES keystore_files (id),
    user_id    TEXT    NOT NULL, -- stays when the user is gone
    user_name  TEXT    NOT NULL,
    may_use    BOOLEAN NOT NULL,
    may_modify BOOLEAN NOT NULL,
    may_delete BOOLEAN NOT NULL,
    may_assign BOOLEAN NOT NULL,
    creator    BOOLEAN NOT NULL,
    fixed      BOOLEAN NOT NULL,
    UNIQUE (file_id, user_id)
);

-- +goose Down
-- There is no way down; see 00001_first.sql.
