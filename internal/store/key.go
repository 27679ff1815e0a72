package store

import (
	"context"

	"atelier/internal/fault"
	"atelier/internal/iam"
)

const keyColumns = `access_keys.access, access_keys.user_id, access_keys.description, access_keys.active, access_keys.created_at, access_keys.expires_at`

// keyRow receives keyColumns.
type keyRow struct {
	key              iam.AccessKey
	created, expires int64
}

func (r *keyRow) dest() []any {
	k := &r.key
	return []any{&k.Access, &k.UserID, &k.Description, &k.Active, &r.created, &r.expires}
}

func (r *keyRow) value() iam.AccessKey {
	r.key.CreatedAt, r.key.ExpiresAt = moment(r.created), moment(r.expires)
	return r.key
}

var errNoKey = fault.New(fault.NotFound, "the access key does not exist")

// CreateKey implements [iam.Store]. It does not move the epoch: nobody remembers a key that did not exist.
func (s *Store) CreateKey(ctx context.Context, key iam.StoredKey, most int) error {
	return s.write(ctx, func(t *tx) error {
		if key.ExpiresAt.IsZero() {
			if err := checkKeyCount(ctx, t, key.UserID, most); err != nil {
				return err
			}
		}
		if err := lockParent(ctx, t, key.UserID, key.Line); err != nil {
			return err
		}
		_, err := t.exec(ctx, `INSERT INTO access_keys (access, user_id, secret, description, active, created_at, expires_at, session, generation, origin, line)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, key.Access, key.UserID, key.Sealed, key.Description, key.Active, millis(key.CreatedAt),
			millis(key.ExpiresAt), key.Session, key.Generation, key.Origin, key.Line)
		return s.taken(err, "the access key exists already")
	})
}

func checkKeyCount(ctx context.Context, t *tx, userID string, most int) error {
	if err := lockUser(ctx, t, userID); err != nil {
		return err
	}
	var n int
	if err := t.row(ctx, `SELECT count(*) FROM access_keys WHERE user_id = ? AND expires_at = 0`, userID).Scan(&n); err != nil {
		return err
	}
	if n >= most {
		return fault.New(fault.Limit, "the user has %d access keys, no more than %d are allowed; delete one first", n, most)
	}
	return nil
}

// isLive is computed for what a user was handed out, a row of the table that it is written for: whether the user's generation is the
// same still, and the permanent key that it goes back to is there and active.
func isLive(table string) string {
	return `(` + table + `.generation = users.generation AND (` + table + `.origin = '' OR COALESCE(origins.active, FALSE)))`
}

var selectKey = `SELECT ` + keyColumns + `, access_keys.secret, access_keys.session, access_keys.generation, access_keys.origin, access_keys.line, ` +
	isLive("access_keys") + `, ` + accountColumns + `
	FROM access_keys JOIN users ON users.id = access_keys.user_id` + accountJoin + `
	LEFT JOIN access_keys origins ON origins.access = access_keys.origin
	WHERE access_keys.access = ?`

// Key implements [iam.Store].
func (s *Store) Key(ctx context.Context, access string) (iam.StoredKey, iam.Account, error) {
	if !isText(access) {
		return iam.StoredKey{}, iam.Account{}, errNoKey
	}
	var r keyRow
	var k iam.StoredKey
	var a accountRow
	dest := append(append(r.dest(), &k.Sealed, &k.Session, &k.Generation, &k.Origin, &k.Line, &k.Live), a.dest()...)
	if err := s.reader.row(ctx, selectKey, access).Scan(dest...); err != nil {
		return iam.StoredKey{}, iam.Account{}, missing(err, "%s", errNoKey.Message)
	}
	k.AccessKey = r.value()
	return k, a.value(), nil
}

// Keys implements [iam.Store].
func (s *Store) Keys(ctx context.Context, userID string) ([]iam.AccessKey, error) {
	rows, err := s.reader.rows(ctx, `SELECT `+keyColumns+` FROM access_keys WHERE user_id = ? AND expires_at = 0 ORDER BY created_at, access`, userID)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (iam.AccessKey, error) {
		var r keyRow
		err := row.Scan(r.dest()...)
		return r.value(), err
	})
}

// SetKeyActive implements [iam.Store].
func (s *Store) SetKeyActive(ctx context.Context, access string, active bool) error {
	return s.changeOne(ctx, errNoKey, `UPDATE access_keys SET active = ? WHERE access = ? AND expires_at = 0`, active, access)
}

// DeleteKey implements [iam.Store]. What goes back to the key is not live any more without it, and goes when it expires.
func (s *Store) DeleteKey(ctx context.Context, access string) error {
	return s.changeOne(ctx, errNoKey, `DELETE FROM access_keys WHERE access = ? AND expires_at = 0`, access)
}

// changeOne runs a statement that changes what caches hold; notFound is its error when it changes nothing.
func (s *Store) changeOne(ctx context.Context, notFound error, query string, args ...any) error {
	return s.writeEpoch(ctx, func(t *tx) error {
		n, err := t.exec(ctx, query, args...)
		if err == nil && n == 0 {
			return notFound
		}
		return err
	})
}
