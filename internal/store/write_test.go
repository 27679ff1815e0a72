package store_test

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/store"
)

type exec func(query string, args ...any) error

// Transactions that wait at the same moment are one for the disk, and still each its own: one that fails, panics, breaks the transaction of
// all or is interrupted leaves nothing, and the others stay.
func TestSharedTurn(t *testing.T) {
	t.Parallel()
	errMine := errors.New("mine")
	fails := map[string]func(cancel func(), do exec) error{
		"returns an error": func(func(), exec) error { return errMine },
		"panics":           func(func(), exec) error { panic("mine") },
		"rolls back":       func(_ func(), do exec) error { return do("ROLLBACK") },
		"is interrupted": func(cancel func(), do exec) error {
			time.AfterFunc(100*time.Millisecond, cancel)
			return do(`WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n) INSERT INTO numbers SELECT i FROM n`) // without end
		},
	}
	for name, fail := range fails {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openNumbers(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			await, release := s.HoldTurn()
			const writers, bad = 10, 4
			var (
				wg     sync.WaitGroup
				mu     sync.Mutex
				shared = make(map[any]int)
				errs   [writers]error
			)
			write := func(i int) {
				ctx := ctx
				if i != bad {
					ctx = context.WithoutCancel(ctx)
				}
				errs[i] = s.Write(ctx, func(transaction any, do func(string, ...any) error) error {
					mu.Lock()
					shared[transaction]++
					mu.Unlock()
					if err := do(`INSERT INTO numbers VALUES (?)`, i); err != nil || i != bad {
						return err
					}
					return fail(cancel, do)
				})
			}
			for i := range writers {
				wg.Go(func() { write(i) })
				await(i + 1) // so that their order is known
			}
			release()
			wg.Wait()
			for i, err := range errs {
				if (err != nil) != (i == bad) {
					t.Errorf("writer %d: %v", i, err)
				}
			}
			if name == "returns an error" && !errors.Is(errs[bad], errMine) || name == "panics" && !strings.Contains(errs[bad].Error(), "mine") {
				t.Errorf("the error is %v", errs[bad])
			}
			if most := slices.Max(slices.Collect(maps.Values(shared))); most <= bad {
				t.Errorf("no transaction was shared by more than %d, which are those up to the bad one", most)
			}
			if diff := cmp.Diff([]int{0, 1, 2, 3, 5, 6, 7, 8, 9}, numbers(t, s)); diff != "" {
				t.Errorf("numbers (-want +got):\n%s", diff)
			}
		})
	}
}

// Who gives up while others write has written nothing.
func TestTurnGivenUp(t *testing.T) {
	t.Parallel()
	s := openNumbers(t)
	await, release := s.HoldTurn()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	for i := range 2 {
		ctx := ctx
		if i == 0 {
			ctx = t.Context()
		}
		go func() {
			ended <- s.Write(ctx, func(_ any, do func(string, ...any) error) error { return do(`INSERT INTO numbers VALUES (?)`, i) })
		}()
	}
	await(2)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the error of who gave up is %v", err)
	}
	await(1)
	release()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := numbers(t, s); !slices.Equal(got, []int{0}) {
		t.Errorf("numbers: %v", got)
	}
}

// SQLite waits for the disk (2) unless all that share a transaction can do without (1).
func TestOrdered(t *testing.T) {
	t.Parallel()
	s := openNumbers(t)
	const setting = `INSERT INTO numbers SELECT synchronous FROM pragma_synchronous`
	ordered := func() error { return s.WriteOrdered(t.Context(), setting) }
	durable := func() error {
		return s.Write(t.Context(), func(_ any, do func(string, ...any) error) error { return do(setting) })
	}
	for _, write := range []func() error{durable, ordered, durable, ordered} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	await, release := s.HoldTurn()
	ended := make(chan error)
	for _, write := range []func() error{ordered, durable} {
		go func() { ended <- write() }()
	}
	await(2)
	release()
	if err := errors.Join(<-ended, <-ended); err != nil {
		t.Fatal(err)
	}
	await, release = s.HoldTurn()
	for range 2 {
		go func() { ended <- ordered() }()
	}
	await(2)
	release()
	if err := errors.Join(<-ended, <-ended); err != nil {
		t.Fatal(err)
	}
	got, err := s.Integers(t.Context(), `SELECT i FROM numbers ORDER BY rowid`)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{2, 1, 2, 1, 2, 2, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("the settings were %v, want %v", got, want)
	}
}

// openNumbers opens an SQLite database with a table for tests.
func openNumbers(t testing.TB) *store.Store {
	t.Helper()
	s := open(t, "sqlite:"+filepath.Join(t.TempDir(), "atelier.db"))
	err := s.Write(t.Context(), func(_ any, do func(string, ...any) error) error { return do(`CREATE TABLE numbers (i INTEGER)`) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func numbers(t *testing.T, s *store.Store) []int {
	t.Helper()
	got, err := s.Integers(t.Context(), `SELECT i FROM numbers ORDER BY i`)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// BenchmarkWriters is the time of a transaction when so many write at once.
func BenchmarkWriters(b *testing.B) {
	for _, writers := range []int{1, 2, 8, 32} {
		b.Run(strconv.Itoa(writers), func(b *testing.B) {
			s := openNumbers(b)
			var done atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for done.Add(1) <= int64(b.N) {
						err := s.Write(b.Context(), func(_ any, do func(string, ...any) error) error { return do(`INSERT INTO numbers VALUES (1)`) })
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
