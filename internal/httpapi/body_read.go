package httpapi

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"atelier/internal/connection"
)

// Limits of a request's body, in bytes.
const (
	maxBody    = 12 << 20 // as at the vendor's gateway
	signInBody = 16 << 10 // of operations that anybody may call
	smallBody  = 64 << 10 // beyond this a body is large
)

// Limits of how many large bodies are held at a time.
const (
	largeBodies   = 24 // of all callers
	unprovenLarge = 16 // of those who have not proven who they are
	largePerOwner = 8
)

// A body has to come at a least rate once it has had some time. A slow one gives way to others earlier, but not at once.
const (
	bodyPatience = 10 * time.Second
	bodyRate     = 32 << 10 // bytes in a second
	bodyGrace    = 500 * time.Millisecond
)

// bodyOwner is whose body is read.
type bodyOwner struct {
	name   string // whom large bodies are counted by
	proven bool   // the name is not only claimed
	most   int64  // bytes
}

// requestBody is the body of a request. Every read extends the time that the client has for the rest.
type requestBody struct {
	io.ReadCloser
	control *http.ResponseController
	conn    *connection.Conn
	owner   bodyOwner
	began   time.Time
	count   atomic.Int64 // bytes that have come
	evicted atomic.Bool
	ended   atomic.Bool // nothing more comes
}

// trackBody puts a requestBody in place of the body of a request, if it has one.
func trackBody(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.ContentLength != 0 {
		b := &requestBody{ReadCloser: r.Body, control: http.NewResponseController(w), conn: connection.Of(r.Context()), began: time.Now()}
		_ = b.control.SetReadDeadline(b.began.Add(bodyPatience)) // also for net/http, which reads what nobody else does
		r.Body = b
	}
}

// unread returns the body of a request of which something may still come; nil when there is nothing.
func unread(r *http.Request) *requestBody {
	if b, ok := r.Body.(*requestBody); ok && !b.ended.Load() {
		return b
	}
	return nil
}

// Read implements [io.Reader].
func (b *requestBody) Read(p []byte) (int, error) {
	due := b.began.Add(bodyPatience + time.Duration(b.count.Load())*time.Second/bodyRate)
	_ = b.control.SetReadDeadline(due) // what cannot have one is no connection
	if b.evicted.Load() {              // asked after the deadline was set, or that of evict would be lost
		return 0, errManyBodies
	}
	b.conn.Waiting(true)
	n, err := b.ReadCloser.Read(p)
	b.conn.Waiting(false)
	b.count.Add(int64(n))
	switch {
	case errors.Is(err, io.EOF):
		b.ended.Store(true)
		_ = b.control.SetReadDeadline(time.Time{})
	case err != nil && b.evicted.Load():
		err = errManyBodies
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errSlowBody
	}
	return n, err
}

// evict ends the reading of a body. Its reader finds out by itself.
func (b *requestBody) evict() {
	b.evicted.Store(true)
	_ = b.control.SetReadDeadline(time.Unix(1, 0))
}

// rate returns how many bytes have come in a second.
func (b *requestBody) rate(now time.Time) float64 {
	return float64(b.count.Load()) / max(now.Sub(b.began).Seconds(), 1e-3)
}

// Limits of what is read of a body that nobody wants.
const (
	maxDrained    = 64 << 20
	drainPatience = 5 * time.Second
)

// answerFirst answers a request of HTTP/1 of which the body has not been read, and ends its connection. By itself net/http would
// wait for the body before it lets the answer go.
func (b *requestBody) answerFirst(w http.ResponseWriter, r *http.Request, answer func()) {
	_ = b.control.EnableFullDuplex()
	w.Header().Set("Connection", "close")
	answer()
	if r.Header.Get("Expect") == "" { // a client that waits for leave to send sends nothing
		_ = b.control.Flush()
		b.drain()
	}
}

