package build

import "context"

// Output is what a build has put somewhere else than into the release repository.
type Output struct {
	RecordID  RecordID
	Kind      OutputKind
	Reference string // where: registry.example.org/team/app:1.0, or obs://bucket/key
	Digest    string // sha256:… of the image's manifest, or of the object's content
}

// OutputKind tells where an output is.
type OutputKind string

// The kinds of outputs.
const (
	ImageOutput  OutputKind = "image"  // in a registry
	ObjectOutput OutputKind = "object" // in an object store
)

// Outputs returns what a build and its children have put elsewhere. Whether the actor may see the build is the caller's question.
func (s *Service) Outputs(ctx context.Context, id RecordID) ([]Output, error) {
	return s.Store.Outputs(ctx, id)
}
