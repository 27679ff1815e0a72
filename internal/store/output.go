package store

import (
	"context"

	"atelier/internal/build"
)

// saveOutput stores what a build has put somewhere.
func saveOutput(ctx context.Context, t *tx, id build.RecordID, output build.Output) error {
	_, err := t.exec(ctx, `INSERT INTO outputs (record_id, kind, reference, digest) VALUES (?, ?, ?, ?)
		ON CONFLICT (record_id, reference) DO UPDATE SET kind = excluded.kind, digest = excluded.digest`,
		string(id), string(output.Kind), output.Reference, output.Digest)
	return err
}

// Outputs implements [build.Store].
func (s *Store) Outputs(ctx context.Context, id build.RecordID) ([]build.Output, error) {
	rows, err := s.reader.rows(ctx, `SELECT record_id, kind, reference, digest FROM outputs
		WHERE record_id IN (SELECT CAST(? AS TEXT) UNION ALL SELECT id FROM records WHERE parent_id = ? AND parent_id <> '') ORDER BY reference, record_id`, string(id), string(id))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (o build.Output, err error) {
		return o, row.Scan(&o.RecordID, &o.Kind, &o.Reference, &o.Digest)
	})
}
