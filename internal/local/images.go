package local

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"atelier/internal/executor"
	"atelier/internal/executor/container"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

// images has the user's own container engine, where there is one, make images. It is asked when a step needs it.
type images struct {
	dir string // tells what this run makes in the engine from what others do
}

// Recover implements [engine.Images].
func (images) Recover(context.Context) error { return nil }

// Open implements [engine.Images].
func (i images) Open(of executor.ImagesOf) executor.Images {
	return &imagePlace{config: container.BuilderConfig{
		Dir: i.dir, Socket: container.UsualSocket(), Pull: container.PullMissing, RegistryConfig: dockerConfig(),
	}, of: of}
}

// dockerConfig returns the file that docker login writes, where there is one.
func dockerConfig() string {
	dir := os.Getenv("DOCKER_CONFIG")
	if home, err := os.UserHomeDir(); dir == "" && err == nil {
		dir = filepath.Join(home, ".docker")
	}
	file := filepath.Join(dir, "config.json")
	if container.CheckRegistryConfig(file) != nil {
		return ""
	}
	return file
}

// imagePlace is a place in an engine that nobody has spoken with yet.
type imagePlace struct {
	config  container.BuilderConfig
	of      executor.ImagesOf
	builder *container.Builder // nil until it is needed
	place   executor.Images
}

func (p *imagePlace) open(ctx context.Context) (err error) {
	if p.builder != nil {
		return nil
	}
	if p.builder, err = container.NewBuilder(ctx, p.config); err != nil {
		p.builder = nil
		return fault.Wrap(err, fault.Invalid, "no container engine answers at %s; start Docker or Podman, or set DOCKER_HOST", p.config.Socket)
	}
	p.place = p.builder.Open(p.of)
	return nil
}

// Build implements [executor.Images].
func (p *imagePlace) Build(ctx context.Context, files executor.Files, spec plan.ImageBuild, labels map[string]string, out io.Writer) error {
	if err := p.open(ctx); err != nil {
		return err
	}
	return p.place.Build(ctx, files, spec, labels, out)
}

// Docker implements [executor.Images].
func (p *imagePlace) Docker(ctx context.Context, files executor.Files, command plan.DockerCommand, out io.Writer) error {
	if err := p.open(ctx); err != nil {
		return err
	}
	return p.place.Docker(ctx, files, command, out)
}

// Close implements [executor.Images].
func (p *imagePlace) Close(ctx context.Context) error {
	if p.builder == nil {
		return nil
	}
	return errors.Join(p.place.Close(ctx), p.builder.Close())
}
