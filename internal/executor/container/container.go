// Package container runs each step of a build in a container of its own, through the API that Docker and Podman answer.
//
// The directories of a build lie on the server's machine and are mounted into its containers, at the same paths. An executor of
// package host makes and removes them. It also checks the repositories out, with the server's git and credentials, which
// therefore no container sees; nothing of the build runs meanwhile.
package container

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"atelier/internal/dialer"
	"atelier/internal/executor"
	"atelier/internal/executor/host"
	"atelier/internal/fault"
	"atelier/internal/source"
)

// Config is what an [Executor] is made of.
type Config struct {
	// Dir holds a directory for each build. It is absolute, belongs to this executor alone, and is on the machine of the engine
	// that runs the containers.
	Dir string

	// Workspace is a directory in which all builds run, one at a time, as it is. Default: each build has a workspace of its own below Dir.
	Workspace string

	// Source checks repositories out, with the git that is found on Path.
	Source *source.Client
	Path   string

	Socket         string // of the engine: a path or an address such as unix:///run/podman/podman.sock
	Network        string // of the containers: bridge, none, host, or one that the engine knows by name; bridge when empty
	Images         *Catalogue
	Pull           PullPolicy
	RegistryConfig string         // file with the registries' credentials, in the form of Docker's config.json; none when empty
	Dialer         *dialer.Dialer // judges where the registries are that builds name; nil when they may be anywhere

	// Grace is how long the processes of a step that is stopped have to end by themselves; default [executor.Grace].
	Grace time.Duration

	// Log gets what the operator should know of what builds have left behind; nil for none.
	Log *slog.Logger

	// Hurry is closed when steps that are stopped have no more time to end by themselves; nil for never.
	Hurry <-chan struct{}
}

// patience is how long the engine has to answer what should take it a moment.
const patience = time.Minute

// The labels of all containers of this package.
const (
	labelDir    = "atelier.dir"    // of the executor
	labelRecord = "atelier.record" // of the build
)

// Executor runs builds in containers. It implements [executor.Executor].
type Executor struct {
	config  Config
	host    *host.Executor
	engine  *client.Client
	cpus    int // of the engine's machine
	classes map[string]class
}

var _ executor.Executor = (*Executor)(nil)

// New returns an executor. The engine has to answer.
func New(ctx context.Context, config Config) (*Executor, error) {
	config.Network = cmp.Or(config.Network, "bridge")
	config.Pull = cmp.Or(config.Pull, PullMissing)
	config.Grace = cmp.Or(config.Grace, executor.Grace)
	if config.Images == nil {
		config.Images = DefaultCatalogue()
	}
	files, err := host.New(host.Config{
		Dir: config.Dir, Workspace: config.Workspace, Source: config.Source, Path: config.Path, Grace: config.Grace, Hurry: config.Hurry, Log: config.Log,
	})
	if err != nil {
		return nil, err
	}
	e := &Executor{config: config, host: files, classes: classes}
	if err := e.connect(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("the container engine at %s cannot be used: %w", config.Socket, err), e.Close())
	}
	return e, nil
}

func (e *Executor) connect(ctx context.Context) (err error) {
	address := e.config.Socket
	if !strings.Contains(address, "://") {
		address = "unix://" + address
	}
	if e.engine, err = client.New(client.WithHost(address), client.WithUserAgent("atelier")); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := e.engine.Info(ctx, client.InfoOptions{})
	if err != nil {
		return err
	}
	if answer.Info.OSType != "linux" {
		return fmt.Errorf("its containers run %q, not linux", answer.Info.OSType)
	}
	e.cpus = answer.Info.NCPU
	switch e.config.Network {
	case "bridge", "none", "host":
		return nil
	}
	if _, err := e.engine.NetworkInspect(ctx, e.config.Network, client.NetworkInspectOptions{}); err != nil {
		return fmt.Errorf("find the network %s: %w", e.config.Network, err)
	}
	return nil
}

// Workspace implements [executor.Executor].
func (e *Executor) Workspace(record string) string { return e.host.Workspace(record) }

// Open implements [executor.Executor].
func (e *Executor) Open(ctx context.Context, build executor.Build) (executor.Session, error) {
	size, err := e.class(build.Resource.Class)
	if err != nil {
		return nil, err
	}
	if err := e.config.Images.check(build.Images); err != nil {
		return nil, err
	}
	if err := e.ping(ctx); err != nil {
		return nil, err
	}
	files, err := e.host.Open(ctx, build)
	if err != nil {
		return nil, err
	}
	dir := e.host.BuildDir(build.Record)
	env, err := host.Environment(dir, e.host.Workspace(build.Record), build)
	if err != nil {
		return nil, errors.Join(err, files.Close(ctx))
	}
	return &session{Files: files, executor: e, files: files, record: build.Record, dir: dir, env: env, caches: build.Caches, class: size}, nil
}

// ping reports an engine that does not answer.
func (e *Executor) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := e.engine.Ping(ctx, client.PingOptions{}); err != nil {
		return fault.Wrap(err, fault.Unavailable, "The container engine does not answer.")
	}
	return nil
}

// Recover implements [executor.Executor].
func (e *Executor) Recover(ctx context.Context) error {
	if err := e.removeAll(ctx, labelDir, e.dir()); err != nil {
		return fmt.Errorf("remove the containers that were left behind: %w", err)
	}
	return e.host.Recover(ctx)
}

// dir names the executor on the labels of its containers.
func (e *Executor) dir() string { return e.host.BuildDir("") }

// removeAll ends and removes all containers that have a label.
func (e *Executor) removeAll(ctx context.Context, label, value string) error {
	found, err := e.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", label+"="+value)})
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	var failed []error
	for _, c := range found.Items {
		failed = append(failed, e.remove(ctx, c.ID))
	}
	return errors.Join(failed...)
}

// remove ends and removes a container, which may be gone already. It returns when no process of it is left.
func (e *Executor) remove(ctx context.Context, id string) error {
	_ = e.kill(ctx, id) // without it, some engines ask the container first and wait
	_, err := e.engine.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove the container %.12s: %w", id, err)
	}
	return nil
}

func (e *Executor) kill(ctx context.Context, id string) error {
	_, err := e.engine.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: "SIGKILL"})
	return err
}

// Close ends what the executor needs for itself. No build may be opened any more.
func (e *Executor) Close() error {
	err := e.host.Close()
	if e.engine != nil {
		err = errors.Join(err, e.engine.Close())
	}
	return err
}

// user is who runs the steps: the server's own user, so that the files of the build belong to it.
func user() string { return fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()) }
