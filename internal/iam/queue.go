package iam

import (
	"context"
	"slices"
	"sync"
)

// Limits of who may wait for the hashing of a password in one lane.
const (
	maxWaiting        = 256
	waitingPerSource  = 32
	waitingPerAccount = 8
)

// lane is one of the two lines in which attempts wait, so that a crowd of strangers does not hold up those who are known.
type lane int

const (
	knownLane lane = iota // devices that have signed in before, and new passwords
	strangersLane
	lanes
)

// hashQueue shares a few places for hashing passwords, each of which takes much memory and time, among those who wait: the lanes
// take turns, and in a lane the sources do. Who is too many is refused at once.
type hashQueue struct {
	mu    sync.Mutex
	free  int
	last  lane // that had its turn
	lines [lanes]line
}

// line is who waits in a lane.
type line struct {
	sources []string // that wait, the next first
	waiting map[string][]*waiter
	count   int
}

type waiter struct {
	source, account string
	turn            chan error // receives nil, or why there will be no turn
}

func newHashQueue(places int) *hashQueue {
	q := &hashQueue{free: places, last: strangersLane}
	for i := range q.lines {
		q.lines[i].waiting = make(map[string][]*waiter)
	}
	return q
}

// take waits for a place, which the caller has to give back by release.
func (q *hashQueue) take(ctx context.Context, in lane, source, account string) (release func(), err error) {
	w := &waiter{source, account, make(chan error, 1)}
	if err := q.enter(in, w); err != nil {
		return nil, err
	}
	select {
	case err = <-w.turn:
	case <-ctx.Done():
		if !q.quit(in, w) && <-w.turn == nil {
			q.next()
		}
		err = ctx.Err()
	}
	return q.next, err
}

// enter gives a waiter a place or puts it into the line.
func (q *hashQueue) enter(in lane, w *waiter) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.free > 0 { // then nobody waits
		q.free--
		w.turn <- nil
		return nil
	}
	l := &q.lines[in]
	mine := l.waiting[w.source]
	if len(mine) >= waitingPerSource || l.ofAccount(w.account) >= waitingPerAccount {
		return errCrowd
	}
	if l.count >= maxWaiting && !l.dropFromGreediest(len(mine)+1) {
		return errCrowd
	}
	if len(mine) == 0 {
		l.sources = append(l.sources, w.source)
	}
	l.waiting[w.source] = append(mine, w)
	l.count++
	return nil
}

func (l *line) ofAccount(account string) (n int) {
	for _, waiting := range l.waiting {
		for _, w := range waiting {
			if w.account == account {
				n++
			}
		}
	}
	return n
}

// dropFromGreediest refuses the last attempt of the source that has most, if that is more than n.
func (l *line) dropFromGreediest(n int) bool {
	greediest := slices.MaxFunc(l.sources, func(a, b string) int { return len(l.waiting[a]) - len(l.waiting[b]) })
	waiting := l.waiting[greediest]
	if len(waiting) <= n {
		return false
	}
	w := waiting[len(waiting)-1]
	l.remove(w)
	w.turn <- errCrowd
	return true
}

// remove takes a waiter out of the line; false when it is not there any more.
func (l *line) remove(w *waiter) bool {
	waiting := l.waiting[w.source]
	i := slices.Index(waiting, w)
	if i < 0 {
		return false
	}
	l.count--
	if waiting = slices.Delete(waiting, i, i+1); len(waiting) > 0 {
		l.waiting[w.source] = waiting
		return true
	}
	delete(l.waiting, w.source)
	l.sources = slices.DeleteFunc(l.sources, func(s string) bool { return s == w.source })
	return true
}

// quit is for a waiter whose client went away; false when it has been answered already.
func (q *hashQueue) quit(in lane, w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lines[in].remove(w)
}

// next hands on a place.
func (q *hashQueue) next() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for range lanes {
		q.last = (q.last + 1) % lanes
		if l := &q.lines[q.last]; l.count > 0 {
			source := l.sources[0]
			w := l.waiting[source][0]
			l.sources = append(l.sources[1:], source) // its next one comes after everybody else's
			l.remove(w)
			w.turn <- nil
			return
		}
	}
	q.free++
}
