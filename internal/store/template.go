package store

import (
	"context"
	"strings"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/template"
)

var _ template.Store = (*Store)(nil)

const templateColumns = `t.uuid, t.domain_id, d.name, t.name, t.description, t.tool, t.config, t.user_id, t.user_name, t.created_at,
	(SELECT count(*) FROM template_uses u WHERE u.uuid = t.uuid), f.uuid IS NOT NULL
	FROM templates t JOIN domains d ON d.id = t.domain_id LEFT JOIN template_favourites f ON f.uuid = t.uuid AND f.user_id = ?`

func scanTemplate(row scanner) (t template.Template, err error) {
	var config string
	var created int64
	err = row.Scan(&t.UUID, &t.DomainID, &t.DomainName, &t.Name, &t.Description, &t.Tool, &config, &t.UserID, &t.UserName, &created, &t.Uses, &t.Favourite)
	if err != nil {
		return t, err
	}
	c, err := decodeConfig(config)
	t.Parameters, t.Steps, t.CreatedAt = c.Parameters, c.Steps, moment(created)
	return t, err
}

// CreateTemplate implements [template.Store].
func (s *Store) CreateTemplate(ctx context.Context, t template.Template, most int) error {
	return s.write(ctx, func(x *tx) error {
		// The row of the domain is the lock: nobody else counts meanwhile.
		if _, err := x.exec(ctx, `UPDATE domains SET name = name WHERE id = ?`, t.DomainID); err != nil {
			return err
		}
		var n int
		if err := x.row(ctx, `SELECT count(*) FROM templates WHERE domain_id = ?`, t.DomainID).Scan(&n); err != nil {
			return err
		}
		if n >= most {
			return fault.New(fault.Limit, "the tenant has %d templates, and more are not allowed; delete one first", n)
		}
		_, err := x.exec(ctx, `INSERT INTO templates (uuid, domain_id, name, description, tool, config, user_id, user_name, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			t.UUID, t.DomainID, t.Name, t.Description, t.Tool, encodeConfig(build.Config{Parameters: t.Parameters, Steps: t.Steps}), t.UserID, t.UserName, millis(t.CreatedAt))
		return s.taken(err, "another template is called %q", t.Name)
	})
}

// Template implements [template.Store]. The short id of a template is the beginning of the long one.
func (s *Store) Template(ctx context.Context, domainID, userID, uuid string) (template.Template, error) {
	column := `t.uuid`
	if len(uuid) == 24 {
		column = `substr(t.uuid, 1, 24)`
	}
	t, err := scanTemplate(s.reader.row(ctx, `SELECT `+templateColumns+` WHERE `+column+` = ? AND t.domain_id = ?`, userID, uuid, domainID))
	return t, missing(err, "the template does not exist")
}

// Templates implements [template.Store].
func (s *Store) Templates(ctx context.Context, q template.Query) ([]template.Template, int, error) {
	where, args := []string{`t.domain_id = ?`}, []any{q.UserID, q.DomainID}
	if q.Name != "" {
		where, args = append(where, `lower(t.name) LIKE ? ESCAPE '\'`), append(args, containing(q.Name))
	}
	if len(q.Tools) > 0 {
		where, args = append(where, oneOf(`t.tool`, len(q.Tools))), append(args, anys(q.Tools)...)
	}
	if q.Mine {
		where, args = append(where, `t.user_id = ?`), append(args, q.UserID)
	}
	if q.Starred {
		where = append(where, `f.uuid IS NOT NULL`)
	}
	condition := ` WHERE ` + strings.Join(where, ` AND `)
	var total int
	err := s.reader.row(ctx, `SELECT count(*) FROM templates t LEFT JOIN template_favourites f ON f.uuid = t.uuid AND f.user_id = ?`+condition, args...).Scan(&total)
	if err != nil {
		return nil, 0, err
	}
	rows, err := s.reader.rows(ctx, `SELECT `+templateColumns+condition+` ORDER BY t.created_at DESC, t.uuid LIMIT ? OFFSET ?`, append(args, q.Limit, q.Offset)...)
	if err != nil {
		return nil, 0, err
	}
	templates, err := collect(rows, scanTemplate)
	return templates, total, err
}

// DeleteTemplate implements [template.Store].
func (s *Store) DeleteTemplate(ctx context.Context, domainID, uuid string) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `DELETE FROM templates WHERE uuid = ? AND domain_id = ?`, uuid, domainID)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.NotFound, "the template does not exist")
		}
		if _, err := t.exec(ctx, `DELETE FROM template_favourites WHERE uuid = ?`, uuid); err != nil {
			return err
		}
		_, err = t.exec(ctx, `DELETE FROM template_uses WHERE uuid = ?`, uuid)
		return err
	})
}

// SetFavouriteTemplate implements [template.Store].
func (s *Store) SetFavouriteTemplate(ctx context.Context, userID, uuid string, favourite bool) error {
	query := `DELETE FROM template_favourites WHERE user_id = ? AND uuid = ?`
	if favourite {
		query = `INSERT INTO template_favourites (user_id, uuid) VALUES (?, ?) ON CONFLICT DO NOTHING`
	}
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(ctx, query, userID, uuid)
		return err
	})
}

// NoteTemplateUse implements [template.Store].
func (s *Store) NoteTemplateUse(ctx context.Context, uuid string, job build.JobID, domainID string) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO template_uses (uuid, job_id, domain_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, uuid, string(job), domainID)
		return err
	})
}

// TemplateUse implements [template.Store].
func (s *Store) TemplateUse(ctx context.Context, domainID, userID string, uuids []string) (liked map[string]bool, uses map[string]int, err error) {
	liked, uses = make(map[string]bool), make(map[string]int)
	for _, uuid := range uuids { // of the official ones, which are few
		var like bool
		var n int
		err := s.reader.row(ctx, `SELECT EXISTS (SELECT 1 FROM template_favourites WHERE user_id = ? AND uuid = ?),
			(SELECT count(*) FROM template_uses WHERE uuid = ? AND domain_id = ?)`, userID, uuid, uuid, domainID).Scan(&like, &n)
		if err != nil {
			return nil, nil, err
		}
		liked[uuid], uses[uuid] = like, n
	}
	return liked, uses, nil
}
