package engine

import (
	"cmp"
	"io"
	"time"

	"atelier/internal/build"
	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

// buildImage builds an image and pushes it. What was pushed is stored at once, since others can already see it.
func (r *run) buildImage(files executor.Files, spec plan.ImageBuild, out io.Writer) error {
	if r.Images == nil {
		return fault.New(fault.Invalid,
			"this service builds no images; whoever runs it sets --image-registries, and --container-socket if the engine is not at the usual place")
	}
	want := executor.ImageBuild{
		Record: string(r.record.ID), Spec: spec, Class: cmp.Or(r.what.plan.Resource.Class, r.what.config.Class()),
		Pushed: func(reference, digest string) error {
			return r.report(r.ctx, build.Progress{Outputs: []build.Output{{Kind: build.ImageOutput, Reference: reference, Digest: digest}}})
		},
	}
	if spec.MetaData {
		want.Labels = r.imageLabels()
	}
	return r.Images.Build(r.ctx, files, want, out)
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