// drain reads what a client still sends after it was answered, within limits. A connection that is closed while data comes is
// reset, and the client would lose the answer.
func (b *requestBody) drain() {
	_ = b.control.SetReadDeadline(time.Now().Add(drainPatience))
	b.conn.Waiting(true)
	_, _ = io.CopyN(io.Discard, b.ReadCloser, maxDrained)
	_ = b.control.SetReadDeadline(time.Now()) // net/http waits for no more
}

// bodies bounds what is held of large bodies. The zero value is ready.
type bodies struct {
	mu    sync.Mutex
	large map[*requestBody]struct{}
}

// read reads the whole body of an owner, and returns what to call when nobody needs it any more.
func (s *bodies) read(r *http.Request, owner bodyOwner) (body []byte, release func(), err error) {
	release = func() {}
	b := unread(r)
	if b == nil {
		return nil, release, nil
	}
	b.owner = owner
	if r.ContentLength > owner.most {
		return nil, release, longBody(owner.most)
	}
	if body, err = io.ReadAll(io.LimitReader(b, min(smallBody, owner.most+1))); err == nil && len(body) == smallBody && !b.ended.Load() {
		if err := s.take(b); err != nil {
			return nil, release, err
		}
		release = func() { s.leave(b) }
		body, err = readRest(body, b, r.ContentLength)
	}
	if err == nil && int64(len(body)) > owner.most {
		err = longBody(owner.most)
	}
	if _, said := errors.AsType[*apiError](err); err != nil && !said {
		err = errCutBody
	}
	return body, release, err
}

// readRest appends the rest of a body to its begin. A length that is known saves the copies of a buffer that grows.
func readRest(begin []byte, b *requestBody, length int64) ([]byte, error) {
	if length > 0 {
		whole := make([]byte, length)
		n := copy(whole, begin)
		m, err := io.ReadFull(b, whole[n:])
		if err == nil && !b.ended.Load() {
			_, err = b.Read(make([]byte, 1)) // which only says that it is over
			if errors.Is(err, io.EOF) {
				err = nil
			}
		}
		return whole[:n+m], err
	}
	rest, err := io.ReadAll(io.LimitReader(b, b.owner.most+1-int64(len(begin))))
	return append(begin, rest...), err
}

// take lets a body grow large. Where there are too many, the slowest of those that compete with it has to go; without one that
// has had its time the new body is refused.
func (s *bodies) take(b *requestBody) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := make(map[string]int)
	unproven := 0
	for other := range s.large {
		count[other.owner.name]++
		if !other.owner.proven {
			unproven++
		}
	}
	var competes func(*requestBody) bool
	switch {
	case count[b.owner.name] >= largePerOwner:
		competes = func(other *requestBody) bool { return other.owner.name == b.owner.name }
	case !b.owner.proven && unproven >= unprovenLarge:
		competes = func(other *requestBody) bool { return !other.owner.proven }
	case len(s.large) >= largeBodies:
		competes = func(*requestBody) bool { return true }
	}
	if competes != nil {
		victim := s.victim(competes, count)
		if victim == nil {
			return errManyBodies
		}
		delete(s.large, victim)
		victim.evict()
	}
	if s.large == nil {
		s.large = make(map[*requestBody]struct{})
	}
	s.large[b] = struct{}{}
	return nil
}

// victim returns the slowest body of the owner who has most.
func (s *bodies) victim(competes func(*requestBody) bool, count map[string]int) (victim *requestBody) {
	now := time.Now()
	for b := range s.large {
		if !competes(b) || now.Sub(b.began) < bodyGrace || b.ended.Load() {
			continue
		}
		if victim == nil || cmp.Or(cmp.Compare(count[victim.owner.name], count[b.owner.name]), cmp.Compare(b.rate(now), victim.rate(now))) < 0 {
			victim = b
		}
	}
	return victim
}

func (s *bodies) leave(b *requestBody) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.large, b)
}
