package endpoint_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"atelier/internal/build"
	"atelier/internal/endpoint"
	"atelier/internal/fault"
)

// memory keeps one endpoint.
type memory struct {
	endpoint.Store
	kept endpoint.Endpoint
}

func (m *memory) AddEndpoint(_ context.Context, e endpoint.Endpoint) error {
	m.kept = e
	return nil
}

func (m *memory) Endpoint(_ context.Context, project build.ProjectID, id string) (endpoint.Endpoint, error) {
	if m.kept.ProjectID != project || m.kept.ID != id {
		return endpoint.Endpoint{}, fault.New(fault.NotFound, "none")
	}
	return m.kept, nil
}

// reversed seals by turning a text around.
type reversed struct{}

func (reversed) Seal(plain string) (string, error) {
	b := []byte(plain)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b), nil
}

func (r reversed) Open(sealed string) (string, error) { return r.Seal(sealed) }

func newService() (*endpoint.Service, *memory) {
	m := &memory{}
	return &endpoint.Service{Store: m, Sealer: reversed{}, Now: time.Now}, m
}

func TestAdd(t *testing.T) {
	t.Parallel()
	good := endpoint.Endpoint{ProjectID: "p1", Name: "ours", Kind: endpoint.Git, URL: "https://git.example.org/team/", User: "robot", Password: "hunter2"}
	s, m := newService()
	if _, err := s.Add(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	if m.kept.Password != "2retnuh" || m.kept.URL != "https://git.example.org/team" || len(m.kept.ID) != 32 {
		t.Errorf("%+v is kept", m.kept)
	}
	for name, test := range map[string]struct {
		change func(e *endpoint.Endpoint)
		says   string
	}{
		"kind":                    {func(e *endpoint.Endpoint) { e.Kind = "svn" }, `kind: must be git or nexus, found "svn"`},
		"no name":                 {func(e *endpoint.Endpoint) { e.Name = "" }, "name: must have 1 to 128 characters, found 0"},
		"a name of two lines":     {func(e *endpoint.Endpoint) { e.Name = "a\nb" }, `name: must have no control characters, and no space at its ends, found "a\nb"`},
		"another scheme":          {func(e *endpoint.Endpoint) { e.URL = "ssh://host/a" }, `url: must be https://host/path or http://host/path, found "ssh://host/a"`},
		"no host":                 {func(e *endpoint.Endpoint) { e.URL = "https:///a" }, "url: must be https://host/path"},
		"no address":              {func(e *endpoint.Endpoint) { e.URL = "" }, "url: must be https://host/path"},
		"a password in the URL":   {func(e *endpoint.Endpoint) { e.URL = "https://me:hunter2@host/a" }, "url: holds a user name or a password"},
		"not well formed":         {func(e *endpoint.Endpoint) { e.URL = "https://me:hunter2%zz@host/a" }, "url: is not well formed"},
		"a query":                 {func(e *endpoint.Endpoint) { e.URL = "https://host/a?b" }, "url: must have nothing after ? or #"},
		"a space":                 {func(e *endpoint.Endpoint) { e.URL = "https://host/a b" }, "url: must have no spaces"},
		"a colon in the name":     {func(e *endpoint.Endpoint) { e.User = "a:b" }, `user: must have no colon, found "a:b"`},
		"no user":                 {func(e *endpoint.Endpoint) { e.User = "" }, "user: must have 1 to 256 characters"},
		"a short password":        {func(e *endpoint.Endpoint) { e.Password = "abc" }, "password: must have 4 to 4000 characters, found 3"},
		"a password of two lines": {func(e *endpoint.Endpoint) { e.Password = "hunter2\nurl=x" }, "password: must be one line of text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, m := newService()
			bad := good
			test.change(&bad)
			_, err := s.Add(t.Context(), bad)
			public, _ := fault.Public(err)
			if !strings.HasPrefix(public, test.says) || strings.Contains(public, "hunter2") || m.kept.ID != "" {
				t.Errorf("%q, want %q", public, test.says)
			}
		})
	}
}

func TestCredential(t *testing.T) {
	t.Parallel()
	s, m := newService()
	made, err := s.Add(t.Context(), endpoint.Endpoint{ProjectID: "p1", Name: "ours", Kind: endpoint.Git, URL: "https://git.example.org/team", User: "robot", Password: "hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	const app = "https://git.example.org/team/app.git"
	c, err := s.Credential(t.Context(), "p1", made.ID, app)
	if err != nil || c.Name != "ours" || c.URL != made.URL || c.User != "robot" || c.Password != "hunter2" {
		t.Errorf("%+v, %v", c, err)
	}
	wants := func(project build.ProjectID, id, repository, says string) {
		t.Helper()
		_, err := s.Credential(t.Context(), project, id, repository)
		if public, _ := fault.Public(err); !strings.HasPrefix(public, says) {
			t.Errorf("%q, want %q", public, says)
		}
	}
	wants("p2", made.ID, app, "endpoint_id: the project has no service endpoint")
	wants("p1", "e1", app, `endpoint_id: the project has no service endpoint "e1"`)
	wants("p1", made.ID, "https://git.example.org/other/app", `endpoint_id: the service endpoint "ours" is for repositories below https://git.example.org/team, not for`)
	m.kept.Kind = endpoint.Nexus
	wants("p1", made.ID, app, `endpoint_id: the service endpoint "ours" is of the kind nexus`)
}
