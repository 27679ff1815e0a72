package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"atelier/internal/build"
)

// Bus carries news between the servers that share a PostgreSQL database.
type Bus struct {
	db   *sql.DB
	url  string
	self string // so that it does not hear what it says
	log  *slog.Logger

	mu      sync.Mutex
	pending map[string]bool // to be sent; the same once is enough
	more    chan struct{}   // holds a token while something is pending
}

// Bus returns what news go over, or nil where no other server can hear them.
func (s *Store) Bus(log *slog.Logger) *Bus {
	d, ok := s.dialect.(postgres)
	if !ok {
		return nil
	}
	return &Bus{db: s.writer.db, url: d.url, self: uuid.NewString(), log: log, pending: make(map[string]bool), more: make(chan struct{}, 1)}
}

// busChannel is what PostgreSQL calls the way that news go.
const busChannel = "atelier_builds"

// Tell tells the other servers. It does not wait until it is done.
func (b *Bus) Tell(n build.News) {
	b.mu.Lock()
	b.pending[strings.Join([]string{b.self, string(n.Of), string(n.Record)}, " ")] = true
	b.mu.Unlock()
	select {
	case b.more <- struct{}{}:
	default: // it is about to be sent anyway
	}
}

// Run sends and hears until ctx ends.
func (b *Bus) Run(ctx context.Context, hear func(build.News)) {
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() { b.send(ctx) })
	for news := true; ctx.Err() == nil; {
		err := b.listen(ctx, func(n build.News) {
			news = true
			hear(n)
		})
		if news && ctx.Err() == nil { // or the log would have it every second
			b.log.Warn("news of other servers cannot be heard; this one looks for itself every few seconds", "error", postgres{}.explain(withoutPassword(err)))
		}
		news = false
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// send sends what is pending, until ctx ends. What cannot be sent is forgotten: the others find it out later.
func (b *Bus) send(ctx context.Context) {
	for {
		select {
		case <-b.more:
		case <-ctx.Done():
			return
		}
		b.mu.Lock()
		pending := b.pending
		b.pending = make(map[string]bool)
		b.mu.Unlock()
		for text := range pending {
			if err := b.notify(ctx, text); err != nil {
				b.log.Debug("tell other servers", "error", err)
			}
		}
	}
}

func (b *Bus) notify(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	_, err := b.db.ExecContext(ctx, `SELECT pg_notify($1, $2)`, busChannel, text)
	return err
}

// connect returns a connection over which news come.
func (b *Bus) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, b.url)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+busChannel); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

// listen hears over one connection, until that fails.
func (b *Bus) listen(ctx context.Context, hear func(build.News)) error {
	conn, err := b.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	hear(build.News{Of: build.NewsOfQueue}) // something may have been said before
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		from, text, _ := strings.Cut(n.Payload, " ")
		if of, record, ok := strings.Cut(text, " "); ok && from != b.self {
			hear(build.News{Of: build.NewsOf(of), Record: build.RecordID(record)})
		}
	}
}
