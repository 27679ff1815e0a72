package endpoint

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/source"
)

// Store keeps endpoints. Every method is one transaction. What does not exist is a fault.NotFound error.
type Store interface {
	// AddEndpoint stores an endpoint. A name that its project has is a fault.Exists error.
	AddEndpoint(ctx context.Context, e Endpoint) error
	// Endpoint returns an endpoint of a project.
	Endpoint(ctx context.Context, project build.ProjectID, id string) (Endpoint, error)
	// Endpoints returns those of a project by name.
	Endpoints(ctx context.Context, project build.ProjectID) ([]Endpoint, error)
	// SetEndpointPassword stores another sealed password.
	SetEndpointPassword(ctx context.Context, project build.ProjectID, id, sealed string, at time.Time) error
	// DeleteEndpoint removes an endpoint. One that tasks name, also such in the recycle bin, is a fault.Invalid error that names some of them,
	// unless it is to go all the same.
	DeleteEndpoint(ctx context.Context, project build.ProjectID, id string, used bool) error
}

// Service keeps the endpoints of all projects.
type Service struct {
	Store  Store
	Sealer build.Sealer
	Now    func() time.Time
}

func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// Add stores an endpoint, whose password is in plain text yet. It returns the endpoint as it was stored.
func (s *Service) Add(ctx context.Context, e Endpoint) (Endpoint, error) {
	e.ID, e.CreatedAt, e.URL = build.NewHexID(), s.now(), strings.TrimRight(e.URL, "/")
	e.UpdatedAt = e.CreatedAt
	if err := e.check(); err != nil {
		return Endpoint{}, err
	}
	var err error
	if e.Password, err = s.seal(e.Password); err != nil {
		return Endpoint{}, err
	}
	return e, s.Store.AddEndpoint(ctx, e)
}

func (s *Service) seal(password string) (string, error) {
	if err := checkPassword(password); err != nil {
		return "", err
	}
	sealed, err := s.Sealer.Seal(password)
	if err != nil {
		return "", fmt.Errorf("seal the password of a service endpoint: %w", err)
	}
	return sealed, nil
}

// SetPassword gives an endpoint another password. Builds that begin later use it.
func (s *Service) SetPassword(ctx context.Context, e Endpoint, password string) error {
	sealed, err := s.seal(password)
	if err != nil {
		return err
	}
	return s.Store.SetEndpointPassword(ctx, e.ProjectID, e.ID, sealed, s.now())
}

// Remove removes an endpoint; used says that it may go although tasks name it, whose builds fail then.
func (s *Service) Remove(ctx context.Context, e Endpoint, used bool) error {
	return s.Store.DeleteEndpoint(ctx, e.ProjectID, e.ID, used)
}

// Endpoints returns the endpoints of a project by name, all or those of a kind.
func (s *Service) Endpoints(ctx context.Context, project build.ProjectID, kinds ...Kind) ([]Endpoint, error) {
	all, err := s.Store.Endpoints(ctx, project)
	if err != nil || len(kinds) == 0 {
		return all, err
	}
	// A project has few.
	return slices.DeleteFunc(all, func(e Endpoint) bool { return !slices.Contains(kinds, e.Kind) }), nil
}

// Named returns the endpoint of a project that has a name or an id.
func (s *Service) Named(ctx context.Context, project build.ProjectID, name string) (Endpoint, error) {
	all, err := s.Store.Endpoints(ctx, project)
	for _, e := range all {
		if e.Name == name || e.ID == name {
			return e, nil
		}
	}
	if err == nil {
		err = fault.New(fault.NotFound, "the project has no service endpoint %.80q", name)
	}
	return Endpoint{}, err
}

// Credential returns what the endpoint of a project that a task names opens a repository with. An endpoint that is not there, is of
// another kind or is for other repositories is a fault whose sentence says so.
func (s *Service) Credential(ctx context.Context, project build.ProjectID, id, repository string) (source.Credential, error) {
	e, err := s.Store.Endpoint(ctx, project, id)
	switch {
	case fault.Is(err, fault.NotFound):
		return source.Credential{}, fault.Field("endpoint_id", "the project has no service endpoint %.80q; an operator can add one with atelier admin endpoint add", id)
	case err != nil:
		return source.Credential{}, err
	case e.Kind != Git:
		return source.Credential{}, fault.Field("endpoint_id", "the service endpoint %q is of the kind %s, and a repository needs one of the kind %s", e.Name, e.Kind, Git)
	}
	c := source.Credential{Name: e.Name, URL: e.URL, User: e.User}
	if !c.Covers(repository) {
		return source.Credential{}, fault.Field("endpoint_id", "the service endpoint %q is for repositories below %s, not for %s", e.Name, e.URL, repository)
	}
	c.Password, err = s.open(e)
	return c, err
}

// Dependencies returns what a repository of dependencies is opened with: the endpoint of the project with the longest address that it is
// at or below. That there is none is a fault whose sentence says so.
func (s *Service) Dependencies(ctx context.Context, project build.ProjectID, repository string) (source.Credential, error) {
	all, err := s.Endpoints(ctx, project, Nexus)
	if err != nil {
		return source.Credential{}, err
	}
	var nearest Endpoint
	for _, e := range all {
		if (source.Credential{URL: e.URL}).Covers(repository) && len(e.URL) > len(nearest.URL) {
			nearest = e
		}
	}
	if nearest.ID == "" {
		return source.Credential{}, fault.New(fault.NotFound, "the project has no service endpoint of the kind %s for the private repository %s; "+
			"an operator can add one with atelier admin endpoint add --kind %s", Nexus, repository, Nexus)
	}
	c := source.Credential{Name: nearest.Name, URL: nearest.URL, User: nearest.User}
	c.Password, err = s.open(nearest)
	return c, err
}

func (s *Service) open(e Endpoint) (string, error) {
	password, err := s.Sealer.Open(e.Password)
	if err != nil {
		return "", fmt.Errorf("open the password of the service endpoint %s: %w", e.ID, err)
	}
	return password, nil
}
