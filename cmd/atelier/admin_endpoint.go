package main

import (
	"context"
	"fmt"
	"time"

	"atelier/internal/build"
	"atelier/internal/endpoint"
	"atelier/internal/iam"
	"atelier/internal/server"
)

type endpointCommand struct {
	Add      endpointAdd      `cmd:"" help:"Add a service endpoint and print its id, which tasks name as endpoint_id."`
	List     endpointList     `cmd:"" help:"List the service endpoints of a project."`
	Password endpointPassword `cmd:"" help:"Set the password of a service endpoint. Builds that begin later use it."`
	Remove   endpointRemove   `cmd:"" help:"Remove a service endpoint."`
}

// endpointsOf is what commands about the endpoints of one project work on.
type endpointsOf struct {
	adminFlags `embed:""`
	Project    string `arg:"" help:"Name or id of the project."`
}

func (f endpointsOf) doProject(signals interrupts, work func(ctx context.Context, parts server.Parts, domain iam.Domain, id build.ProjectID) error) error {
	return f.doParts(signals, func(ctx context.Context, parts server.Parts, domain iam.Domain) error {
		project, err := findProject(ctx, parts.IAM, domain, f.Project)
		if err != nil {
			return err
		}
		return work(ctx, parts, domain, build.ProjectID(project.ID))
	})
}

type endpointAdd struct {
	endpointsOf  `embed:""`
	Name         string        `arg:"" help:"Name of the service endpoint, unique in the project."`
	Kind         endpoint.Kind `help:"What it opens: git for repositories of code, nexus for those of dependencies." default:"git" enum:"git,nexus" env:"-"`
	URL          string        `name:"url" help:"Address that it is for, with everything below it: https://host/path or http://host/path." required:"" env:"-"`
	User         string        `help:"User name there." required:"" env:"-"`
	PasswordFile string        `help:"File with the password or access token, - for standard input." required:"" placeholder:"FILE" env:"-"`
	Creator      string        `help:"User who is shown as its creator (default: nobody)." placeholder:"NAME" env:"-"`
}

// Run implements the command.
func (c *endpointAdd) Run(std stdio, signals interrupts) error {
	password, err := readSecret("--password-file", c.PasswordFile, std.In)
	if err != nil {
		return err
	}
	return c.doProject(signals, func(ctx context.Context, parts server.Parts, domain iam.Domain, project build.ProjectID) error {
		e := endpoint.Endpoint{ProjectID: project, Name: c.Name, Kind: c.Kind, URL: c.URL, User: c.User, Password: password, Region: c.Region}
		if c.Creator != "" {
			user, err := findUser(ctx, parts.IAM, domain, c.Creator)
			if err != nil {
				return err
			}
			e.CreatorID, e.CreatorName = user.ID, user.Name
		}
		made, err := parts.Endpoints.Add(ctx, e)
		if err != nil {
			return err
		}
		return printed(fmt.Fprintln(std.Out, made.ID))
	})
}

type endpointList struct {
	endpointsOf `embed:""`
}

// Run implements the command.
func (c *endpointList) Run(std stdio, signals interrupts) error {
	return c.doProject(signals, func(ctx context.Context, parts server.Parts, _ iam.Domain, project build.ProjectID) error {
		all, err := parts.Endpoints.Endpoints(ctx, project)
		if err != nil {
			return err
		}
		return table(std.Out, "ID\tNAME\tKIND\tUSER\tPASSWORD SET\tURL", all, func(e endpoint.Endpoint) []any {
			return []any{e.ID, e.Name, e.Kind, e.User, e.UpdatedAt.Format(time.RFC3339), e.URL}
		})
	})
}

// endpointFlags name an endpoint.
type endpointFlags struct {
	endpointsOf `embed:""`
	Name        string `arg:"" help:"Name or id of the service endpoint."`
}

func (f endpointFlags) doEndpoint(signals interrupts, work func(ctx context.Context, s *endpoint.Service, e endpoint.Endpoint) error) error {
	return f.doProject(signals, func(ctx context.Context, parts server.Parts, _ iam.Domain, project build.ProjectID) error {
		e, err := parts.Endpoints.Named(ctx, project, f.Name)
		if err != nil {
			return err
		}
		return work(ctx, parts.Endpoints, e)
	})
}

type endpointPassword struct {
	endpointFlags `embed:""`
	PasswordFile  string `help:"File with the password or access token, - for standard input." required:"" placeholder:"FILE" env:"-"`
}

// Run implements the command.
func (c *endpointPassword) Run(std stdio, signals interrupts) error {
	password, err := readSecret("--password-file", c.PasswordFile, std.In)
	if err != nil {
		return err
	}
	return c.doEndpoint(signals, func(ctx context.Context, s *endpoint.Service, e endpoint.Endpoint) error {
		return s.SetPassword(ctx, e, password)
	})
}

type endpointRemove struct {
	endpointFlags `embed:""`
	Force         bool `help:"Remove it although tasks name it. Their builds fail then." env:"-"`
}

// Run implements the command.
func (c *endpointRemove) Run(signals interrupts) error {
	return c.doEndpoint(signals, func(ctx context.Context, s *endpoint.Service, e endpoint.Endpoint) error {
		return s.Remove(ctx, e, c.Force)
	})
}
