package storetest

import (
	"strings"
	"testing"
	"time"

	"atelier/internal/endpoint"
	"atelier/internal/fault"
	"atelier/internal/iam"
)

func anEndpoint(id, name string, kind endpoint.Kind) endpoint.Endpoint {
	return endpoint.Endpoint{
		ID: id, ProjectID: "p1", Name: name, Kind: kind, URL: "https://git.example.org/team", User: "robot", Password: "sealed " + id, Region: "cn-north-4",
		CreatorID: worker.ID, CreatorName: worker.Name, CreatedAt: start, UpdatedAt: start,
	}
}

func testEndpoints(t *testing.T, open Opener) {
	s := peopled(t, open)
	ctx := t.Context()
	for _, id := range []string{"p1", "p2"} {
		check(t, s.CreateProject(ctx, iam.Project{ID: id, DomainID: "d1", Name: id, CreatedAt: start}, iam.ProjectAdministrator))
	}
	git, nexus := anEndpoint("e1", "ours", endpoint.Git), anEndpoint("e2", "maven", endpoint.Nexus)
	check(t, s.AddEndpoint(ctx, git))
	check(t, s.AddEndpoint(ctx, nexus))
	wantKind(t, s.AddEndpoint(ctx, anEndpoint("e3", "ours", endpoint.Nexus)), fault.Exists)
	elsewhere := anEndpoint("e3", "ours", endpoint.Git)
	elsewhere.ProjectID = "p2"
	check(t, s.AddEndpoint(ctx, elsewhere))

	got, err := s.Endpoint(ctx, "p1", "e1")
	wantEqual(t, "an endpoint", got, git, err)
	_, err = s.Endpoint(ctx, "p1", "e3")
	wantKind(t, err, fault.NotFound)
	all, err := s.Endpoints(ctx, "p1")
	wantEqual(t, "those of a project by name", all, []endpoint.Endpoint{nexus, git}, err)

	git.Password, git.UpdatedAt = "another", start.Add(time.Hour)
	wantKind(t, s.SetEndpointPassword(ctx, "p2", "e1", "another", git.UpdatedAt), fault.NotFound)
	check(t, s.SetEndpointPassword(ctx, "p1", "e1", "another", git.UpdatedAt))
	got, err = s.Endpoint(ctx, "p1", "e1")
	wantEqual(t, "one with another password", got, git, err)

	createJob(t, s, aJob(1, "app")) // which names e1
	err = s.DeleteEndpoint(ctx, "p1", "e1", false)
	if wantKind(t, err, fault.Invalid); !strings.Contains(err.Error(), "these tasks first: app") {
		t.Errorf("what uses it is not said: %v", err)
	}
	wantKind(t, s.DeleteEndpoint(ctx, "p2", "e1", true), fault.NotFound)
	check(t, s.DeleteEndpoint(ctx, "p1", "e2", false))
	check(t, s.DeleteEndpoint(ctx, "p1", "e1", true))
	wantKind(t, s.DeleteEndpoint(ctx, "p1", "e1", false), fault.Invalid)
	wantKind(t, s.DeleteEndpoint(ctx, "p1", "e1", true), fault.NotFound)
	all, err = s.Endpoints(ctx, "p2")
	wantEqual(t, "those of another project", all, []endpoint.Endpoint{elsewhere}, err)
}
