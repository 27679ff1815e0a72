package store

import (
	"context"

	"atelier/internal/fault"
	"atelier/internal/iam"
)

const projectColumns = `projects.id, projects.domain_id, projects.name, projects.creator_id, projects.created_at`

// projectRow receives projectColumns.
type projectRow struct {
	project iam.Project
	created int64
}

func (r *projectRow) dest() []any {
	p := &r.project
	return []any{&p.ID, &p.DomainID, &p.Name, &p.CreatorID, &r.created}
}

func (r *projectRow) value() iam.Project {
	r.project.CreatedAt = moment(r.created)
	return r.project
}

// CreateProject implements [iam.Store].
func (s *Store) CreateProject(ctx context.Context, p iam.Project, creatorRole iam.Role) error {
	return s.writeEpoch(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO projects (id, domain_id, name, creator_id, created_at) VALUES (?, ?, ?, ?, ?)`,
			p.ID, p.DomainID, p.Name, p.CreatorID, millis(p.CreatedAt))
		if err != nil {
			return s.taken(err, "another project is called %q, or has the id %s", p.Name, p.ID)
		}
		if p.CreatorID == "" {
			return nil
		}
		return insertMember(ctx, t, p.ID, p.CreatorID, creatorRole)
	})
}

// Project implements [iam.Store].
func (s *Store) Project(ctx context.Context, id string) (iam.Project, error) {
	var r projectRow
	if err := s.reader.row(ctx, `SELECT `+projectColumns+` FROM projects WHERE id = ?`, id).Scan(r.dest()...); err != nil {
		return iam.Project{}, missing(err, "the project does not exist")
	}
	return r.value(), nil
}

// Projects implements [iam.Store].
func (s *Store) Projects(ctx context.Context, domainID string) ([]iam.Project, error) {
	rows, err := s.reader.rows(ctx, `SELECT `+projectColumns+` FROM projects WHERE domain_id = ? ORDER BY name`, domainID)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (iam.Project, error) {
		var r projectRow
		err := row.Scan(r.dest()...)
		return r.value(), err
	})
}

// Memberships implements [iam.Store].
func (s *Store) Memberships(ctx context.Context, userID, projectID string) ([]iam.Membership, error) {
	query := `SELECT ` + projectColumns + `, users.id, users.administrator, COALESCE(members.role, '')
		FROM users JOIN projects ON projects.domain_id = users.domain_id
		LEFT JOIN members ON members.project_id = projects.id AND members.user_id = users.id
		WHERE users.id = ? AND users.enabled AND (users.administrator OR members.role IS NOT NULL)`
	args := []any{userID}
	if projectID != "" {
		query, args = query+` AND projects.id = ?`, append(args, projectID)
	}
	rows, err := s.reader.rows(ctx, query+` ORDER BY projects.name, projects.id, members.role`, args...)
	if err != nil {
		return nil, err
	}
	found, err := collect(rows, func(row scanner) (m iam.Membership, err error) {
		var r projectRow
		var role iam.Role
		err = row.Scan(append(r.dest(), &m.UserID, &m.Administrator, &role)...)
		if m.Project = r.value(); role != "" {
			m.Roles = []iam.Role{role}
		}
		return m, err
	})
	var out []iam.Membership // one for all roles in a project
	for _, m := range found {
		if n := len(out); n > 0 && out[n-1].Project.ID == m.Project.ID {
			out[n-1].Roles = append(out[n-1].Roles, m.Roles...)
			continue
		}
		out = append(out, m)
	}
	return out, err
}

// Members implements [iam.Store].
func (s *Store) Members(ctx context.Context, projectID string) ([]iam.Member, error) {
	rows, err := s.reader.rows(ctx, `SELECT `+userColumns+`, members.role FROM members JOIN users ON users.id = members.user_id
		WHERE members.project_id = ? ORDER BY users.name, users.id, members.role`, projectID)
	if err != nil {
		return nil, err
	}
	found, err := collect(rows, func(row scanner) (iam.Member, error) {
		var r userRow
		var role iam.Role
		err := row.Scan(append(r.dest(), &role)...)
		return iam.Member{User: r.value(), Roles: []iam.Role{role}}, err
	})
	var out []iam.Member // one for all roles of a user
	for _, m := range found {
		if n := len(out); n > 0 && out[n-1].User.ID == m.User.ID {
			out[n-1].Roles = append(out[n-1].Roles, m.Roles...)
			continue
		}
		out = append(out, m)
	}
	return out, err
}

// GrantRole implements [iam.Store].
func (s *Store) GrantRole(ctx context.Context, projectID, userID string, role iam.Role) error {
	return s.writeEpoch(ctx, func(t *tx) error { return insertMember(ctx, t, projectID, userID, role) })
}

func insertMember(ctx context.Context, t *tx, projectID, userID string, role iam.Role) error {
	var n int
	err := t.row(ctx, `SELECT count(*) FROM projects JOIN users ON users.domain_id = projects.domain_id
		WHERE projects.id = ? AND users.id = ?`, projectID, userID).Scan(&n)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.New(fault.NotFound, "the user and the project do not exist in one domain")
	}
	_, err = t.exec(ctx, `INSERT INTO members (project_id, user_id, role) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, projectID, userID, string(role))
	return err
}

// RevokeRole implements [iam.Store].
func (s *Store) RevokeRole(ctx context.Context, projectID, userID string, role iam.Role) error {
	return s.changeOne(ctx, fault.New(fault.NotFound, "the user does not have the role %s in the project", role),
		`DELETE FROM members WHERE project_id = ? AND user_id = ? AND role = ?`, projectID, userID, string(role))
}
