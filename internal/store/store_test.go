package store_test

import (
	"path/filepath"
	"testing"

	"atelier/internal/store"
	"atelier/internal/store/postgrestest"
	"atelier/internal/store/storetest"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

func open(t *testing.T, url string) *store.Store {
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
