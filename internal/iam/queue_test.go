package iam

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// waitFor takes a place in the background and returns where the outcome comes.
func waitFor(ctx context.Context, q *hashQueue, in lane, source, account string) <-chan error {
	w := &waiter{source, account, make(chan error, 1)}
	done := make(chan error, 1)
	if err := q.enter(in, w); err != nil {
		done <- err
		return done
	}
	return w.turn
}

func TestHashQueueTakesTurns(t *testing.T) {
	t.Parallel()
	q := newHashQueue(1)
	release, err := q.take(t.Context(), strangersLane, "a", "")
	if err != nil {
		t.Fatal(err)
	}
	turns := make(map[string]<-chan error)
	for i := range 5 {
		turns[fmt.Sprint("flood", i)] = waitFor(t.Context(), q, strangersLane, "flood", fmt.Sprint(i))
	}
	turns["other"] = waitFor(t.Context(), q, strangersLane, "other", "x")
	turns["known"] = waitFor(t.Context(), q, knownLane, "flood", "dev")
	var order []string
	for range len(turns) + 1 {
		release()
		for name, turn := range turns {
			select {
			case <-turn:
				order = append(order, name)
			default:
			}
		}
		release = q.next
	}
	if got := strings.Join(order, " "); got != "known flood0 other flood1 flood2 flood3 flood4" {
		t.Errorf("order: %s", got)
	}
	if q.free != 1 || q.lines[strangersLane].count != 0 || len(q.lines[strangersLane].sources) != 0 {
		t.Errorf("left: %+v", q)
	}
}

func TestHashQueueIsBounded(t *testing.T) {
	t.Parallel()
	q := newHashQueue(0)
	refused := func(done <-chan error) bool {
		select {
		case err := <-done:
			return errors.Is(err, errCrowd)
		default:
			return false
		}
	}
	var last <-chan error
	for i := range waitingPerSource {
		if last = waitFor(t.Context(), q, strangersLane, "flood", fmt.Sprint(i)); refused(last) {
			t.Fatalf("attempt %d of a source is refused", i)
		}
	}
	if !refused(waitFor(t.Context(), q, strangersLane, "flood", "x")) {
		t.Error("a source may wait without bound")
	}
	for i := range waitingPerAccount {
		waitFor(t.Context(), q, strangersLane, fmt.Sprint("account", i), "dev")
	}
	if !refused(waitFor(t.Context(), q, strangersLane, "other", "dev")) {
		t.Error("an account may be waited for without bound")
	}
	for i := 0; q.lines[strangersLane].count < maxWaiting; i++ {
		waitFor(t.Context(), q, strangersLane, fmt.Sprint("crowd", i), fmt.Sprint("crowd", i))
	}
	if refused(waitFor(t.Context(), q, strangersLane, "late", "late")) || !refused(last) {
		t.Error("the last of the greediest source does not make room")
	}
	if refused(waitFor(t.Context(), q, knownLane, "flood", "dev")) {
		t.Error("strangers keep out who is known")
	}
}

func TestHashQueueForgetsWhoGoesAway(t *testing.T) {
	t.Parallel()
	q := newHashQueue(0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.take(ctx, strangersLane, "a", "dev"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if l := q.lines[strangersLane]; l.count != 0 || slices.Contains(l.sources, "a") {
		t.Errorf("still waits: %+v", l)
	}
}
