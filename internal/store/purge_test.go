package store

import (
	"path/filepath"
	"testing"
)

// TestPurgeKnowsAllTables finds every table whose rows refer to a build or a job: what is forgotten in purge.go would keep a
// deleted job for ever.
func TestPurgeKnowsAllTables(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "atelier.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rows, err := s.reader.db.QueryContext(t.Context(), //nolint:rowserrcheck // collect does
		`SELECT m.name, f."table" FROM sqlite_master m, pragma_foreign_key_list(m.name) f
		WHERE m.type = 'table' AND f."table" IN ('records', 'jobs') AND f.on_delete <> 'CASCADE'`)
	if err != nil {
		t.Fatal(err)
	}
	type reference struct{ from, to string }
	references, err := collect(rows, func(row scanner) (r reference, err error) { return r, row.Scan(&r.from, &r.to) })
	if err != nil || len(references) < 5 {
		t.Fatalf("found %v, %v", references, err)
	}
	for _, r := range references {
		known := ofRecord[r.from]
		if r.to == "jobs" {
			known = ofJob[r.from]
		}
		if known == "" && r.from != "records" {
			t.Errorf("rows of %s refer to %s and are not removed with them", r.from, r.to)
		}
	}
}
