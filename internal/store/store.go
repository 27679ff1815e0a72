// Package store keeps everything that Atelier must not forget in a SQL database: SQLite in the data directory, or PostgreSQL.
//
// It implements the interfaces that the other rooms ask for. Each exported method is one transaction; the unexported
// functions that take a [tx] are its parts. There is one text of every query for both databases: placeholders are written
// as question marks, and what the dialects do not share stands in dialect.go.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"atelier/internal/fault"
	"atelier/internal/filelock"
)

// Store is an open database.
type Store struct {
	dialect dialect
	reader  *pool
	writer  *pool  // the same as reader where the database has many writers
	leases  *pool  // for renewals, which wait for nothing else; the same as writer where there are turns
	turns   *turns // where only one transaction may write at a time; nil otherwise
	epoch   epochCache
	clock   clock
	noticed chan struct{} // holds one token when notices were stored
	id      string
	room    func() bool    // makes room on a disk that is full
	lock    *filelock.Lock // nil where several may serve the database, or where this process does not
}

// Open opens the database at url, makes or updates its schema, and returns it. The url is
// "sqlite:PATH" or "postgres://…". A database that is damaged is an error that says so.
func Open(ctx context.Context, url string, opts ...Option) (_ *Store, err error) {
	var d dialect
	switch scheme, rest, _ := strings.Cut(url, ":"); scheme {
	case "sqlite":
		d = sqlite{path: rest}
	case "postgres", "postgresql":
		d = postgres{url: url}
	default:
		return nil, fault.Field("database", "must begin with sqlite: or postgres://, found %q", scheme)
	}
	o := options{check: func(Identity) error { return nil }, makeRoom: func() bool { return false }}
	for _, option := range opts {
		option(&o)
	}
	if d.isNew() {
		if err := o.check(Identity{Name: d.name(), Empty: true}); err != nil {
			return nil, err
		}
	}
	s := &Store{dialect: d, noticed: make(chan struct{}, 1), room: o.makeRoom}
	defer func() {
		if err != nil {
			err = errors.Join(d.blame(err), s.Close())
		}
	}()
	if o.exclusive {
		if s.lock, err = d.lock(); err != nil {
			return nil, err
		}
	}
	if err := s.connect(); err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	err = s.prepare(ctx, o)
	if d.isFull(err) && s.room() {
		err = s.prepare(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Exclusive reports whether no other process can serve the database as long as this one has it open.
func (s *Store) Exclusive() bool { return s.lock != nil }

// connect opens the connections, of which none need be made yet.
func (s *Store) connect() error {
	reader, writer, err := s.dialect.open()
	if err != nil {
		return err
	}
	s.reader = newPool(reader, s.dialect)
	if writer != reader {
		s.writer = newPool(writer, s.dialect)
		s.leases = s.writer
		s.turns = &turns{taken: make(chan struct{}, 1)}
		return nil
	}
	s.writer = s.reader
	leases, err := s.dialect.openForLeases()
	if err != nil {
		return err
	}
	s.leases = newPool(leases, s.dialect)
	return nil
}

// prepare makes sure that the database is whole, the right one and up to date.
func (s *Store) prepare(ctx context.Context, o options) error {
	identity, err := s.identify(ctx)
	if err != nil {
		return fmt.Errorf("look at the database: %w", err)
	}
	if err := o.check(identity); err != nil {
		return err
	}
	if o.exclusive {
		if err := s.dialect.verify(ctx, s.reader.db); err != nil {
			return err
		}
	}
	if err := migrate(ctx, s.writer.db, s.dialect); err != nil {
		return err
	}
	if err := s.takeID(ctx); err != nil {
		return err
	}
	if err := s.setClock(ctx); err != nil {
		return fmt.Errorf("ask the database for its time: %w", err)
	}
	return nil
}

// Close closes the database.
func (s *Store) Close() error {
	var errs []error
	closed := map[*pool]bool{nil: true}
	for _, p := range []*pool{s.reader, s.writer, s.leases} {
		if !closed[p] {
			closed[p] = true
			errs = append(errs, p.close())
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Unlock())
	}
	return errors.Join(errs...)
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, s.reader.limit)
	defer cancel()
	return late(ctx, limited, s.dialect.explain(s.reader.db.PingContext(limited)))
}

// pool is a set of connections, with the statements that were prepared on them.
type pool struct {
	db      *sql.DB
	dialect dialect
	limit   time.Duration // of one operation
	mu      sync.RWMutex
	stmts   map[string]*sql.Stmt
}

// maxStatements is how many prepared statements a pool keeps. The queries of this package are fewer; lists with filters of
// any length make more, and those beyond the limit are prepared each time.
const maxStatements = 256

func newPool(db *sql.DB, d dialect) *pool {
	return &pool{db: db, dialect: d, limit: operationTimeout, stmts: make(map[string]*sql.Stmt)}
}

func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, stmt := range p.stmts {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, p.db.Close())...)
}

