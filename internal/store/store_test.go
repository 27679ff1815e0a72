package store_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"atelier/internal/build"
	"atelier/internal/store"
	"atelier/internal/store/postgrestest"
	"atelier/internal/store/storetest"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

func open(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store {
		return open(t, "sqlite:"+filepath.Join(t.TempDir(), "atelier.db"))
	})
}

func TestPostgreSQL(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store { return open(t, postgrestest.New(t)) })
}

// TestClock gives a database a clock that is an hour ahead of this machine's.
func TestClock(t *testing.T) {
	t.Parallel()
	url := postgrestest.New(t)
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const wrong = `CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT pg_catalog.clock_timestamp() + interval ''1 hour'''`
	if _, err := db.ExecContext(t.Context(), wrong); err != nil {
		t.Fatal(err)
	}
	ahead := func(s *store.Store) time.Duration { return time.Until(s.Now()).Round(time.Minute) }
	if got := ahead(open(t, url+"&search_path=public,pg_catalog")); got != time.Hour {
		t.Errorf("the database's clock is ahead by an hour, and the store's by %s", got)
	}
	s := open(t, url)
	if got := ahead(s); got != 0 {
		t.Errorf("a right clock is ahead by %s", got)
	}
	if err := s.Announce(t.Context(), build.Offer{Owner: "e"}, s.Now()); err != nil || ahead(s) != 0 {
		t.Errorf("after an announcement it is ahead by %s, %v", ahead(s), err)
	}
	if got := ahead(open(t, "sqlite:"+filepath.Join(t.TempDir(), "atelier.db"))); got != 0 {
		t.Errorf("with SQLite it is ahead by %s", got)
	}
}
