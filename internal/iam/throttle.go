package iam

import (
	"strings"
	"sync"
	"time"
)

// throttle slows down whoever fails too often: after some free failures in a row it makes them wait, twice as long with every
// further one. It decides before anything is checked, so a refusal tells nothing about the credentials.
//
// Memory is bounded as in [cache], by two generations.
type throttle struct {
	now    func() time.Time
	free   int           // failures without a consequence
	first  time.Duration // the wait after one more
	most   time.Duration // the longest wait
	forget time.Duration // after the last failure, if it is over the wait

	mu         sync.RWMutex
	young, old map[attempt]failures
}

// throttleSize bounds a generation of a throttle.
const throttleSize = 8192

// attempt is what failures are counted by. Who alone would let anybody lock out a user whose name is known.
type attempt struct {
	who    string
	source string
}

// maxWho is how much of a name counts; the rest only takes memory.
const maxWho = 128

func newAttempt(who, source string) attempt {
	return attempt{who[:min(len(who), maxWho)], source}
}

type failures struct {
	count   int
	pending int // attempts that are not decided yet
	last    time.Time
}

// outcome is how an attempt went.
type outcome int

const (
	undecided outcome = iota // something else was wrong
	failed
	succeeded
)

// begin reserves an attempt, which [throttle.end] has to follow, unless there is a wait. Attempts that are not decided count as
// failures: many at once are no more than one by one.
func (t *throttle) begin(a attempt) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, _ := t.find(a)
	now := t.now()
	if f.count > 0 && now.Sub(f.last) >= t.forget {
		f.count = 0
	}
	switch {
	case f.count > t.free:
		if wait = t.pause(f.count) - now.Sub(f.last); wait <= 0 && f.pending > 0 {
			wait = t.first
		}
	case f.count+f.pending > t.free:
		wait = t.first
	}
	if wait > 0 {
		return wait
	}
	f.pending++
	t.put(a, f)
	return 0
}

// end decides an attempt.
func (t *throttle) end(a attempt, o outcome) {
	t.mu.Lock()
	f, ok := t.find(a)
	if f.pending = max(0, f.pending-1); ok {
		t.put(a, f)
	}
	t.mu.Unlock()
	switch o {
	case failed:
		t.failed(a)
	case succeeded:
		t.succeeded(a)
	case undecided:
		t.forgive(a)
	}
}

// forgive removes an entry that says nothing.
func (t *throttle) forgive(a attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f, _ := t.find(a); f.count == 0 && f.pending == 0 {
		delete(t.young, a)
		delete(t.old, a)
	}
}

// wait returns how long a further attempt has to wait; 0 when it may be made.
func (t *throttle) wait(a attempt) time.Duration {
	t.mu.RLock()
	f, ok := t.find(a)
	t.mu.RUnlock()
	if !ok || f.count <= t.free {
		return 0
	}
	return max(0, t.pause(f.count)-t.now().Sub(f.last))
}

func (t *throttle) find(a attempt) (failures, bool) {
	f, ok := t.young[a]
	if !ok {
		f, ok = t.old[a]
	}
	return f, ok
}

// pause returns the wait after a number of failures that is above the free ones.
func (t *throttle) pause(count int) time.Duration {
	d := t.first
	for i := t.free + 1; i < count && d < t.most; i++ {
		d *= 2
	}
	return min(d, t.most)
}

// failed counts a failure.
func (t *throttle) failed(a attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, ok := t.find(a)
	now := t.now()
	if ok && now.Sub(f.last) >= t.forget {
		f.count = 0
	}
	f.count, f.last = f.count+1, now
	t.put(a, f)
}

func (t *throttle) put(a attempt, f failures) {
	if len(t.young) >= throttleSize {
		t.young, t.old = nil, t.young
	}
	if t.young == nil {
		t.young = make(map[attempt]failures)
	}
	// Clones, because the texts may be small parts of large requests.
	t.young[attempt{strings.Clone(a.who), strings.Clone(a.source)}] = f
}

// succeeded forgets the failures.
func (t *throttle) succeeded(a attempt) {
	t.mu.RLock()
	_, ok := t.find(a)
	t.mu.RUnlock()
	if !ok { // nearly always
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f, _ := t.find(a)
	if f.count = 0; f.pending > 0 {
		t.put(a, f)
		return
	}
	delete(t.young, a)
	delete(t.old, a)
}
