package store

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Statements returns the queries that the store has prepared, without those that each database has of its own.
func (s *Store) Statements() []string {
	var all []string
	for _, p := range []*pool{s.reader, s.writer} {
		p.mu.RLock()
		all = append(all, slices.Collect(maps.Keys(p.stmts))...)
		p.mu.RUnlock()
	}
	return slices.DeleteFunc(all, func(q string) bool { return q == s.dialect.hasTable() })
}

// ExplainSQLite returns how SQLite would find the rows of a query, a line for each table.
func (s *Store) ExplainSQLite(ctx context.Context, query string) ([]string, error) {
	args := make([]any, strings.Count(query, "?"))
	rows, err := s.writer.db.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, args...) //nolint:rowserrcheck // collect does
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (line string, err error) {
		var id, parent, unused int
		return line, row.Scan(&id, &parent, &unused, &line)
	})
}

// PlanNode is a part of how PostgreSQL would find the rows of a query.
type PlanNode struct {
	Kind      string     `json:"Node Type"`
	Table     string     `json:"Relation Name"`
	Index     string     `json:"Index Name"`
	Condition string     `json:"Index Cond"`
	Inner     []PlanNode `json:"Plans"`
}

// Fill puts many rows into tables of a PostgreSQL database, and a few into the others, so that it plans as it does after years.
func (s *Store) Fill(ctx context.Context, large []string) (err error) {
	conn, err := s.writer.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "SET session_replication_role = replica"); err != nil { // which looks at no foreign keys
		return err
	}
	rows, err := conn.QueryContext(ctx, //nolint:rowserrcheck // collect does
		`SELECT table_name, string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position), string_agg(CASE
			WHEN data_type = 'boolean' THEN 'false'
			WHEN column_name IN ('replaced_at', 'deleted_at', 'next_at', 'lease_until', 'stop_requested_at', 'expires_at') THEN '0'
			WHEN data_type <> 'text' THEN 'i'
			WHEN column_name = 'state' THEN '''succeeded'''
			WHEN table_name || '.' || column_name IN ('records.parent_id', 'records.waits_for', 'jobs.disabling') THEN ''''''
			WHEN column_name IN ('repo_name', 'trigger_type', 'branch', 'tag') THEN '''v1'''
			WHEN column_name IN ('id', 'parent_id', 'key', 'token', 'info_id', 'uuid', 'build_project_id', 'record_id', 'name', 'address') THEN '''v'' || i'
			WHEN column_name = 'job_id' THEN '''v'' || i % 20'
			ELSE '''v'' || i % 500' END, ', ' ORDER BY ordinal_position)
		FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
		WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND table_name NOT LIKE 'goose%' GROUP BY table_name`)
	if err != nil {
		return err
	}
	tables, err := collect(rows, func(row scanner) (t [3]string, err error) { return t, row.Scan(&t[0], &t[1], &t[2]) })
	if err != nil {
		return err
	}
	for _, t := range tables {
		n := "50"
		if slices.Contains(large, t[0]) {
			n = "20000"
		}
		insert := "INSERT INTO " + t[0] + " (" + t[1] + ") SELECT " + t[2] + " FROM generate_series(1, " + n + ") i ON CONFLICT DO NOTHING"
		if _, err := conn.ExecContext(ctx, insert); err != nil {
			return errors.Join(errors.New(insert), err)
		}
	}
	_, err = conn.ExecContext(ctx, "ANALYZE")
	return err
}

// ExplainPostgreSQL returns how PostgreSQL would find the rows of queries, whatever their values are.
func (s *Store) ExplainPostgreSQL(ctx context.Context, queries []string, found func(query string, plan PlanNode)) (err error) {
	conn, err := s.writer.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "SET plan_cache_mode = force_generic_plan"); err != nil {
		return err
	}
	for _, query := range queries {
		if _, err := conn.ExecContext(ctx, "PREPARE asked AS "+s.dialect.bind(query)); err != nil {
			return errors.Join(errors.New(query), err)
		}
		execute := "EXPLAIN (FORMAT JSON) EXECUTE asked"
		if n := strings.Count(query, "?"); n > 0 {
			execute += "(" + strings.TrimSuffix(strings.Repeat("NULL, ", n), ", ") + ")"
		}
		var text string
		if err := conn.QueryRowContext(ctx, execute).Scan(&text); err != nil {
			return errors.Join(errors.New(query), err)
		}
		var plans []struct{ Plan PlanNode }
		if err := json.Unmarshal([]byte(text), &plans); err != nil {
			return err
		}
		found(query, plans[0].Plan)
		if _, err := conn.ExecContext(ctx, "DEALLOCATE asked"); err != nil {
			return err
		}
	}
	return nil
}

// Write runs statements in a transaction. What it passes on as the first argument is the same for all that share one.
func (s *Store) Write(ctx context.Context, do func(transaction any, exec func(query string, args ...any) error) error) error {
	return s.write(ctx, func(t *tx) error {
		return do(t, func(query string, args ...any) error {
			_, err := t.exec(ctx, query, args...)
			return err
		})
	})
}

// WriteOrdered runs a statement in a transaction that is only ordered.
func (s *Store) WriteOrdered(ctx context.Context, query string) error {
	return s.writeOrdered(ctx, func(t *tx) error {
		_, err := t.exec(ctx, query)
		return err
	})
}

// HoldTurn takes the turn to write. await returns when so many transactions wait for it.
func (s *Store) HoldTurn() (await func(waiting int), release func()) {
	s.turns.taken <- struct{}{}
	await = func(waiting int) {
		for n := -1; n != waiting; runtime.Gosched() {
			s.turns.mu.Lock()
			n = len(s.turns.waiting)
			s.turns.mu.Unlock()
		}
	}
	return await, func() { <-s.turns.taken }
}

// Integers returns what a query finds.
func (s *Store) Integers(ctx context.Context, query string) ([]int, error) {
	rows, err := s.reader.rows(ctx, query)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (n int, err error) { return n, row.Scan(&n) })
}

// Connections returns how many connections there may be.
func (s *Store) Connections() int { return s.writer.db.Stats().MaxOpenConnections }

// SetLimit sets how long an operation may take.
func (s *Store) SetLimit(limit time.Duration) {
	s.reader.limit, s.writer.limit, s.leases.limit = limit, limit, limit
}

// Change runs do in a transaction that writes, after a statement of it.
func (s *Store) Change(ctx context.Context, do func() error) error {
	return s.write(ctx, func(t *tx) error {
		if _, err := t.exec(ctx, "UPDATE records SET error = '' WHERE id = ''"); err != nil {
			return err
		}
		return do()
	})
}

// AskTime asks for a row.
func (s *Store) AskTime(ctx context.Context) error { return s.setClock(ctx) }

// Broken returns the error of a connection that broke.
func (s *Store) Broken() error { return s.dialect.explain(driver.ErrBadConn) }
