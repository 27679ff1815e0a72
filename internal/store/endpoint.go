package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"atelier/internal/build"
	"atelier/internal/endpoint"
	"atelier/internal/fault"
)

var _ endpoint.Store = (*Store)(nil)

const endpointColumns = `id, project_id, name, kind, url, user_name, password, region, creator_id, creator_name, created_at, updated_at`

func scanEndpoint(row scanner) (e endpoint.Endpoint, err error) {
	var created, updated int64
	err = row.Scan(&e.ID, &e.ProjectID, &e.Name, &e.Kind, &e.URL, &e.User, &e.Password, &e.Region, &e.CreatorID, &e.CreatorName, &created, &updated)
	e.CreatedAt, e.UpdatedAt = moment(created), moment(updated)
	return e, err
}

// AddEndpoint implements [endpoint.Store].
func (s *Store) AddEndpoint(ctx context.Context, e endpoint.Endpoint) error {
	return s.write(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO endpoints (`+endpointColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			e.ID, string(e.ProjectID), e.Name, string(e.Kind), e.URL, e.User, e.Password, e.Region, e.CreatorID, e.CreatorName, millis(e.CreatedAt), millis(e.UpdatedAt))
		return s.taken(err, "the project has a service endpoint %q already", e.Name)
	})
}

// Endpoint implements [endpoint.Store].
func (s *Store) Endpoint(ctx context.Context, project build.ProjectID, id string) (endpoint.Endpoint, error) {
	e, err := scanEndpoint(s.reader.row(ctx, `SELECT `+endpointColumns+` FROM endpoints WHERE id = ? AND project_id = ?`, id, string(project)))
	return e, missing(err, "the service endpoint does not exist")
}

// Endpoints implements [endpoint.Store].
func (s *Store) Endpoints(ctx context.Context, project build.ProjectID) ([]endpoint.Endpoint, error) {
	rows, err := s.reader.rows(ctx, `SELECT `+endpointColumns+` FROM endpoints WHERE project_id = ? ORDER BY name`, string(project))
	if err != nil {
		return nil, err
	}
	return collect(rows, scanEndpoint)
}

// SetEndpointPassword implements [endpoint.Store].
func (s *Store) SetEndpointPassword(ctx context.Context, project build.ProjectID, id, sealed string, at time.Time) error {
	return s.write(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `UPDATE endpoints SET password = ?, updated_at = ? WHERE id = ? AND project_id = ?`, sealed, millis(at), id, string(project))
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "the service endpoint does not exist")
		}
		return err
	})
}

// maxUsers is how many of the tasks that name an endpoint an error names.
const maxUsers = 5

// DeleteEndpoint implements [endpoint.Store].
func (s *Store) DeleteEndpoint(ctx context.Context, project build.ProjectID, id string, used bool) error {
	return s.write(ctx, func(t *tx) error {
		if !used {
			users, err := endpointUsers(ctx, t, project, id)
			if err != nil {
				return err
			}
			if n := len(users); n > 0 {
				more := ""
				if n > maxUsers {
					more = fmt.Sprintf(" and %d more", n-maxUsers)
				}
				return fault.New(fault.Invalid, "the service endpoint is in use; give another one, or none, to these tasks first: %s%s",
					strings.Join(users[:min(n, maxUsers)], ", "), more)
			}
		}
		n, err := t.exec(ctx, `DELETE FROM endpoints WHERE id = ? AND project_id = ?`, id, string(project))
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "the service endpoint does not exist")
		}
		return err
	})
}

// endpointUsers returns the names of the tasks that name an endpoint. Only removal asks for them, so no index leads there.
func endpointUsers(ctx context.Context, t *tx, project build.ProjectID, id string) ([]string, error) {
	rows, err := t.rows(ctx, `SELECT `+jobColumns+` FROM jobs WHERE project_id = ? AND NOT doomed ORDER BY name`, string(project))
	if err != nil {
		return nil, err
	}
	jobs, err := collect(rows, scanJob)
	var users []string
	for _, job := range jobs {
		if slices.ContainsFunc(job.Config.Sources, func(s build.Source) bool { return s.EndpointID == id }) {
			users = append(users, job.Config.Name)
		}
	}
	return users, err
}
