package server

import (
	"context"

	"atelier/internal/build"
	"atelier/internal/endpoint"
	"atelier/internal/engine"
	"atelier/internal/source"
)

// endpoints brings service endpoints and git together, for everybody who reads the repository of a task.
type endpoints struct {
	*endpoint.Service
	git *source.Client
}

// Sources implements [engine.Endpoints].
func (e endpoints) Sources(c source.Credential) engine.Sources { return e.git.With(c) }

// Resolve implements [hook.Sources] and [trigger.Sources].
func (e endpoints) Resolve(ctx context.Context, project build.ProjectID, src build.Source, ref source.Ref) (source.Commit, error) {
	if src.EndpointID == "" {
		return e.git.Resolve(ctx, src.URL, ref)
	}
	c, err := e.Credential(ctx, project, src.EndpointID, src.URL)
	if err != nil {
		return source.Commit{}, err
	}
	return e.git.With(c).Resolve(ctx, src.URL, ref)
}
