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

// provide makes sure that the engine has an image. That it cannot be had is an [unusable] error.
func (e *Executor) provide(ctx context.Context, image reference.Named, out io.Writer) error {
	if e.config.Pull != PullAlways {
		_, err := e.engine.ImageInspect(ctx, image.String())
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errdefs.IsNotFound(err):
			return lost(fmt.Errorf("look for the image %s: %w", image, err))
		case e.config.Pull == PullNever:
			return unusable(fmt.Sprintf("the image %s is not on the machine, and this service is set to pull none", image))
		}
	}
	reach := registries{e.config.Dialer, e.config.RegistryConfig, registriesOf(e.config.Images.Images)}
	if err := reach.check(ctx, reference.Domain(image)); err != nil {
		if why, public := fault.Public(err); public {
			return unusable(why)
		}
		return err
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
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case client.IsErrConnectionFailed(err):
		return lost(fmt.Errorf("pull the image %s: %w", image, err))
	default:
		return unusable(fmt.Sprintf("the image %s cannot be pulled: %s", image, short(err.Error())))
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

// unusable is why an image cannot be had or used, in words for who wrote the step.
type unusable string

func (u unusable) Error() string { return string(u) }

// resultOf is how a step ended that did not run. What is wrong with its image is the step's own failure.
func resultOf(err error) (executor.Result, error) {
	if why, ok := errors.AsType[unusable](err); ok {
		return executor.Result{ExitCode: 1, Reason: string(why)}, nil
	}
	return executor.Result{}, err
}
