package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"atelier/internal/cache"
	"atelier/internal/iam"
	"atelier/internal/server"
)

// cacheCommand works on the caches in the data directory, which are the domain's builds' on this machine.
type cacheCommand struct {
	List  cacheList  `cmd:"" help:"List the caches."`
	Clear cacheClear `cmd:"" help:"Empty the caches. Builds that run keep their copies."`
}

// cachesOf is what commands about the caches of a domain, or of one of its projects, work on.
type cachesOf struct {
	adminFlags `embed:""`
	Project    string `help:"Name or id of the project (default: all)." placeholder:"PROJECT" env:"-"`
}

// do calls work with the directory of the caches, the domain and the project's id, and prints the caches that it returns.
func (c cachesOf) do(std stdio, signals interrupts, work func(dir, domain, project string) ([]cache.Usage, error)) error {
	return c.adminFlags.do(signals, func(ctx context.Context, s *iam.Service, domain iam.Domain) error {
		dir, err := c.dir()
		if err != nil {
			return err
		}
		var project iam.Project
		if c.Project != "" {
			if project, err = findProject(ctx, s, domain, c.Project); err != nil {
				return err
			}
		}
		caches, err := work(server.CacheDir(dir), domain.ID, project.ID)
		if err != nil {
			return err
		}
		projects, err := s.Projects(ctx, domain.ID)
		if err != nil {
			return err
		}
		return table(std.Out, "PROJECT\tTOOL\tPROTECTED\tMB\tUSED", caches, func(u cache.Usage) []any {
			name := u.Project // of one that is gone
			if i := slices.IndexFunc(projects, func(p iam.Project) bool { return p.ID == u.Project }); i >= 0 {
				name = projects[i].Name
			}
			return []any{name, u.Tool, u.Protected, fmt.Sprintf("%.1f", float64(u.Bytes)/1e6), u.Used.UTC().Format(time.RFC3339)}
		})
	})
}

type cacheList struct {
	cachesOf `embed:""`
}

// Run implements the command.
func (c *cacheList) Run(std stdio, signals interrupts) error {
	return c.do(std, signals, func(dir, domain, project string) ([]cache.Usage, error) {
		all, err := cache.Usages(dir)
		return slices.DeleteFunc(all, func(u cache.Usage) bool { return u.Tenant != domain || project != "" && u.Project != project }), err
	})
}

type cacheClear struct {
	cachesOf `embed:""`
	Tool     string `help:"Empty the caches of this tool only: ${enum} (default: all)." enum:",go,gradle,maven,npm,pip,yarn" default:"" placeholder:"TOOL" env:"-"`
}

// Run implements the command.
func (c *cacheClear) Run(std stdio, signals interrupts) error {
	return c.do(std, signals, func(dir, domain, project string) ([]cache.Usage, error) {
		return cache.Clear(dir, domain, project, c.Tool)
	})
}
