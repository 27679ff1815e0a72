package iam

import (
	"context"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// Project holds build tasks and has members.
type Project struct {
	ID        string
	DomainID  string
	Name      string
	CreatorID string // empty when the installation's owner made it
	CreatedAt time.Time
}

// Member is a user of a project with its roles there.
type Member struct {
	User  User
	Roles []Role
}

// Membership is what one user has to do with one project of its domain.
type Membership struct {
	Project       Project
	UserID        string
	Administrator bool   // of the domain
	Roles         []Role // none for an administrator that is no member
}

// NewProject is a project to be made.
type NewProject struct {
	// ID is for projects that scripts know by their id already; a new one is given when it is empty.
	ID        string
	DomainID  string
	Name      string
	CreatorID string // becomes the project's administrator; empty for nobody
}

// CreateProject makes a project.
func (s *Service) CreateProject(ctx context.Context, p NewProject) (Project, error) {
	if p.ID != "" && !projectID.MatchString(p.ID) {
		return Project{}, fault.Field("project_id", "must be 32 lower-case letters or digits, found %.80q", p.ID)
	}
	if err := checkProjectName(p.Name); err != nil {
		return Project{}, err
	}
	if _, err := s.findDomain(ctx, Ref{ID: p.DomainID}); err != nil {
		return Project{}, err
	}
	project := Project{ID: p.ID, DomainID: p.DomainID, Name: p.Name, CreatorID: p.CreatorID, CreatedAt: s.now()}
	if project.ID == "" {
		project.ID = build.NewHexID()
	}
	return project, s.Store.CreateProject(ctx, project, ProjectAdministrator)
}

// Project returns a project.
func (s *Service) Project(ctx context.Context, id string) (Project, error) {
	return s.projects.get(ctx, id)
}

// ProjectName returns the name of a project. It asks for nobody's rights.
func (s *Service) ProjectName(ctx context.Context, id string) (string, error) {
	p, err := s.projects.get(ctx, id)
	return p.Name, err
}

// Projects returns the projects of a domain by name.
func (s *Service) Projects(ctx context.Context, domainID string) ([]Project, error) {
	return s.Store.Projects(ctx, domainID)
}

// Members returns the members of a project by name.
func (s *Service) Members(ctx context.Context, projectID string) ([]Member, error) {
	return s.Store.Members(ctx, projectID)
}

// GrantRole gives a user of the project's domain a role in it.
func (s *Service) GrantRole(ctx context.Context, projectID, userID string, role Role) error {
	if err := checkRole(role); err != nil {
		return err
	}
	return s.Store.GrantRole(ctx, projectID, userID, role)
}

// RevokeRole takes a role away. Who has none left is no member any more.
func (s *Service) RevokeRole(ctx context.Context, projectID, userID string, role Role) error {
	return s.Store.RevokeRole(ctx, projectID, userID, role)
}
