-- +goose Up

-- Nobody started the build in person: a timer or a change of code did.
ALTER TABLE records ADD COLUMN unattended BOOLEAN NOT NULL DEFAULT FALSE;
-- Who told of a change, or had it told again; empty when a host of repositories did, or the service found out.
ALTER TABLE deliveries ADD COLUMN user_id TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries ADD COLUMN user_name TEXT NOT NULL DEFAULT '';

-- +goose Down
-- There is no way down; see 00001_first.sql.
