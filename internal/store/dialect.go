package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	sqlitedriver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"atelier/internal/fault"
	"atelier/internal/filelock"
)

// dialect is what the two databases do not share.
type dialect interface {
	// open returns connections to read with and to write with; they may be the same.
	open() (reader, writer *sql.DB, err error)
	// openForLeases returns connections to renew leases with, where reader and writer are the same.
	openForLeases() (*sql.DB, error)
	// name names the database in messages, without a password.
	name() string
	// isNew reports whether there is nothing at the database's place, so that opening would make it.
	isNew() bool
	// lock keeps other servers from a database that one server has to itself; nil where several may share it.
	lock() (*filelock.Lock, error)
	// hasTable is a query, as the database wants it, that says whether there is a table of a name.
	hasTable() string
	// verify looks whether the database is whole, as far as that takes little time.
	verify(ctx context.Context, db *sql.DB) error
	// isFull reports whether err says that the disk of the database, which is one of this machine, is full.
	isFull(err error) bool
	// blame adds what to do to an error that says that the database is damaged.
	blame(err error) error
	// prepares reports whether statements are worth preparing. Where they are, the writing pool must have a connection to
	// spare for it while a transaction runs.
	prepares() bool
	// bind writes a query's question marks as the database wants them.
	bind(query string) string
	// skipLocked ends the query that picks a row to claim, so that two servers do not wait for each other.
	skipLocked() string
	// lockLeases is a statement after which, until the end of the transaction, nobody else takes builds by counting them; empty
	// where transactions that write come one after another anyway.
	lockLeases() string
	// begin begins a transaction that keeps a promise, or a stricter one. After it has ended, done must be called.
	begin(ctx context.Context, db *sql.DB, p promise) (t *sql.Tx, done func(), err error)
	// time is a query for the time; empty where the database has no clock but this machine's.
	time() string
	// isDuplicate reports whether err says that a unique value is taken.
	isDuplicate(err error) bool
	// isConflict reports whether err says that a transaction lost a race, so that it may be tried again.
	isConflict(err error) bool
	// isBroken reports whether err says that a connection broke that had worked before, so that another one may work. The error
	// may have been explained.
	isBroken(err error) bool
	// isRefused reports whether err says that no connection could be made.
	isRefused(err error) bool
	// explain marks errors of a database that is briefly away as such. It returns other errors, and nil, as they are.
	explain(err error) error
	goose() goose.Dialect
}

func unavailable(err error) error {
	return fault.Wrap(err, fault.Unavailable, "the database is briefly unavailable")
}

// sqlite is a database in one file. It has one writer at a time; readers never wait for it.
type sqlite struct{ path string }

func (d sqlite) name() string { return d.path }

func (d sqlite) isNew() bool {
	info, err := os.Stat(d.path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0
}

// lock locks the database file itself, so that no other name of it leads around the lock. SQLite's own locks are of another
// kind, and do not meet this one.
func (d sqlite) lock() (*filelock.Lock, error) {
	lock, err := filelock.Try(d.path)
	if held, ok := errors.AsType[*filelock.HeldError](err); ok {
		return nil, fault.New(fault.Invalid, "--database: %s is the database of another server that runs (%s). Stop that one, or give this one a database of its own. "+
			"Servers share a PostgreSQL database only", d.path, held.Holder())
	}
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return lock, nil
}

func (sqlite) hasTable() string {
	return `SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?)`
}

func (d sqlite) blame(err error) error {
	switch sqliteCode(err) & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return d.damaged(err)
	default:
		return err
	}
}

// verifyTime bounds the look at a database at the start. A gigabyte takes two or three seconds when the disk is fast.
const verifyTime = 10 * time.Second

func (d sqlite) verify(ctx context.Context, db *sql.DB) error {
	limited, cancel := context.WithTimeout(ctx, verifyTime)
	defer cancel()
	var found string
	err := db.QueryRowContext(limited, "PRAGMA quick_check(1)").Scan(&found)
	switch {
	case limited.Err() != nil:
		return ctx.Err() // what was seen until then is whole
	case err != nil:
		return fmt.Errorf("check the database: %w", err)
	case found != "ok":
		return d.damaged(errors.New(found))
	}
	return nil
}

