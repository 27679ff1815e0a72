package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/client"

	"atelier/internal/executor"
	"atelier/internal/fault"
)

// PullPolicy says when an image is fetched from its registry.
type PullPolicy string

// The policies.
const (
	PullMissing PullPolicy = "missing" // when the engine does not have it
	PullAlways  PullPolicy = "always"
	PullNever   PullPolicy = "never"
)

// provide makes sure that the engine has an image. That it cannot be had is a public error.
func (e *Executor) provide(ctx context.Context, image reference.Named, out io.Writer) error {
	if e.config.Pull != PullAlways {
		_, err := e.engine.ImageInspect(ctx, image.String())
		switch {
		case err == nil:
			return nil
		case !errdefs.IsNotFound(err):
			return lost(fmt.Errorf("look for the image %s: %w", image, err))
		case e.config.Pull == PullNever:
			return fault.New(fault.Unavailable, "the image %s is not on the machine, and this service is set to pull none", image)
		}
	}
	if _, err := fmt.Fprintf(out, "Pulling the image %s.\n", image); err != nil {
		return err
	}
	credentials, err := credentials(e.config.RegistryConfig, image)
	if err != nil {
		return err
	}
	pulling, err := e.engine.ImagePull(ctx, image.String(), client.ImagePullOptions{RegistryAuth: credentials})
	if err == nil {
		err = pulling.Wait(ctx)
	}
	switch {
	case err == nil:
		return nil
	case client.IsErrConnectionFailed(err):
		return lost(fmt.Errorf("pull the image %s: %w", image, err))
	default:
		return fault.Wrap(err, fault.Unavailable, "the image %s cannot be pulled: %s", image, short(err.Error()))
	}
}

// short puts a message of a registry into one line that is not too long.
func short(message string) string {
	words := strings.Join(strings.Fields(message), " ")
	if runes := []rune(words); len(runes) > 300 {
		return string(runes[:300]) + "…"
	}
	return words
}

// unavailable is the end of a step whose image cannot be had, which is a result of the step.
func unavailable(ctx context.Context, err error) (executor.Result, error) {
	why, public := fault.Public(err)
	switch {
	case ctx.Err() != nil:
		return executor.Result{}, context.Cause(ctx)
	case !public || errors.Is(err, executor.ErrLost):
		return executor.Result{}, err
	}
	return executor.Result{ExitCode: 1, Reason: why}, nil
}
