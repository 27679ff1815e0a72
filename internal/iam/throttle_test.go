package iam

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	th := &throttle{now: func() time.Time { return now }, free: 2, first: time.Second, most: 5 * time.Second, forget: time.Minute}
	a := newAttempt("dev", "192.0.2.1")
	var waits []time.Duration
	for range 7 {
		th.failed(a)
		waits = append(waits, th.wait(a)/time.Second)
	}
	if got := fmt.Sprint(waits); got != "[0s 0s 1ns 2ns 4ns 5ns 5ns]" {
		t.Errorf("waits: %s", got)
	}
	if th.wait(newAttempt("dev", "192.0.2.2")) != 0 || th.wait(newAttempt("other", "192.0.2.1")) != 0 {
		t.Error("others wait too")
	}
	now = now.Add(3 * time.Second)
	if w := th.wait(a); w != 2*time.Second {
		t.Errorf("3 s later: %s", w)
	}
	now = now.Add(time.Minute)
	if th.failed(a); th.wait(a) != 0 {
		t.Error("failures of long ago still count")
	}
	th.failed(a)
	th.failed(a)
	if th.succeeded(a); th.wait(a) != 0 {
		t.Error("a success does not forgive")
	}
}

func TestThrottleIsBounded(t *testing.T) {
	t.Parallel()
	th := &throttle{now: time.Now, first: time.Hour, most: time.Hour, forget: time.Hour}
	for i := range 3 * throttleSize {
		th.failed(newAttempt(fmt.Sprint(i), "x"))
		if n := len(th.young) + len(th.old); n > 2*throttleSize {
			t.Fatalf("%d entries", n)
		}
	}
	last := newAttempt(fmt.Sprint(3*throttleSize-1), "x")
	if th.wait(last) == 0 {
		t.Error("the newest failure is forgotten")
	}
	if a := newAttempt(strings.Repeat("x", 1<<20), "s"); len(a.who) > maxWho {
		t.Errorf("a name of %d bytes is kept", len(a.who))
	}
}