func (sqlite) isFull(err error) bool {
	code := sqliteCode(err)
	return code == sqlite3.SQLITE_FULL || code == sqlite3.SQLITE_IOERR_WRITE || code == sqlite3.SQLITE_IOERR_SHMSIZE
}

func (d sqlite) damaged(err error) error {
	return fault.Wrap(err, fault.Invalid, "--database: %s is damaged, or no SQLite database. Keep the file, and restore a backup in its place; "+
		"what can still be read is printed by: sqlite3 %s .recover", d.path, d.path)
}

func (d sqlite) open() (reader, writer *sql.DB, err error) {
	// The file holds password hashes and sealed secrets, so nobody else may read it. SQLite gives its other files the same mode.
	f, err := os.OpenFile(d.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := f.Close(); err != nil {
		return nil, nil, err
	}
	// As SQLite does by itself where it is not built for Go: that a file was changed again at another time is nothing that has to reach the disk.
	_, _ = sqlitedriver.Fdatasync(true) // refused where there is no such call
	pragmas := url.Values{"_pragma": {
		"busy_timeout(5000)", // first: the next pragma may already meet another process's lock
		"journal_mode(WAL)",  // readers and the writer do not wait for each other
		synchronousFull,      // what was acknowledged survives a power cut, not only a crash
		"foreign_keys(ON)",   //
		"cache_size(-8000)",  // 8 MB a connection
		"temp_store(MEMORY)", //
		"wal_autocheckpoint(2000)",
	}}
	dsn := (&url.URL{Scheme: "file", OmitHost: true, Path: d.path, RawQuery: pragmas.Encode()}).String()
	if writer, err = sql.Open("sqlite", dsn+"&_txlock=immediate"); err != nil {
		return nil, nil, err
	}
	// One for the transaction, of which there is one at a time, and one to prepare statements beside it.
	writer.SetMaxOpenConns(2)
	writer.SetMaxIdleConns(2)
	if reader, err = sql.Open("sqlite", dsn+"&_pragma=query_only(ON)"); err != nil {
		return nil, nil, errors.Join(err, writer.Close())
	}
	n := max(4, 2*runtime.GOMAXPROCS(0))
	reader.SetMaxOpenConns(n)
	reader.SetMaxIdleConns(n)
	return reader, writer, nil
}

const synchronousFull = "synchronous(FULL)"

// begin has SQLite not wait for the disk when a transaction is only ordered. That is a setting of the connection, which is set back.
func (sqlite) begin(ctx context.Context, db *sql.DB, p promise) (t *sql.Tx, done func(), err error) {
	if p == durable {
		t, err = db.BeginTx(ctx, nil)
		return t, func() {}, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	done = func() {
		if _, err := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA "+synchronousFull); err != nil {
			_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // it is closed, and a new one takes its place
		}
		_ = conn.Close()
	}
	if _, err = conn.ExecContext(ctx, "PRAGMA synchronous(NORMAL)"); err == nil {
		t, err = conn.BeginTx(ctx, nil)
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return t, done, nil
}

// openForLeases is not needed: every transaction waits for its turn.
func (sqlite) openForLeases() (*sql.DB, error) { return nil, errors.ErrUnsupported }

func (sqlite) isRefused(error) bool     { return false }
func (sqlite) isBroken(error) bool      { return false }
func (sqlite) prepares() bool           { return true }
func (sqlite) bind(query string) string { return query }
func (sqlite) skipLocked() string       { return "" }
func (sqlite) lockLeases() string       { return "" }
func (sqlite) time() string             { return "" }
func (sqlite) goose() goose.Dialect     { return goose.DialectSQLite3 }

func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlitedriver.Error](err); ok {
		return e.Code()
	}
	return 0
}

func (sqlite) isDuplicate(err error) bool {
	code := sqliteCode(err)
	return code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}

func (sqlite) isConflict(err error) bool {
	return sqliteCode(err)&0xff == sqlite3.SQLITE_BUSY
}

func (sqlite) explain(err error) error {
	switch sqliteCode(err) & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
		return unavailable(err)
	default:
		return err
	}
}

