package connection

import (
	"container/list"
	"io"
	"math"
	"net"
	"sync/atomic"
	"time"
)

// Conn is a connection that its [Listener] counts.
type Conn struct {
	*net.TCPConn
	listener *Listener
	name     string // of the source

	// Under the listener's lock.
	source *source       // nil when it does not count any more
	place  *list.Element // in one of the source's lists, while it waits for its client

	known atomic.Bool
}

// Waiting says whether the connection waits for its client, so that it may have to go for others. Half a request is such a wait.
func (c *Conn) Waiting(waits bool) {
	if c == nil {
		return
	}
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	c.setWaiting(waits)
}

func (c *Conn) setWaiting(waits bool) {
	if c.source == nil || waits == (c.place != nil) {
		return
	}
	if waits {
		c.place = c.waiters().PushBack(c)
		return
	}
	c.source.strangers.Remove(c.place) // which does nothing for an element of the other list
	c.source.known.Remove(c.place)
	c.place = nil
}

func (c *Conn) waiters() *list.List {
	if c.known.Load() {
		return &c.source.known
	}
	return &c.source.strangers
}

// Known says that a request of the connection was of somebody who has proven to be a user.
func (c *Conn) Known() {
	if c == nil || c.known.Load() {
		return
	}
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	waits := c.place != nil
	c.setWaiting(false)
	c.known.Store(true)
	c.setWaiting(waits)
}

// evict closes a connection that had to go.
func (c *Conn) evict() {
	if c != nil {
		_ = c.Close()
	}
}

// Close implements [net.Conn].
func (c *Conn) Close() error {
	c.listener.mu.Lock()
	c.listener.leave(c)
	c.listener.mu.Unlock()
	return c.TCPConn.Close()
}

// A client has to take each piece of an answer in time.
const (
	writePatience = 30 * time.Second
	writePiece    = 64 << 10
	sendPiece     = 1 << 20 // of a file, which the kernel sends
)

// Write implements [net.Conn]. A client that takes nothing is hung up on.
func (c *Conn) Write(p []byte) (n int, err error) {
	for {
		piece := p[n:min(len(p), n+writePiece)]
		if err := c.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
			return n, err
		}
		m, err := c.TCPConn.Write(piece)
		if n += m; err != nil || n == len(p) {
			return n, err
		}
	}
}

// ReadFrom implements [io.ReaderFrom], so that the kernel sends files.
func (c *Conn) ReadFrom(r io.Reader) (n int64, err error) {
	whole, limited := r.(*io.LimitedReader)
	if !limited {
		whole = &io.LimitedReader{R: r, N: math.MaxInt64}
	}
	for whole.N > 0 {
		if err := c.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
			return n, err
		}
		piece := &io.LimitedReader{R: whole.R, N: min(whole.N, sendPiece)} // the kernel sends a file below one limit, not below two
		asked := piece.N
		m, err := c.TCPConn.ReadFrom(piece)
		n, whole.N = n+m, whole.N-m
		if err != nil || m < asked {
			return n, err
		}
	}
	return n, nil
}
