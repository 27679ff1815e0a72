package iam

import (
	"net"
	"net/netip"
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
	count int
	last  time.Time
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
	if !ok || now.Sub(f.last) >= t.forget {
		f = failures{}
	}
	f.count, f.last = f.count+1, now
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
	delete(t.young, a)
	delete(t.old, a)
}

// network returns what stands for the place that a request came from: an address without its port, and of an IPv6 address
// the half that a site is given, because one site can use all of the other half.
func network(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host[:min(len(host), maxWho)]
	}
	addr = addr.Unmap()
	if addr.Is4() {
		return addr.String()
	}
	prefix, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return addr.String()
	}
	return prefix.Addr().String()
}
