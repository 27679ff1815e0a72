package store

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// Statements returns the queries that the store has prepared.
func (s *Store) Statements() []string {
	var all []string
	for _, p := range []*pool{s.reader, s.writer} {
		p.mu.RLock()
		all = append(all, slices.Collect(maps.Keys(p.stmts))...)
		p.mu.RUnlock()
	}
	return all
}

// Explain returns how SQLite would find the rows of a query, a line for each table.
func (s *Store) Explain(ctx context.Context, query string) ([]string, error) {
	args := make([]any, strings.Count(query, "?"))
	rows, err := s.writer.db.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (line string, err error) {
		var id, parent, unused int
		return line, row.Scan(&id, &parent, &unused, &line)
	})
}
