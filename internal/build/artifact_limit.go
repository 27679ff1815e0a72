package build

import "atelier/internal/fault"

// ArtifactLimits are how many bytes artifacts may have; 0 is no limit.
type ArtifactLimits struct {
	File    int64 // each
	Build   int64 // of one build together
	Project int64 // of a project together that stand at an address
}

// ArtifactUsage is how many bytes the artifacts of a build and a project have, without what an upload will replace.
type ArtifactUsage struct{ Project, Build int64 }

// Check reports whether an upload is within the limits. The error is a fault.Limit.
func (l ArtifactLimits) Check(a Artifact, used ArtifactUsage) error {
	for _, limit := range []struct {
		most, used int64
		what, flag string
	}{
		{l.File, 0, "a file", "--artifact-file-limit"},
		{l.Build, used.Build, "the files of a build", "--artifact-build-limit"},
		{l.Project, used.Project, "the files of a project", "--artifact-project-limit"},
	} {
		if limit.most > 0 && limit.used+a.Size > limit.most {
			return fault.New(fault.Limit, "%s cannot be uploaded: %s may have %d bytes (%s of the server), there would be %d or more",
				a.Path, limit.what, limit.most, limit.flag, limit.used+a.Size)
		}
	}
	return nil
}
