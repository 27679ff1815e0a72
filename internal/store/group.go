package store

import (
	"context"
	"slices"

	"atelier/internal/build"
	"atelier/internal/fault"
)

const groupColumns = `id, project_id, domain_id, parent_id, name, path, ordinal, created_by, created_at, updated_by, updated_at`

func scanGroup(row scanner) (g build.Group, err error) {
	var created, updated int64
	err = row.Scan(&g.ID, &g.ProjectID, &g.DomainID, &g.ParentID, &g.Name, &g.Path, &g.Ordinal, &g.CreatedBy, &created, &g.UpdatedBy, &updated)
	g.CreatedAt, g.UpdatedAt = moment(created), moment(updated)
	return g, err
}

// Groups implements [build.Store].
func (s *Store) Groups(ctx context.Context, project build.ProjectID) ([]build.Group, error) {
	rows, err := s.reader.rows(ctx, `SELECT `+groupColumns+` FROM job_groups WHERE project_id = ? ORDER BY ordinal, id`, string(project))
	if err != nil {
		return nil, err
	}
	return collect(rows, scanGroup)
}

// EditGroups implements [build.Store].
func (s *Store) EditGroups(ctx context.Context, project build.ProjectID, edit func([]build.Group) ([]build.Group, error)) error {
	err := s.write(ctx, func(t *tx) error {
		// Changing rows locks them, so no two edits are made of one state.
		rows, err := t.rows(ctx, `UPDATE job_groups SET ordinal = ordinal WHERE project_id = ? RETURNING `+groupColumns, string(project))
		if err != nil {
			return err
		}
		before, err := collect(rows, scanGroup)
		if err != nil {
			return err
		}
		after, err := edit(slices.Clone(before))
		if err != nil {
			return err
		}
		for _, g := range before {
			if !slices.ContainsFunc(after, func(other build.Group) bool { return other.ID == g.ID }) {
				if err := deleteGroup(ctx, t, g); err != nil {
					return err
				}
			}
		}
		for _, g := range after {
			if !slices.Contains(before, g) {
				if err := saveGroup(ctx, t, g); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if s.dialect.isDuplicate(err) {
		return fault.New(fault.Exists, "another group at this place has that name")
	}
	return err
}

func saveGroup(ctx context.Context, t *tx, g build.Group) error {
	_, err := t.exec(ctx, `INSERT INTO job_groups (`+groupColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET parent_id = excluded.parent_id, name = excluded.name, path = excluded.path, ordinal = excluded.ordinal,
			updated_by = excluded.updated_by, updated_at = excluded.updated_at`,
		g.ID, string(g.ProjectID), g.DomainID, g.ParentID, g.Name, g.Path, g.Ordinal, g.CreatedBy, millis(g.CreatedAt), g.UpdatedBy, millis(g.UpdatedAt))
	return err
}

func deleteGroup(ctx context.Context, t *tx, g build.Group) error {
	if _, err := t.exec(ctx, `DELETE FROM job_groups WHERE id = ?`, g.ID); err != nil {
		return err
	}
	_, err := t.exec(ctx, `UPDATE jobs SET group_id = '' WHERE project_id = ? AND group_id = ?`, string(g.ProjectID), g.ID)
	return err
}

// MoveJobs implements [build.Store].
func (s *Store) MoveJobs(ctx context.Context, project build.ProjectID, groupID string, ids []build.JobID) error {
	return s.write(ctx, func(t *tx) error {
		if groupID != "" { // and lock it, so that nobody deletes it meanwhile
			n, err := t.exec(ctx, `UPDATE job_groups SET ordinal = ordinal WHERE id = ? AND project_id = ?`, groupID, string(project))
			if err != nil {
				return err
			}
			if n == 0 {
				return fault.New(fault.NotFound, "group %s does not exist in the project", groupID)
			}
		}
		for _, id := range ids {
			n, err := t.exec(ctx, `UPDATE jobs SET group_id = ? WHERE id = ? AND project_id = ? AND deleted_at = 0`, groupID, string(id), string(project))
			if err != nil {
				return err
			}
			if n == 0 {
				return fault.New(fault.NotFound, "task %s does not exist", id)
			}
		}
		return nil
	})
}
