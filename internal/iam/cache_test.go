package iam

import (
	"context"
	"errors"
	"testing"
)

func TestCache(t *testing.T) {
	t.Parallel()
	var epoch int64 = 1
	loads, broken := 0, error(nil)
	c := newCache(func(context.Context) (int64, error) { return epoch, nil }, func(_ context.Context, k int) (int, error) {
		loads++
		return 10 * k, broken
	})
	get := func(key, wantLoads int) {
		t.Helper()
		if v, err := c.get(t.Context(), key); err != nil || v != 10*key || loads != wantLoads {
			t.Errorf("get(%d) = %d, %v after %d loads, want %d", key, v, err, loads, wantLoads)
		}
	}
	get(1, 1)
	get(1, 1)
	epoch = 2
	get(1, 2)
	get(1, 2)

	broken = errors.New("broken")
	for range 2 {
		if _, err := c.get(t.Context(), 2); !errors.Is(err, broken) {
			t.Errorf("error = %v", err)
		}
	}
	broken = nil
	get(2, 5)

	// What is read under an old epoch while another reader has seen the new one is not kept.
	epoch = 1
	get(3, 6)
	epoch = 2
	get(3, 7)
}

func TestCacheIsBoundedAndKeepsWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	loads := make(map[int]int)
	c := newCache(func(context.Context) (int64, error) { return 1, nil }, func(_ context.Context, k int) (int, error) {
		loads[k]++
		return k, nil
	})
	for i := 1; i < 5*cacheSize; i++ {
		for _, key := range []int{0, i} {
			if _, err := c.get(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(c.young) + len(c.old); n > 2*cacheSize {
			t.Fatalf("%d entries", n)
		}
	}
	if loads[0] != 1 {
		t.Errorf("what is asked for all the time was read %d times", loads[0])
	}
}
