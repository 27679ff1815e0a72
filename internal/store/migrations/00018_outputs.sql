-- +goose Up

-- What builds have put into registries and object stores.
CREATE TABLE outputs (
    record_id TEXT NOT NULL REFERENCES records (id) ON DELETE CASCADE,
    kind      TEXT NOT NULL,
    reference TEXT NOT NULL, -- where it is
    digest    TEXT NOT NULL,
    PRIMARY KEY (record_id, reference)
);

-- +goose Down
-- There is no way down; see 00001_first.sql.
