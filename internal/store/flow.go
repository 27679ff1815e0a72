package store

import (
	"context"

	"atelier/internal/build"
)

// saveFlow stores the jobs of a flow, none of which has begun, and that their build is one.
func saveFlow(ctx context.Context, t *tx, parent build.RecordID, jobs []build.FlowJob) error {
	if _, err := t.exec(ctx, `UPDATE records SET flow = ? WHERE id = ?`, true, string(parent)); err != nil {
		return err
	}
	for i, j := range jobs {
		if _, err := t.exec(ctx, `INSERT INTO flow_jobs (parent_id, sequence, name, depends_on, skipped, child_id) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, string(parent), i, j.Name, asJSON(j.DependsOn), j.Skipped, string(j.ID)); err != nil {
			return err
		}
	}
	return nil
}

// That a parent's id is not empty must be said where children are looked for: the index has no other ones.

// Flow returns the jobs of a flow in order, with their builds as they stand; none for a build that is not a flow.
func (s *Store) Flow(ctx context.Context, parent build.RecordID) ([]build.FlowJob, error) {
	rows, err := s.reader.rows(ctx, `SELECT name, depends_on, skipped, child_id FROM flow_jobs WHERE parent_id = ? ORDER BY sequence`, string(parent))
	if err != nil {
		return nil, err
	}
	jobs, err := collect(rows, func(row scanner) (j build.FlowJob, err error) {
		var names string
		if err = row.Scan(&j.Name, &names, &j.Skipped, &j.ID); err == nil {
			err = fromJSON(names, &j.DependsOn)
		}
		return j, err
	})
	if err != nil || len(jobs) == 0 {
		return nil, err
	}
	if rows, err = s.reader.rows(ctx, `SELECT `+recordColumns+recordFrom+` WHERE records.parent_id = ? AND records.parent_id <> ''`,
		string(parent)); err != nil {
		return nil, err
	}
	children, err := collect(rows, func(row scanner) (build.Record, error) {
		record, _, err := scanRecord(row)
		return record, err
	})
	for _, child := range children {
		for i := range jobs {
			if jobs[i].ID == child.ID {
				jobs[i].Child = child
			}
		}
	}
	return jobs, err
}

// StartChild stores the build of a job of a flow whose lease the caller holds. A job that has a build already keeps it.
func (s *Store) StartChild(ctx context.Context, flow build.Lease, child build.Record) error {
	return s.write(ctx, func(t *tx) error {
		parent := string(flow.Record.ID)
		if err := fenced(t.exec(ctx, `UPDATE records SET lease_fence = lease_fence WHERE id = ? AND lease_fence = ? AND state = 'running'`, parent, flow.Fence)); err != nil {
			return err
		}
		var begun int
		if err := t.row(ctx, `SELECT count(*) FROM records WHERE id = ?`, string(child.ID)).Scan(&begun); err != nil || begun > 0 {
			return err
		}
		return insertRecord(ctx, t, child)
	})
}
