// Package connection bounds the connections that a server holds, for each source and overall, so that descriptors are left for
// builds, the database and logs whatever strangers do.
package connection

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"atelier/internal/address"
)

// Limits are how many connections may be open at a time.
type Limits struct {
	Total     int
	PerSource int // trusted proxies are exempt
}

// maxTotal bounds the memory of connections where descriptors do not.
const maxTotal = 4096

// LimitsFor returns what may be open of so many descriptors when so many builds run at a time. Half of them at most is the
// reserve for builds, the database and logs; of the rest, a connection has one and what it serves another.
func LimitsFor(descriptors uint64, builds int) Limits {
	all := int(min(descriptors, 1<<20))
	reserve := min(all/2, 256+64*builds)
	total := max(1, min((all-reserve)/2, maxTotal))
	return Limits{Total: total, PerSource: max(1, total/2)}
}

// Descriptors returns how many files this process may have open. The Go runtime has raised the soft limit to the hard one at the
// start, and gives programs that it starts the one of before.
func Descriptors() (uint64, error) {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return limit.Cur, err
}

// Listener accepts connections within limits. One that is too many takes the place of a connection that only waits for its
// client, if there is one: of its own source where that has too many, else of the source that has most. Strangers go before
// those who have proven who they are, and older ones before younger ones.
type Listener struct {
	net.Listener
	limits  Limits
	proxies address.Proxies
	log     *slog.Logger

	mu      sync.Mutex
	total   int
	sources map[string]*source
	closed  chan struct{}
	close   sync.Once
}

// source is where some connections come from.
type source struct {
	count     int
	strangers list.List // of the *Conn that wait for their clients, the longest first
	known     list.List // the same, of those that have proven who they are
}

// NewListener returns a listener over one of TCP.
func NewListener(l net.Listener, limits Limits, proxies address.Proxies, log *slog.Logger) *Listener {
	return &Listener{Listener: l, limits: limits, proxies: proxies, log: log, sources: make(map[string]*source), closed: make(chan struct{})}
}

// Close implements [net.Listener].
func (l *Listener) Close() error {
	l.close.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// Pauses after an error that passes, such as that of a process without descriptors.
const (
	minPause = 10 * time.Millisecond
	maxPause = time.Second
)

// Accept implements [net.Listener]. Where descriptors run out in spite of the limits, it makes room and waits.
func (l *Listener) Accept() (net.Conn, error) {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		accepted, err := l.Listener.Accept()
		if err == nil {
			pause = minPause / 2
			if c := l.admit(accepted); c != nil {
				return c, nil
			}
			continue
		}
		if !passes(err) {
			return nil, err
		}
		l.log.Warn("no connection can be accepted", "error", err, "pause", pause)
		l.mu.Lock()
		victim := l.greediest().victim()
		l.mu.Unlock()
		victim.evict()
		select {
		case <-time.After(pause):
		case <-l.closed:
			return nil, net.ErrClosed
		}
	}
}

// passes reports whether an error of accept says that something is used up.
func passes(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// admit counts a connection; it is nil when there is no room for one more, which is closed then.
func (l *Listener) admit(accepted net.Conn) *Conn {
	tcp, ok := accepted.(*net.TCPConn)
	if !ok {
		_ = accepted.Close()
		return nil
	}
	c := &Conn{TCPConn: tcp, listener: l, name: address.Source(tcp.RemoteAddr().String())}
	victim, ok := l.enter(c, l.proxies.Trust(tcp.RemoteAddr().String()))
	victim.evict()
	if !ok {
		_ = tcp.Close()
		return nil
	}
	return c
}

// enter counts a connection. The victim, if any, has to be closed.
func (l *Listener) enter(c *Conn, trusted bool) (victim *Conn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sources[c.name]
	switch {
	case !trusted && s != nil && s.count >= l.limits.PerSource:
		victim = s.victim()
	case l.total >= l.limits.Total:
		victim = l.greediest().victim()
	default:
		ok = true
	}
	if !ok && victim == nil {
		return nil, false
	}
	if victim != nil {
		l.leave(victim)
	}
	if s = l.sources[c.name]; s == nil {
		s = &source{}
		l.sources[c.name] = s
	}
	s.count++
	l.total++
	c.source = s
	c.setWaiting(true)
	return victim, true
}

// greediest returns the source that has most of those connections which may have to go.
func (l *Listener) greediest() (found *source) {
	for _, s := range l.sources {
		if s.strangers.Len()+s.known.Len() > 0 && (found == nil || s.count > found.count) {
			found = s
		}
	}
	return found
}

// victim returns the connection that has to go first; nil when all are busy.
func (s *source) victim() *Conn {
	if s == nil {
		return nil
	}
	for _, waiting := range []*list.List{&s.strangers, &s.known} {
		if first := waiting.Front(); first != nil {
			return first.Value.(*Conn)
		}
	}
	return nil
}

// leave forgets a connection.
func (l *Listener) leave(c *Conn) {
	s := c.source
	if s == nil {
		return
	}
	c.setWaiting(false)
	c.source = nil
	l.total--
	if s.count--; s.count == 0 {
		delete(l.sources, c.name)
	}
}

// State is for [http.Server.ConnState]: between requests a connection waits for its client.
func State(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew, http.StateIdle:
		find(c).Waiting(true)
	case http.StateActive:
		find(c).Waiting(false)
	case http.StateHijacked, http.StateClosed: // it closes
	}
}

// find returns the connection below those that are made of it.
func find(c net.Conn) *Conn {
	for {
		switch v := c.(type) {
		case *Conn:
			return v
		case interface{ NetConn() net.Conn }:
			c = v.NetConn()
		default:
			return nil
		}
	}
}

type contextKey struct{}

// Context is for [http.Server.ConnContext].
func Context(ctx context.Context, c net.Conn) context.Context {
	if found := find(c); found != nil {
		return context.WithValue(ctx, contextKey{}, found)
	}
	return ctx
}

// Of returns the connection of a request; nil when it has none of a [Listener], which the methods of Conn take.
func Of(ctx context.Context) *Conn {
	c, _ := ctx.Value(contextKey{}).(*Conn)
	return c
}
