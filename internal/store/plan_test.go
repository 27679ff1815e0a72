package store_test

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"atelier/internal/store"
	"atelier/internal/store/postgrestest"
	"atelier/internal/store/storetest"
)

// grows are the tables that get a row with every build, or more. To read one of them whole takes the longer the longer the
// installation is used.
var grows = []string{"records", "steps", "artifacts", "flow_jobs", "start_tokens", "job_versions", "scripts", "reports", "outputs", "notices", "messages", "deliveries"}

// TestQueriesUseIndexes looks at every query that the contract suite makes: none reads a table whole that grows, in either database, and no
// page of a list of builds is sorted after more than the page was read.
func TestQueriesUseIndexes(t *testing.T) {
	queries := queriesOfTheSuite(t)
	if len(queries) < 50 {
		t.Fatalf("the suite has made %d queries", len(queries))
	}
	t.Run("SQLite", func(t *testing.T) {
		s := open(t, "sqlite:"+filepath.Join(t.TempDir(), "atelier.db"))
		for _, q := range queries {
			plan, err := s.ExplainSQLite(t.Context(), q)
			if err != nil {
				t.Fatalf("%v of %s", err, q)
			}
			if isTrend(q) && !strings.Contains(strings.Join(plan, "\n"), "records_created") {
				t.Errorf("a trend reads more than its days (%s):\n%s", plan, q)
			}
			for _, line := range plan {
				if whole := scans(line); whole != "" && q != sweep {
					t.Errorf("%s is read whole (%s) by\n%s", whole, line, q)
				}
				if isPage(q) && strings.Contains(line, "TEMP B-TREE FOR ORDER BY") {
					t.Errorf("all rows are sorted (%s) by\n%s", plan, q)
				}
			}
		}
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		s := open(t, postgrestest.New(t))
		if err := s.Fill(t.Context(), grows); err != nil {
			t.Fatal(err)
		}
		err := s.ExplainPostgreSQL(t.Context(), queries, func(q string, plan store.PlanNode) {
			used := make(map[string]bool)
			each(plan, func(n store.PlanNode) {
				used[n.Index] = true
				if slices.Contains(grows, n.Table) && readsWhole(n) && q != sweep {
					t.Errorf("%s is read whole (%s %s) by\n%s", n.Table, n.Kind, n.Index, q)
				}
				if isPage(q) && strings.Contains(n.Kind, "Sort") && n.Kind != "Incremental Sort" { // that sorts builds of one number
					t.Errorf("all rows are sorted (%v) by\n%s", n, q)
				}
			})
			if isTrend(q) && !used["records_created"] {
				t.Errorf("a trend reads more than its days (%v):\n%s", slices.Collect(maps.Keys(used)), q)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// queriesOfTheSuite runs the contract suite, and returns the queries that it made. Both databases get the same.
func queriesOfTheSuite(t *testing.T) []string {
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
	return slices.Sorted(maps.Keys(queries))
}

func isTrend(q string) bool {
	return strings.Contains(q, "repo_name = ?") && strings.Contains(q, "created_at >= ?")
}

var page = regexp.MustCompile(`(?s)FROM (records|deliveries|messages|job_versions) .* LIMIT \? OFFSET \?$`)

// isPage reports whether a query asks for a page of something that grows, of whatever time.
func isPage(q string) bool {
	return page.MatchString(q) && !strings.Contains(q, "FROM jobs") && !strings.Contains(q, "created_at >") && !strings.Contains(q, "created_at <")
}

// each calls do for a part of a plan and all that is inside.
func each(n store.PlanNode, do func(store.PlanNode)) {
	do(n)
	for _, inner := range n.Inner {
		each(inner, do)
	}
}

// readsWhole reports whether a part of a plan reads all rows of a table, or of an index.
func readsWhole(n store.PlanNode) bool {
	return strings.HasSuffix(n.Kind, "Scan") && n.Kind != "Bitmap Heap Scan" && n.Condition == "" && !slices.Contains(small, n.Index)
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
