package executor

import (
	"atelier/internal/plan"
)

// ImageBuild is the wish for an image.
type ImageBuild struct {
	Record string // id of the build that wants it
	Class  string // of the build
	Spec   plan.ImageBuild
	Labels map[string]string                    // of the image
	Pushed func(reference, digest string) error // called after each registry; its error ends the build of the image
}
