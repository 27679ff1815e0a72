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
	for _, l := range looked {
		if !slices.ContainsFunc(queries, l.is) {
			t.Errorf("the suite has no query for %s", l.name)
		}
	}
	if i := slices.IndexFunc(queries, countsAll); i >= 0 {
		t.Errorf("all builds of a task are counted by\n%s", queries[i])
	}
	t.Run("SQLite", func(t *testing.T) {
		s := open(t, "sqlite:"+filepath.Join(t.TempDir(), "atelier.db"))
		for _, q := range queries {
			plan, err := s.ExplainSQLite(t.Context(), q)
			if err != nil {
				t.Fatalf("%v of %s", err, q)
			}
			for _, l := range looked {
				if l.is(q) && !strings.Contains(strings.Join(plan, "\n"), l.index) {
					t.Errorf("%s does without %s (%s):\n%s", l.name, l.index, plan, q)
				}
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
			for _, l := range looked {
				if l.is(q) && !used[l.index] && !l.sqlite {
					t.Errorf("%s does without %s (%v):\n%s", l.name, l.index, slices.Collect(maps.Keys(used)), q)
				}
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

// looked are the questions about the builds of a task, and the index that makes it unimportant how many it has had. Where PostgreSQL goes by how
// frequent a value is, which it does not know of the rows of this test, only SQLite is looked at.
var looked = []struct {
	name   string
	is     func(q string) bool
	index  string
	sqlite bool
}{
	{"a trend", hasAll("SELECT", "repo_name = ?", "created_at >= ?"), "records_created", false},
	{"a list of a period", hasAll("SELECT", "FROM records", "created_at < ?"), "records_created", false},
	{"whether a build is not over", hasAll("FROM records", "records.finished_at = 0 AND jobs.deleted_at = 0 ORDER BY"), "records_open", false},
	{"the last success", hasAll("FROM jobs", "state = 'succeeded' ORDER BY"), "records_succeeded", false},
	{"a list of a branch", hasAll("FROM records", "records.branch IN (?) AND jobs.deleted_at = 0 ORDER BY"), "records_branch", true},
	{"a count of a branch", hasAll("SELECT count(*) FROM records", "records.branch IN (?) AND jobs"), "records_branch", true},
	{"a list of a tag", hasAll("FROM records", "records.tag IN (?) AND records.tag <> ''", "ORDER BY"), "records_tag", true},
	{"a list of a trigger", hasAll("FROM records", "records.trigger_type IN (?) AND jobs.deleted_at = 0 ORDER BY"), "records_trigger", true},
}

func hasAll(parts ...string) func(string) bool {
	return func(q string) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(q, part) })
	}
}

// countsAll reports whether a query counts the builds of a task, whenever they were.
func countsAll(q string) bool {
	return regexp.MustCompile(`SELECT count\(\*\) FROM records JOIN jobs ON jobs.id = records.job_id WHERE records.job_id = \? AND records.parent_id = ''( AND jobs.deleted_at = 0)?$`).MatchString(q)
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
