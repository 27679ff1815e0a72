package engine

import (
	"cmp"
	"context"
	"io"
	"time"

	"atelier/internal/build"
	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

// images returns the place of the build's images.
func (r *run) images() (executor.Images, error) {
	if r.Images == nil {
		return nil, fault.New(fault.Invalid,
			"this service has no container engine for images; whoever runs it sets --container-socket or --image-registries")
	}
	if r.ownImages == nil {
		r.ownImages = r.Images.Open(executor.ImagesOf{
			Record: string(r.record.ID), Class: cmp.Or(r.what.plan.Resource.Class, r.what.config.Class()),
			Pushed: func(reference, digest string) error {
				return r.reportOutput(build.Output{Kind: build.ImageOutput, Reference: r.mask(reference), Digest: digest})
			},
		})
	}
	return r.ownImages, nil
}

// closeImages removes what steps left in the engine.
func (r *run) closeImages() {
	if r.ownImages == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), closeTime)
	defer cancel()
	if err := r.ownImages.Close(ctx); err != nil {
		r.server.Error("remove the images of a build", "error", r.mask(err.Error()))
	}
}

// buildImage builds an image and pushes it.
func (r *run) buildImage(files executor.Files, spec plan.ImageBuild, out io.Writer) error {
	images, err := r.images()
	if err != nil {
		return err
	}
	var labels map[string]string
	if spec.MetaData {
		labels = r.imageLabels()
	}
	return images.Build(r.ctx, files, spec, labels, out)
}

// docker carries out docker commands until one fails. When one cannot be read, none is carried out.
func (r *run) docker(files executor.Files, spec plan.Docker, out io.Writer) error {
	images, err := r.images()
	if err != nil {
		return err
	}
	commands, err := spec.Parse(r.Executor.Workspace(string(r.record.ID)), r.variable)
	if err != nil {
		return err
	}
	for _, command := range commands {
		if err := images.Docker(r.ctx, files, command, out); err != nil {
			return err
		}
	}
	return nil
}

// variable returns the value that a variable has in every step.
func (r *run) variable(name string) (value string) {
	for _, v := range r.what.plan.Env {
		if v.Name == name {
			value = v.Value
		}
	}
	return value
}

// imageLabels say which build an image comes from, under names that are common for images.
func (r *run) imageLabels() map[string]string {
	labels := map[string]string{
		"org.opencontainers.image.created": r.Now().UTC().Format(time.RFC3339),
		"org.opencontainers.image.version": r.record.DailyNumber,
		"atelier.job":                      string(r.record.JobID),
	}
	if source, ok := r.what.config.Source(); ok {
		labels["org.opencontainers.image.source"] = source.URL
		labels["org.opencontainers.image.revision"] = r.what.info.Commit
	}
	return labels
}
