package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/store"
	"atelier/internal/store/postgrestest"
)

// openRelayed opens a database by way of a relay.
func openRelayed(t *testing.T) (*store.Store, *postgrestest.Relay) {
	t.Helper()
	relay := postgrestest.NewCluster(t).Relay(t)
	s, err := store.Open(t.Context(), relay.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, relay
}

// useAll uses as many connections as there may be, each by a transaction, and returns the errors.
func useAll(s *store.Store) error {
	n := s.Connections()
	var together sync.WaitGroup
	together.Add(n)
	errs := make(chan error, n)
	for range n {
		go func() {
			met := false
			errs <- s.Change(context.Background(), func() error {
				if !met {
					met = true
					together.Done()
				}
				return nil
			})
		}()
	}
	together.Wait()
	var all []error
	for range n {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// A database that was restarted costs nobody an error, however many connections have gone with it.
func TestConnectionsThatBroke(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		use  func(s *store.Store) error
	}{
		{"reading", func(s *store.Store) error { _, err := s.Lost(context.Background(), "e1", time.Now()); return err }},
		{"reading a row", func(s *store.Store) error { return s.AskTime(context.Background()) }},
		{"writing", func(s *store.Store) error { return s.Change(context.Background(), func() error { return nil }) }},
		{"renewing", func(s *store.Store) error { _, err := s.Renew(context.Background(), "e1", time.Now()); return err }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, relay := openRelayed(t)
			for range 3 {
				if err := errors.Join(useAll(s), tt.use(s)); err != nil {
					t.Fatal(err)
				}
				relay.Cut()
				if err := tt.use(s); !fault.Is(err, fault.Unavailable) {
					t.Errorf("while there is no database: %v", err)
				}
				relay.Restore()
				if err := tt.use(s); err != nil {
					t.Errorf("after it came back: %v", err)
				}
			}
		})
	}
}

// A transaction whose connection breaks is done again if it certainly was not committed, and only then.
func TestTransactionThatBroke(t *testing.T) {
	t.Parallel()
	s, relay := openRelayed(t)
	times := 0
	err := s.Change(t.Context(), func() error {
		if times++; times == 1 {
			relay.Cut()
			relay.Restore()
			return s.Broken()
		}
		return nil
	})
	if err != nil || times != 2 {
		t.Errorf("broken before its end it was done %d times: %v", times, err)
	}
	times = 0
	err = s.Change(t.Context(), func() error {
		times++
		relay.Cut()
		relay.Restore()
		return nil
	})
	if !fault.Is(err, fault.Unavailable) || times != 1 {
		t.Errorf("broken when it was committed it was done %d times: %v", times, err)
	}
}

// A database that accepts connections and says nothing keeps nobody waiting for longer than the limit, whether for an answer or for
// a connection.
func TestDatabaseIsSilent(t *testing.T) {
	t.Parallel()
	s, relay := openRelayed(t)
	if err := useAll(s); err != nil {
		t.Fatal(err)
	}
	s.SetLimit(300 * time.Millisecond)
	relay.Silence()
	n := 3 * s.Connections()
	errs := make(chan error, 5*n)
	began := time.Now()
	for range n {
		go func() { errs <- s.Change(context.Background(), func() error { return nil }) }()
		go func() { _, err := s.Lost(context.Background(), "e1", time.Now()); errs <- err }()
		go func() { errs <- s.AskTime(context.Background()) }()
		go func() { errs <- s.Ping(context.Background()) }()
		go func() { _, err := s.Epoch(context.Background()); errs <- err }()
	}
	for range 5 * n {
		if err := <-errs; !fault.Is(err, fault.Unavailable) {
			t.Errorf("asked of a database that is silent: %v", err)
		}
	}
	if took := time.Since(began); took > time.Duration(n)*300*time.Millisecond {
		t.Errorf("they waited for each other, %s", took)
	}
	relay.Restore()
	s.SetLimit(time.Minute)
	if err := useAll(s); err != nil {
		t.Errorf("when it speaks again: %v", err)
	}
}

// Renewals wait for no connection that something else has.
func TestRenewalsHaveConnections(t *testing.T) {
	t.Parallel()
	s, _ := openRelayed(t)
	n := s.Connections()
	var begun, ended sync.WaitGroup
	begun.Add(n)
	hold := make(chan struct{})
	for range n {
		ended.Go(func() {
			_ = s.Change(context.Background(), func() error {
				begun.Done()
				<-hold
				return nil
			})
		})
	}
	begun.Wait()
	if held, err := s.Renew(t.Context(), "e1", time.Now()); err != nil || len(held) > 0 {
		t.Errorf("renewed %v, %v", held, err)
	}
	close(hold)
	ended.Wait()
}

// A caller that gives up is told so, and not that the database is away.
func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	s, relay := openRelayed(t)
	relay.Silence()
	defer relay.Restore()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Steps(ctx, build.RecordID("1")); !errors.Is(err, context.DeadlineExceeded) || fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}
