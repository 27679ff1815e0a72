package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// operationTimeout bounds everything that is asked of the database, with the wait for a connection and for a turn, so that a
// database that accepts connections and says nothing keeps no request waiting longer. What takes longer is a [fault.Unavailable].
const operationTimeout = 15 * time.Second

// late marks the error of an operation whose limit has passed while its caller still waits.
func late(ctx, limited context.Context, err error) error {
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return unavailable(err)
	}
	return err
}

// retries counts how often something has been done again that certainly changed nothing.
type retries struct{ broken, refused int }

// refusedPause is the pause before a connection that could not be made is tried again, which is done once: it may have been tried
// for another request, before the database came back.
const refusedPause = 100 * time.Millisecond

// again reports whether what failed with err is to be done again. When the database was restarted all connections of a pool are broken,
// and some are found so only when they are used: then the next one is used, and at last a new one. A database to which none can
// be made is away, which is not waited for.
func (p *pool) again(ctx context.Context, r *retries, err error) bool {
	switch {
	case err == nil || ctx.Err() != nil:
		return false
	case p.dialect.isBroken(err):
		r.broken++
		return r.broken <= p.db.Stats().MaxOpenConnections
	case p.dialect.isRefused(err):
		r.refused++
		return r.refused == 1 && pause(ctx, refusedPause)
	default:
		return false
	}
}

// pause waits; it returns false when ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// afresh does something that changes nothing unless it succeeds, as often as it takes.
func (p *pool) afresh(ctx context.Context, do func() error) error {
	var r retries
	for {
		err := do()
		if !p.again(ctx, &r, err) {
			return err
		}
	}
}

// limitedRows are rows that have to be read before the limit of their operation passes.
type limitedRows struct {
	*sql.Rows
	ctx, limited context.Context
	cancel       context.CancelFunc
	dialect      dialect
}

// Err implements the method of [sql.Rows].
func (r *limitedRows) Err() error {
	return late(r.ctx, r.limited, r.dialect.explain(r.Rows.Err()))
}

// Close implements the method of [sql.Rows].
func (r *limitedRows) Close() error {
	defer r.cancel()
	return r.Rows.Close()
}

// rows asks for rows, which must be closed.
func (p *pool) rows(ctx context.Context, query string, args ...any) (*limitedRows, error) {
	limited, cancel := context.WithTimeout(ctx, p.limit)
	var rows *sql.Rows
	err := p.afresh(limited, func() (err error) {
		rows, err = p.query(limited, query, args...) //nolint:rowserrcheck // who reads limitedRows does
		return err
	})
	if err != nil {
		cancel()
		return nil, late(ctx, limited, err)
	}
	return &limitedRows{rows, ctx, limited, cancel, p.dialect}, nil
}

// limitedRow is a row that is asked for when it is scanned.
type limitedRow struct {
	pool  *pool
	ctx   context.Context
	query string
	args  []any
}

func (p *pool) row(ctx context.Context, query string, args ...any) scanner {
	return limitedRow{p, ctx, query, args}
}

// Scan implements [scanner].
func (r limitedRow) Scan(dest ...any) error {
	limited, cancel := context.WithTimeout(r.ctx, r.pool.limit)
	defer cancel()
	err := r.pool.afresh(limited, func() error {
		return r.pool.queryRow(limited, r.query, r.args...).Scan(dest...)
	})
	return late(r.ctx, limited, err)
}

// commitError is the error of a commit. Nobody knows whether the transaction was committed, so it is not done again here.
type commitError struct{ error }

// Unwrap returns what went wrong.
func (e commitError) Unwrap() error { return e.error }

// isUndone reports whether a transaction that failed has certainly changed nothing.
func isUndone(err error) bool {
	_, unknown := errors.AsType[commitError](err)
	return !unknown
}
