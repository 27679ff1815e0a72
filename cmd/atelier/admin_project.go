package main

import (
	"context"
	"fmt"
	"strings"

	"atelier/internal/fault"
	"atelier/internal/iam"
)

type projectCommand struct {
	Create  projectCreate  `cmd:"" help:"Create a project."`
	List    projectList    `cmd:"" help:"List the projects."`
	Members projectMembers `cmd:"" help:"List the members of a project with their roles."`
}

type projectCreate struct {
	adminFlags `embed:""`
	Name       string `arg:"" help:"Name of the project."`
	ID         string `name:"id" help:"Id of the project, 32 lower-case letters or digits, for scripts that know it already (default: a new one)." env:"-"`
}

// Run implements the command.
func (c *projectCreate) Run(std stdio, signals interrupts) error {
	return c.do(signals, func(ctx context.Context, s *iam.Service, domain iam.Domain) error {
		project, err := s.CreateProject(ctx, iam.NewProject{ID: c.ID, DomainID: domain.ID, Name: c.Name})
		if err != nil {
			return err
		}
		return printed(fmt.Fprintln(std.Out, project.ID))
	})
}

type projectList struct {
	adminFlags `embed:""`
}

// Run implements the command.
func (c *projectList) Run(std stdio, signals interrupts) error {
	return c.do(signals, func(ctx context.Context, s *iam.Service, domain iam.Domain) error {
		projects, err := s.Projects(ctx, domain.ID)
		if err != nil {
			return err
		}
		return table(std.Out, "ID\tNAME", projects, func(p iam.Project) []any { return []any{p.ID, p.Name} })
	})
}

// findProject returns a project by its name or its id.
func findProject(ctx context.Context, s *iam.Service, domain iam.Domain, name string) (iam.Project, error) {
	projects, err := s.Projects(ctx, domain.ID)
	if err != nil {
		return iam.Project{}, err
	}
	for _, p := range projects {
		if p.Name == name || p.ID == name {
			return p, nil
		}
	}
	return iam.Project{}, fault.New(fault.NotFound, "the domain %s has no project %q", domain.Name, name)
}

type projectMembers struct {
	adminFlags `embed:""`
	Project    string `arg:"" help:"Name or id of the project."`
}

// Run implements the command.
func (c *projectMembers) Run(std stdio, signals interrupts) error {
	return c.do(signals, func(ctx context.Context, s *iam.Service, domain iam.Domain) error {
		project, err := findProject(ctx, s, domain, c.Project)
		if err != nil {
			return err
		}
		members, err := s.Members(ctx, project.ID)
		if err != nil {
			return err
		}
		return table(std.Out, "USER\tROLES", members, func(m iam.Member) []any { return []any{m.User.Name, roleNames(m.Roles, ", ")} })
	})
}

func roleNames(roles []iam.Role, separator string) string {
	names := make([]string, len(roles))
	for i, role := range roles {
		names[i] = string(role)
	}
	return strings.Join(names, separator)
}

type roleCommand struct {
	Grant  roleGrant  `cmd:"" help:"Give a user a role in a project."`
	Revoke roleRevoke `cmd:"" help:"Take a role away."`
	List   roleList   `cmd:"" help:"List the roles that there are."`
}

// roleFlags name a role of a user in a project.
type roleFlags struct {
	adminFlags `embed:""`
	Project    string   `arg:"" help:"Name or id of the project."`
	User       string   `arg:"" help:"Name of the user."`
	Role       iam.Role `arg:"" help:"Role, such as developer."`
}

func (f roleFlags) doRole(signals interrupts, work func(s *iam.Service) func(ctx context.Context, projectID, userID string, role iam.Role) error) error {
	return f.do(signals, func(ctx context.Context, s *iam.Service, domain iam.Domain) error {
		project, err := findProject(ctx, s, domain, f.Project)
		if err != nil {
			return err
		}
		user, err := findUser(ctx, s, domain, f.User)
		if err != nil {
			return err
		}
		return work(s)(ctx, project.ID, user.ID, f.Role)
	})
}

type roleGrant struct {
	roleFlags `embed:""`
}

// Run implements the command.
func (c *roleGrant) Run(signals interrupts) error {
	return c.doRole(signals, func(s *iam.Service) func(context.Context, string, string, iam.Role) error { return s.GrantRole })
}

type roleRevoke struct {
	roleFlags `embed:""`
}

// Run implements the command.
func (c *roleRevoke) Run(signals interrupts) error {
	return c.doRole(signals, func(s *iam.Service) func(context.Context, string, string, iam.Role) error { return s.RevokeRole })
}

type roleList struct{}

// Run implements the command.
func (c *roleList) Run(std stdio) error {
	_, err := fmt.Fprintln(std.Out, roleNames(iam.Roles(), "\n"))
	return err
}
