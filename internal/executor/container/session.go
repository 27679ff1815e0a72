package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"atelier/internal/executor"
	"atelier/internal/plan"
)

// session is one build. It implements [executor.Session].
type session struct {
	executor.Files // of the workspace
	executor       *Executor
	files          executor.Session // its directories, and what is checked out into them
	record         string
	dir            string
	env            []string
	caches         []executor.Cache
	class          class
	over           bool // no step is to run any more
	ended          bool // and there is no container
}

// Run implements [executor.Session].
func (s *session) Run(ctx context.Context, step plan.Step, out io.Writer) (executor.Result, error) {
	switch {
	case ctx.Err() != nil:
		return executor.Result{}, context.Cause(ctx)
	case s.over:
		return executor.Result{}, errors.New("the build is closed")
	case step.Checkout != nil:
		step.Image = "" // git is the server's
		return s.files.Run(ctx, step, out)
	case step.Script != nil:
		return s.script(ctx, step, out)
	default:
		return executor.Result{}, errors.New("the step has nothing to run")
	}
}

func (s *session) path(name string) string { return filepath.Join(s.dir, name) }

// script runs a script in a container, which is gone when it returns.
func (s *session) script(ctx context.Context, step plan.Step, out io.Writer) (_ executor.Result, err error) {
	e := s.executor
	image, err := e.config.Images.image(step.Image, step.Keyword)
	if err != nil {
		return executor.Result{}, err
	}
	if err := e.provide(ctx, image, out); err != nil {
		return resultOf(err)
	}
	file := s.path("script")
	if err := os.WriteFile(file, []byte(step.Script.Command), 0o600); err != nil {
		return executor.Result{}, fmt.Errorf("write the script: %w", err)
	}
	defer os.Remove(file)
	for i, private := range step.Script.Private {
		name := s.path(executor.PrivateName(i))
		if err := os.WriteFile(name, []byte(private.Content), 0o600); err != nil {
			return executor.Result{}, fmt.Errorf("write a private file of the step: %w", err)
		}
		defer os.Remove(name)
	}
	// What makes and removes a container is not cut short: nobody would know whether there is one.
	work, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	c, err := s.create(work, image.String(), file, step.Script.Private, executor.CachesOf(step, s.caches))
	if err != nil {
		return executor.Result{}, err
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		err = errors.Join(err, lost(e.remove(last, c.id)))
	}()
	result, err := c.run(ctx, out)
	if err != nil {
		return resultOf(err)
	}
	return result, nil
}

// End implements [executor.Session]. It waits for an engine that is being started again.
func (s *session) End(ctx context.Context) error {
	s.over = true
	for !s.ended {
		err := s.executor.removeAll(ctx, labelRecord, s.record)
		if err == nil {
			s.ended = true
			break
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
	return s.files.End(ctx)
}

// Close implements [executor.Session].
func (s *session) Close(ctx context.Context) error {
	if err := s.End(ctx); err != nil {
		return err // and no files are removed that may still be written to
	}
	return s.files.Close(ctx)
}

// lost marks an error as that of an engine that does not do what it should.
func lost(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", executor.ErrLost, err)
}
