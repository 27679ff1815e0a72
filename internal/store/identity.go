package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"atelier/internal/build"
)

// Identity is what a database says of itself before anything in it is changed.
type Identity struct {
	Name   string // for messages; without a password
	ID     string // "" when it has none yet: it is empty, or an earlier version of the schema
	Empty  bool   // it has no schema
	Sealed string // the text that only the right key opens; "" when no secret was stored yet
}

// Option changes how [Open] opens a database.
type Option func(*options)

type options struct {
	check     func(Identity) error
	exclusive bool
	makeRoom  func() bool
}

// Check has [Open] ask whether the database is the right one before it makes or changes anything. The error of check is
// Open's.
func Check(check func(Identity) error) Option { return func(o *options) { o.check = check } }

// Exclusive has [Open] refuse a database that only one process can serve, and that another process has opened so. Processes
// that open it without this option are not kept out.
func Exclusive() Option { return func(o *options) { o.exclusive = true } }

// Name names the database in messages, without a password.
func (s *Store) Name() string { return s.dialect.name() }

// MakeRoom has the store call a function when the disk is full. If that has made room the transaction is tried again.
func MakeRoom(makeRoom func() bool) Option { return func(o *options) { o.makeRoom = makeRoom } }

// ID returns what names the database. It is made with the database and never changes.
func (s *Store) ID() string { return s.id }

// identify reads what the database says of itself.
func (s *Store) identify(ctx context.Context) (Identity, error) {
	i := Identity{Name: s.dialect.name()}
	for table, read := range map[string]func() error{
		"goose_db_version": func() error { return nil },
		"identity": func() error {
			return optional(s.reader.row(ctx, `SELECT id FROM identity WHERE name = 'main'`).Scan(&i.ID))
		},
		"key_checks": func() error { return optional(s.reader.row(ctx, keyCheckQuery).Scan(&i.Sealed)) },
	} {
		var there bool
		if err := s.reader.db.QueryRowContext(ctx, s.dialect.hasTable(), table).Scan(&there); err != nil {
			return i, s.dialect.explain(err)
		}
		if !there {
			i.Empty = i.Empty || table == "goose_db_version"
			continue
		}
		if err := read(); err != nil {
			return i, err
		}
	}
	return i, nil
}

// optional takes a row that is not there for one that says nothing.
func optional(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// takeID reads the id of the database, and makes one for a database that has none.
func (s *Store) takeID(ctx context.Context) error {
	const query = `SELECT id FROM identity WHERE name = 'main'`
	err := s.reader.row(ctx, query).Scan(&s.id)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return s.write(ctx, func(t *tx) error {
		if _, err := t.exec(ctx, `INSERT INTO identity (name, id) VALUES ('main', ?) ON CONFLICT DO NOTHING`, build.NewHexID()); err != nil {
			return fmt.Errorf("name the database: %w", err)
		}
		return t.row(ctx, query).Scan(&s.id) // another server may have been quicker
	})
}