// postgres is a PostgreSQL server, which several servers of ours may share.
type postgres struct{ url string }

// connectTimeout bounds the making of a connection, unless the address says otherwise.
const connectTimeout = 5 * time.Second

func (d postgres) name() string {
	config, err := pgconn.ParseConfig(d.url)
	if err != nil {
		return "the PostgreSQL database"
	}
	return fmt.Sprintf("the PostgreSQL database %s on %s", config.Database, config.Host)
}

func (postgres) isNew() bool                   { return false }
func (postgres) lock() (*filelock.Lock, error) { return nil, nil }
func (postgres) blame(err error) error         { return err }
func (postgres) isFull(error) bool             { return false } // of another machine, perhaps

// verify leaves that to the server, which has checksums of its own.
func (postgres) verify(context.Context, *sql.DB) error { return nil }

// hasTable looks where the tables of the connection are made.
func (postgres) hasTable() string {
	return `SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = $1)`
}

func (d postgres) open() (reader, writer *sql.DB, err error) {
	db, err := d.connections(max(8, 4*runtime.GOMAXPROCS(0)))
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := db.PingContext(ctx); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, db, nil
}

func (d postgres) openForLeases() (*sql.DB, error) { return d.connections(2) }

// connections returns n connections, none of which is made yet.
func (d postgres) connections(n int) (*sql.DB, error) {
	config, err := pgx.ParseConfig(d.url)
	if err != nil {
		return nil, withoutPassword(err)
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return db, nil
}

// withoutPassword returns an error that does not quote the database's address, which may hold a password.
func withoutPassword(err error) error {
	if e, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		return fault.Wrap(nil, fault.Invalid, "database: the address is not valid: %v", errors.Unwrap(e))
	}
	return err
}

// begin makes every transaction durable: the database may be on another machine, and what servers have that go on must not be forgotten there.
func (postgres) begin(ctx context.Context, db *sql.DB, _ promise) (t *sql.Tx, done func(), err error) {
	t, err = db.BeginTx(ctx, nil)
	return t, func() {}, err
}

// prepares is false: the driver keeps prepared statements of its own on every connection.
func (postgres) prepares() bool { return false }

func (postgres) bind(query string) string {
	var b strings.Builder
	n := 0
	for {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
		query = after
	}
}

func (postgres) skipLocked() string   { return " FOR UPDATE SKIP LOCKED" }
func (postgres) lockLeases() string   { return "SELECT pg_advisory_xact_lock(7236001)" } // any number that nothing else locks
func (postgres) time() string         { return "SELECT clock_timestamp()" }
func (postgres) goose() goose.Dialect { return goose.DialectPostgres }

func postgresCode(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

func (postgres) isDuplicate(err error) bool { return postgresCode(err) == "23505" }

func (postgres) isConflict(err error) bool {
	switch postgresCode(err) {
	case "40001", "40P01": // serialization failure, deadlock
		return true
	default:
		return false
	}
}

// isBroken holds for what explain takes for an outage, but for connections that could not be made and for a server that is short of
// something. A connection that another session ended, as a server that stops does, was working too.
func (d postgres) isBroken(err error) bool {
	if err == nil || d.isRefused(err) {
		return false
	}
	code := postgresCode(err)
	return code == "" && d.isAway(err) || strings.HasPrefix(code, "08") || code == "57P01" || code == "57P02"
}

func (postgres) isRefused(err error) bool {
	_, ok := errors.AsType[*pgconn.ConnectError](err)
	return ok
}

// isAway reports whether err is one of a database that is away, or away for this connection.
func (d postgres) isAway(err error) bool {
	switch code := postgresCode(err); {
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "53"), strings.HasPrefix(code, "57P"), strings.HasPrefix(code, "58"):
		return true // connection, resources, shutdown, system
	case code == "25006":
		return true // a standby that is not the primary yet
	case code != "":
		return false
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	_, isNet := errors.AsType[net.Error](err)
	return d.isRefused(err) || isNet || errors.Is(err, driver.ErrBadConn) || pgconn.SafeToRetry(err) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func (d postgres) explain(err error) error {
	if err == nil || !d.isAway(err) {
		return err
	}
	return unavailable(err)
}
