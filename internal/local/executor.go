package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"atelier/internal/executor"
	"atelier/internal/executor/container"
	"atelier/internal/executor/host"
	"atelier/internal/plan"
)

// place is an executor in the user's directory.
type place struct {
	stepRunner
	dir        string
	repository repository
}

// stepRunner runs the steps.
type stepRunner interface {
	executor.Executor
	io.Closer
}

// newPlace returns what runs the steps: in containers if the user wants it, and else on this machine.
func newPlace(ctx context.Context, c Config, state *state, repository repository) (*place, error) {
	var steps stepRunner
	var err error
	if c.Containers == nil {
		steps, err = host.New(host.Config{
			Dir: state.path("builds"), Workspace: c.Dir, Source: state.git, Path: os.Getenv("PATH"), Hurry: c.Hurry, Log: c.Log,
		})
	} else {
		config := *c.Containers
		config.Dir, config.Workspace, config.Source, config.Path, config.Hurry, config.Log = state.path("builds"), c.Dir, state.git, os.Getenv("PATH"), c.Hurry, c.Log
		config.RegistryConfig = dockerConfig()
		steps, err = container.New(ctx, config)
	}
	return &place{steps, c.Dir, repository}, err
}

// Open implements [executor.Executor].
func (p *place) Open(ctx context.Context, b executor.Build) (executor.Session, error) {
	s, err := p.stepRunner.Open(ctx, b)
	if err != nil {
		return nil, err
	}
	return session{s, p}, nil
}

type session struct {
	executor.Session
	place *place
}

// Run implements [executor.Session].
func (s session) Run(ctx context.Context, step plan.Step, out io.Writer) (executor.Result, error) {
	if step.Checkout == nil {
		return s.Session.Run(ctx, step, out)
	}
	root, err := os.OpenRoot(s.place.dir)
	if err != nil {
		return executor.Result{}, fmt.Errorf("open the working directory: %w", err)
	}
	defer root.Close()
	if why := s.place.leavesOut(root, *step.Checkout); why != "" {
		_, err := fmt.Fprintln(out, why)
		return executor.Result{}, err
	}
	added := topmost(root, step.Checkout.Path)
	result, err := s.Session.Run(ctx, step, out)
	if (err != nil || !result.Succeeded()) && added != "" {
		// The next build would take half a repository for a whole one.
		err = errors.Join(err, root.RemoveAll(added))
	}
	return result, err
}

// leavesOut says why a checkout is not made; it is made when that is empty. Nothing that is in the directory is touched.
func (p *place) leavesOut(root *os.Root, c plan.Checkout) string {
	switch {
	case c.Path == "" && p.repository.has(c.URL):
		return "Nothing is checked out: the working directory is used as it is."
	case c.Path == "":
		return fmt.Sprintf("Nothing is checked out: the working directory is used as it is, in place of %s.", c.URL)
	case p.repository.has(c.URL):
		return fmt.Sprintf("Nothing is checked out to %s: the working directory is this repository, and is used as it is.", c.Path)
	case !missing(root, c.Path):
		return fmt.Sprintf("Nothing is checked out: %s is there already and is used as it is.", c.Path)
	default:
		return ""
	}
}

// missing reports whether there is nothing at a path.
func missing(root *os.Root, name string) bool {
	_, err := root.Lstat(name)
	return errors.Is(err, fs.ErrNotExist)
}

// topmost returns what has to be made so that a directory is there: itself or one above it; nothing when it is there.
func topmost(root *os.Root, dir string) string {
	if !missing(root, dir) {
		return ""
	}
	for above := path.Dir(dir); above != "." && missing(root, above); above = path.Dir(above) {
		dir = above
	}
	return dir
}
