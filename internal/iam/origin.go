package iam

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"
	"time"

	"atelier/internal/address"
)

// Origin is where a sign-in comes from.
type Origin struct {
	Address string // of the connection, or of the client behind a trusted proxy
	// Hint is the client that headers name without a trusted proxy. Who connects directly can write anything into it, so it only
	// tells apart clients that would be one without it, and grants nothing.
	Hint  string
	Agent string // the client's program

	known bool // the device has signed in before
}

// device returns what an account's device is recognized by. No secret is in it: it only lets a device that has signed in before
// be counted apart from what others do at the same address.
func (o Origin) device(account string) attempt {
	sum := sha256.Sum256([]byte(strings.Join([]string{address.Source(o.Address), o.Hint, o.Agent}, "\n")))
	return newAttempt(account, hex.EncodeToString(sum[:]))
}

func (o Origin) asKnown() Origin {
	o.known = true
	return o
}

// devices are those that have signed in, bounded as in [cache].
type devices struct {
	mu         sync.Mutex
	young, old map[attempt]struct{}
}

func (d *devices) know(a attempt) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, young := d.young[a]
	_, old := d.old[a]
	if old && !young {
		d.put(a)
	}
	return young || old
}

func (d *devices) add(a attempt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(attempt{strings.Clone(a.who), a.source})
}

func (d *devices) put(a attempt) {
	if len(d.young) >= throttleSize || d.young == nil {
		d.young, d.old = make(map[attempt]struct{}), d.young
	}
	d.young[a] = struct{}{}
}

// limits bound the failures of one name: tightly for each client, and widely for each source, which a client that is told apart
// only by a hint cannot leave.
type limits struct{ client, source *throttle }

// begin reserves an attempt; it may not be made while there is a wait. The caller says by end how it went.
func (l limits) begin(name string, from Origin) (end func(outcome), wait time.Duration) {
	source := address.Source(from.Address)
	client := newAttempt(name, source+" "+from.Hint[:min(len(from.Hint), maxWho)])
	if from.known {
		client = from.device(name)
	}
	if wait = l.client.begin(client); wait > 0 {
		return nil, wait
	}
	if from.known {
		return func(o outcome) { l.client.end(client, o) }, 0
	}
	whole := newAttempt(name, source)
	if wait = l.source.begin(whole); wait > 0 {
		l.client.end(client, undecided)
		return nil, wait
	}
	return func(o outcome) {
		l.client.end(client, o)
		l.source.end(whole, o)
	}, 0
}
