package store_test

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"atelier/internal/store"
	"atelier/internal/store/storetest"
)

// grows are the tables that get a row with every build, or more. To read one of them whole takes the longer the longer the
// installation is used.
var grows = []string{"records", "steps", "artifacts", "flow_jobs", "start_tokens", "job_versions", "scripts", "reports", "notices", "messages", "deliveries"}

// TestQueriesUseIndexes looks at every query that the contract suite makes of SQLite: none reads a table whole that grows.
func TestQueriesUseIndexes(t *testing.T) {
	var mu sync.Mutex
	queries := make(map[string]bool)
	t.Run("contract", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) *store.Store {
			s := open(t, "sqlite:"+filepath.Join(t.TempDir(), "atelier.db"))
			t.Cleanup(func() {
				mu.Lock()
				defer mu.Unlock()
				for _, q := range s.Statements() {
					queries[q] = true
				}
			})
			return s
		})
	})
	if len(queries) < 50 {
		t.Fatalf("the suite has made %d queries", len(queries))
	}
	s := open(t, "sqlite:"+filepath.Join(t.TempDir(), "atelier.db"))
	for _, q := range slices.Sorted(maps.Keys(queries)) {
		plan, err := s.Explain(context.Background(), q)
		if err != nil {
			t.Fatalf("%v of %s", err, q)
		}
		if strings.Contains(q, "repo_name = ?") && strings.Contains(q, "created_at >= ?") && !strings.Contains(strings.Join(plan, "\n"), "records_created") {
			t.Errorf("a trend reads more than its days (%s):\n%s", plan, q)
		}
		for _, line := range plan {
			if whole := scans(line); whole != "" && q != sweep {
				t.Errorf("%s is read whole (%s) by\n%s", whole, line, q)
			}
		}
	}
}

// small are the indexes that have only rows of builds that are not over, and of notices that were not sent, however many there were.
var small = []string{"records_queue", "records_leases", "records_active", "notices_due", "deliveries_waiting"}

// sweep is asked once an hour, to find what nobody needs: it has to see every row.
const sweep = "SELECT id FROM artifacts WHERE replaced_at = 0 UNION ALL SELECT archive_id FROM reports WHERE archive_id <> ''"

// scans returns the growing table that a line of a plan reads whole.
func scans(line string) string {
	table, by, _ := strings.Cut(strings.TrimPrefix(line, "SCAN "), " USING ")
	if !strings.HasPrefix(line, "SCAN ") || !slices.Contains(grows, table) {
		return ""
	}
	index := by[strings.LastIndex(by, " ")+1:]
	if slices.Contains(small, index) {
		return ""
	}
	return table
}
