-- +goose Up

-- What a token or a temporary key was got with: the ids of those before it, and its own at the end. A revoked one takes all with
-- it whose line goes through it. Empty for those of before this was stored, and for permanent keys.
ALTER TABLE tokens ADD COLUMN line TEXT NOT NULL DEFAULT '';
ALTER TABLE access_keys ADD COLUMN line TEXT NOT NULL DEFAULT '';

-- +goose Down
-- There is no way down; see 00001_first.sql.
