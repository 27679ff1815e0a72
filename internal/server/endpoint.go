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

// Resolve implements [trigger.Sources].
func (e endpoints) Resolve(ctx context.Context, project build.ProjectID, src build.Source, ref source.Ref) (source.Commit, error) {
	client, err := e.client(ctx, project, src)
	if err != nil {
		return source.Commit{}, err
	}
	return client.Resolve(ctx, src.URL, ref)
}

// Branches implements [hook.Sources].
func (e endpoints) Branches(ctx context.Context, project build.ProjectID, src build.Source) (heads map[string]string, standard string, err error) {
	client, err := e.client(ctx, project, src)
	if err != nil {
		return nil, "", err
	}
	return client.Branches(ctx, src.URL)
}

// client is git as the endpoint of a source says it is to be used.
func (e endpoints) client(ctx context.Context, project build.ProjectID, src build.Source) (*source.Client, error) {
	if src.EndpointID == "" {
		return e.git, nil
	}
	c, err := e.Credential(ctx, project, src.EndpointID, src.URL)
	if err != nil {
		return nil, err
	}
	return e.git.With(c), nil
}
