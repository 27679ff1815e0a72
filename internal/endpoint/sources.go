package endpoint

import (
	"context"

	"atelier/internal/build"
	"atelier/internal/source"
)

// Sources asks the repositories of tasks, with the credentials of the endpoints that the tasks name.
type Sources struct {
	Endpoints *Service
	Git       *source.Client
}

// Resolve returns the commit that a ref stands for in the repository of a project's task.
func (s Sources) Resolve(ctx context.Context, project build.ProjectID, src build.Source, ref source.Ref) (source.Commit, error) {
	git := s.Git
	if src.EndpointID != "" {
		credential, err := s.Endpoints.Credential(ctx, project, src.EndpointID, src.URL)
		if err != nil {
			return source.Commit{}, err
		}
		git = git.With(credential)
	}
	return git.Resolve(ctx, src.URL, ref)
}
