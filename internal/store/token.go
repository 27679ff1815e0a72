package store

import (
	"context"
	"strings"
	"time"

	"atelier/internal/fault"
	"atelier/internal/iam"
)

// CreateToken implements [iam.Store]. It does not move the epoch: nobody remembers a token that did not exist.
func (s *Store) CreateToken(ctx context.Context, token iam.StoredToken) error {
	return s.write(ctx, func(t *tx) error {
		if err := lockParent(ctx, t, token.UserID, token.Line); err != nil {
			return err
		}
		_, err := t.exec(ctx, `INSERT INTO tokens (hash, user_id, method, iam_project_id, generation, origin, issued_at, expires_at, line)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, token.Hash, token.UserID, string(token.Method), token.Region.ID, token.Generation, token.Origin,
			millis(token.IssuedAt), millis(token.ExpiresAt), token.Line)
		return err
	})
}

// lockParent keeps what a token or a key is got with from being revoked unseen. It is an error when that is gone.
func lockParent(ctx context.Context, t *tx, userID, line string) error {
	end := strings.LastIndex(line, iam.LineSeparator)
	if end < 0 {
		return nil
	}
	for _, statement := range []string{
		`UPDATE tokens SET line = line WHERE user_id = ? AND line = ?`, `UPDATE access_keys SET line = line WHERE user_id = ? AND line = ?`,
	} {
		if n, err := t.exec(ctx, statement, userID, line[:end]); err != nil || n > 0 {
			return err
		}
	}
	return fault.New(fault.NotFound, "the token does not exist")
}

var selectToken = `SELECT tokens.hash, tokens.user_id, tokens.method, tokens.generation, tokens.origin, tokens.issued_at, tokens.expires_at, tokens.line,
	tokens.iam_project_id, COALESCE(iam_projects.domain_id, ''), COALESCE(iam_projects.name, ''), COALESCE(iam_projects.created_at, 0), ` +
	isLive("tokens") + `, ` + accountColumns + `
	FROM tokens JOIN users ON users.id = tokens.user_id` + accountJoin + `
	LEFT JOIN iam_projects ON iam_projects.id = tokens.iam_project_id
	LEFT JOIN access_keys origins ON origins.access = tokens.origin
	WHERE tokens.hash = ?`

// Token implements [iam.Store].
func (s *Store) Token(ctx context.Context, hash string) (iam.StoredToken, iam.Account, error) {
	var t iam.StoredToken
	var issued, expires, regionCreated int64
	var a accountRow
	dest := append([]any{
		&t.Hash, &t.UserID, &t.Method, &t.Generation, &t.Origin, &issued, &expires, &t.Line,
		&t.Region.ID, &t.Region.DomainID, &t.Region.Name, &regionCreated, &t.Live,
	}, a.dest()...)
	if err := s.reader.row(ctx, selectToken, hash).Scan(dest...); err != nil {
		return iam.StoredToken{}, iam.Account{}, missing(err, "the token does not exist")
	}
	t.IssuedAt, t.ExpiresAt, t.Region.CreatedAt = moment(issued), moment(expires), moment(regionCreated)
	return t, a.value(), nil
}

// DeleteToken implements [iam.Store]. What is got with something that goes meanwhile is seen at the next try, since whoever gets it
// holds the row of the other.
func (s *Store) DeleteToken(ctx context.Context, hash string) error {
	return s.writeEpoch(ctx, func(t *tx) error {
		var userID, line string
		if err := t.row(ctx, `DELETE FROM tokens WHERE hash = ? RETURNING user_id, line`, hash).Scan(&userID, &line); err != nil {
			return missing(err, "the token does not exist")
		}
		for n := int64(1); n > 0 && line != ""; {
			n = 0
			for _, table := range []string{"tokens", "access_keys"} {
				gone, err := t.exec(ctx, `DELETE FROM `+table+` WHERE user_id = ? AND line LIKE ?`, userID, line+iam.LineSeparator+"%")
				if err != nil {
					return err
				}
				n += gone
			}
		}
		return nil
	})
}

// sweepBatch is how many rows are removed in one transaction, so that nobody waits long for it.
const sweepBatch = 100

// DeleteExpired implements [iam.Store]. It does not move the epoch: caches look at the time themselves.
func (s *Store) DeleteExpired(ctx context.Context, before time.Time) error {
	for _, statement := range []string{
		`DELETE FROM tokens WHERE hash IN (SELECT hash FROM tokens WHERE expires_at <= ? LIMIT ?)`,
		`DELETE FROM access_keys WHERE access IN (SELECT access FROM access_keys WHERE expires_at > 0 AND expires_at <= ? LIMIT ?)`,
	} {
		for n := int64(sweepBatch); n == sweepBatch; {
			err := s.write(ctx, func(t *tx) (err error) {
				n, err = t.exec(ctx, statement, millis(before), sweepBatch)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
