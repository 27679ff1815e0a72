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

type cacheList struct {
	adminFlags `embed:""`
}

// Run implements the command.
func (c *cacheList) Run(std stdio, signals interrupts) error {
	return c.do(signals, func(_ context.Context, _ *iam.Service, domain iam.Domain) error {
		dir, err := c.dir()
		if err != nil {
			return err
		}
		all, err := cache.Usages(server.CacheDir(dir))
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(u cache.Usage) bool { return u.Tenant != domain.ID })
		return table(std.Out, "TOOL\tMB\tUSED", all, cacheColumns)
	})
}

func cacheColumns(u cache.Usage) []any {
	return []any{u.Tool, fmt.Sprintf("%.1f", float64(u.Bytes)/1e6), u.Used.UTC().Format(time.RFC3339)}
}

type cacheClear struct {
	adminFlags `embed:""`
	Tool       string `help:"Empty the cache of this tool only: ${enum} (default: all)." enum:",go,gradle,maven,npm,pip,yarn" default:"" placeholder:"TOOL" env:"-"`
}

// Run implements the command.
func (c *cacheClear) Run(std stdio, signals interrupts) error {
	return c.do(signals, func(_ context.Context, _ *iam.Service, domain iam.Domain) error {
		dir, err := c.dir()
		if err != nil {
			return err
		}
		cleared, err := cache.Clear(server.CacheDir(dir), domain.ID, c.Tool)
		if err != nil {
			return err
		}
		return table(std.Out, "TOOL\tMB\tUSED", cleared, cacheColumns)
	})
}
