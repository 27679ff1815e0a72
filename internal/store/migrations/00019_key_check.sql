-- +goose Up

-- A text that only the right key opens, so that a wrong key file is found at the start.
CREATE TABLE key_checks (
    name   TEXT PRIMARY KEY, -- always 'main'
    sealed TEXT NOT NULL
);

-- +goose Down
-- There is no way down; see 00001_first.sql.