// prepare returns the prepared statement of a query, or nil when it is to be run as it is.
func (p *pool) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if !p.dialect.prepares() {
		return nil, nil
	}
	p.mu.RLock()
	stmt, ok := p.stmts[query]
	full := len(p.stmts) >= maxStatements
	p.mu.RUnlock()
	if ok || full {
		return stmt, nil
	}
	stmt, err := p.db.PrepareContext(ctx, p.dialect.bind(query))
	if err != nil {
		return nil, p.dialect.explain(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if other, ok := p.stmts[query]; ok { // somebody was quicker
		_ = stmt.Close()
		return other, nil
	}
	p.stmts[query] = stmt
	return stmt, nil
}

// scanner is a row.
type scanner interface{ Scan(dest ...any) error }

// failedRow is a row that could not be asked for.
type failedRow struct{ err error }

func (f failedRow) Scan(...any) error { return f.err }

// query asks for rows, once.
func (p *pool) query(ctx context.Context, query string, args ...any) (rows *sql.Rows, err error) {
	stmt, err := p.prepare(ctx, query)
	switch {
	case err != nil:
		return nil, err
	case stmt == nil:
		rows, err = p.db.QueryContext(ctx, p.dialect.bind(query), args...)
	default:
		rows, err = stmt.QueryContext(ctx, args...)
	}
	return rows, p.dialect.explain(err)
}

// queryRow asks for a row, once.
func (p *pool) queryRow(ctx context.Context, query string, args ...any) scanner {
	stmt, err := p.prepare(ctx, query)
	switch {
	case err != nil:
		return failedRow{err}
	case stmt == nil:
		return explainedRow{p.db.QueryRowContext(ctx, p.dialect.bind(query), args...), p.dialect}
	default:
		return explainedRow{stmt.QueryRowContext(ctx, args...), p.dialect}
	}
}

type explainedRow struct {
	row     *sql.Row
	dialect dialect
}

func (r explainedRow) Scan(dest ...any) error { return r.dialect.explain(r.row.Scan(dest...)) }

// tx is a transaction that writes.
type tx struct {
	ctx     context.Context // with the limit of the transaction; nil where several share a turn, whose statements have their callers'
	sql     *sql.Tx
	pool    *pool
	noticed bool // notices were stored
}

// limited returns the context of a statement.
func (t *tx) limited(ctx context.Context) context.Context {
	if t.ctx == nil {
		return ctx
	}
	return t.ctx
}

// rows asks for rows, which collect reads.
func (t *tx) rows(ctx context.Context, query string, args ...any) (resultRows, error) {
	ctx = t.limited(ctx)
	stmt, err := t.pool.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	var rows *sql.Rows
	if stmt == nil {
		rows, err = t.sql.QueryContext(ctx, t.pool.dialect.bind(query), args...) //nolint:rowserrcheck // collect does
	} else {
		rows, err = t.sql.StmtContext(ctx, stmt).QueryContext(ctx, args...) //nolint:rowserrcheck // collect does
	}
	return rows, t.pool.dialect.explain(err)
}

func (t *tx) row(ctx context.Context, query string, args ...any) scanner {
	ctx = t.limited(ctx)
	stmt, err := t.pool.prepare(ctx, query)
	switch {
	case err != nil:
		return failedRow{err}
	case stmt == nil:
		return explainedRow{t.sql.QueryRowContext(ctx, t.pool.dialect.bind(query), args...), t.pool.dialect}
	default:
		return explainedRow{t.sql.StmtContext(ctx, stmt).QueryRowContext(ctx, args...), t.pool.dialect}
	}
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	ctx = t.limited(ctx)
	stmt, err := t.pool.prepare(ctx, query)
	if err != nil {
		return 0, err
	}
	var result sql.Result
	if stmt == nil {
		result, err = t.sql.ExecContext(ctx, t.pool.dialect.bind(query), args...)
	} else {
		result, err = t.sql.StmtContext(ctx, stmt).ExecContext(ctx, args...)
	}
	if err != nil {
		return 0, t.pool.dialect.explain(err)
	}
	return result.RowsAffected()
}

// millis returns a time as it is stored: milliseconds since 1970, 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// moment is the reverse of millis.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
