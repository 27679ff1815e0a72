package store

import (
	"context"
	"database/sql"
	"errors"
)

const keyCheckQuery = `SELECT sealed FROM key_checks WHERE name = 'main'`

// KeyCheck returns the sealed text by which the right key is known. The first time, it is what seal returns.
func (s *Store) KeyCheck(ctx context.Context, seal func() (string, error)) (sealed string, err error) {
	if err = s.reader.row(ctx, keyCheckQuery).Scan(&sealed); !errors.Is(err, sql.ErrNoRows) {
		return sealed, err
	}
	own, err := seal()
	if err != nil {
		return "", err
	}
	err = s.write(ctx, func(t *tx) error {
		if _, err := t.exec(ctx, `INSERT INTO key_checks (name, sealed) VALUES ('main', ?) ON CONFLICT DO NOTHING`, own); err != nil {
			return err
		}
		return t.row(ctx, keyCheckQuery).Scan(&sealed) // another server may have been quicker
	})
	return sealed, err
}
