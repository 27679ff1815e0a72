package executor

import (
	"context"
	"io"

	"atelier/internal/plan"
)

// ImagesOf is what a container engine has to know of a build that makes images.
type ImagesOf struct {
	Record string                               // id of the build
	Class  string                               // of the build
	Pushed func(reference, digest string) error // called after each push; its error ends the step
}

// Images is the place of one build's images in a container engine, by names that no other build sees. It is used by one goroutine at a
// time. Errors that who wrote the step can do something about are faults; when ctx ends, so does what runs, and its cause is returned.
type Images interface {
	// Build builds an image from a directory of a workspace, and pushes it to registries. What the engine prints goes to out.
	Build(ctx context.Context, files Files, spec plan.ImageBuild, labels map[string]string, out io.Writer) error
	// Docker carries out one docker command.
	Docker(ctx context.Context, files Files, command plan.DockerCommand, out io.Writer) error
	// Close ends and removes everything that the build left in the engine. It may be called again.
	Close(ctx context.Context) error
}
