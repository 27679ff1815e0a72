package engine

import (
	"context"

	"atelier/internal/build"
	"atelier/internal/logs/mask"
	"atelier/internal/plan"
	"atelier/internal/source"
)

// sourcesOf returns what reads the task's repository, with the credential of the endpoint that the task names.
func (r *run) sourcesOf(ctx context.Context, src build.Source, p *prepared) (Sources, error) {
	if src.EndpointID == "" || r.Endpoints == nil {
		return r.Sources, nil
	}
	c, err := r.credential(ctx, p, src.EndpointID, src.URL)
	if err != nil {
		return nil, err
	}
	return r.Endpoints.Sources(c), nil
}

// openCheckouts finds the credentials of the endpoints that checkouts name besides the task's. That one counts for all checkouts, as
// far as its address reaches; one that a step names by itself is wrong when it does not reach the repository.
func (r *run) openCheckouts(steps []plan.Step, p *prepared) error {
	if r.Endpoints == nil {
		return nil
	}
	for _, step := range steps {
		if _, known := p.credentials[step.EndpointID]; known || step.EndpointID == "" || step.Checkout == nil {
			continue
		}
		if _, err := r.credential(r.ctx, p, step.EndpointID, step.Checkout.URL); err != nil {
			return err
		}
	}
	return nil
}

// credential returns what an endpoint of the project opens a repository with. From then on its password is a secret of the build.
func (r *run) credential(ctx context.Context, p *prepared, id, repository string) (c source.Credential, err error) {
	if err := r.checkEndpoints(); err != nil {
		return c, err
	}
	err = r.retry(ctx, func(ctx context.Context) (err error) {
		c, err = r.Endpoints.Credential(ctx, r.record.ProjectID, id, repository)
		return err
	})
	if err != nil {
		return c, err
	}
	if p.credentials == nil {
		p.credentials = make(map[string]source.Credential)
	}
	p.credentials[id] = c
	r.hide(p, c.Password)
	return c, nil
}

// hide makes a text a secret of the build.
func (r *run) hide(p *prepared, secret string) {
	p.secrets = append(p.secrets, secret)
	r.masker = mask.New(p.secrets)
}
