// Package servertest runs a whole Atelier inside a test program, as its clients see it.
package servertest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/config"
	codeartsbuild "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam"
	"atelier/internal/iam/signature"
	"atelier/internal/server"
	"atelier/internal/source/sourcetest"
)

// The names of what every test server has.
const (
	Domain   = "acme"
	Region   = "cn-north-4"
	Password = "correct horse battery staple"
)

// Arch is this machine's architecture in the API's words.
var Arch = map[string]string{"amd64": "x86-64", "arm64": "arm"}[runtime.GOARCH]

// Server is a running server with one project.
type Server struct {
	*server.Server
	Config       server.Config
	DomainID     string
	Project      string // id of the project that holds build tasks
	OtherProject string // id of a project that only its administrator sees
	RegionID     string // id of what the identity service calls a project
	Admin        User   // the domain's administrator
	Developer    User   // in Project

	t         testing.TB
	transport *http.Transport // trusts the server
	stopped   bool
}

// User is a user with a password, [Password], and an access key.
type User struct {
	ID   string
	Name string
	Key  signature.Key
}

// Start starts a server that is stopped when the test ends. Options may change its configuration.
func Start(t testing.TB, options ...func(*server.Config)) *Server {
	t.Helper()
	c := server.Config{
		Listen: "127.0.0.1:0", DataDir: filepath.Join(t.TempDir(), "data"), Region: Region, Domain: Domain,
		BuildTimeout: time.Minute, CacheLimit: 1 << 30, MaxBuildTimeout: time.Hour, Zone: time.UTC,
		FileRepositories:   []string{t.TempDir()},
		RepositoryNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}, // "localhost" is both
		AccessLog:          true,
	}
	c.Log = slog.New(&watcher{Handler: slog.NewTextHandler(t.Output(), nil), t: t})
	for _, option := range options {
		option(&c)
	}
	s := &Server{Config: c, t: t}
	ctx := t.Context()
	s.open(ctx)
	t.Cleanup(s.Stop)
	s.fill(ctx)
	return s
}

func (s *Server) open(ctx context.Context) {
	s.t.Helper()
	var err error
	if s.Server, err = server.Open(ctx, s.Config); err != nil {
		s.t.Fatal(err)
	}
	if err := s.Start(ctx); err != nil {
		s.t.Fatal(err)
	}
	s.stopped = false
	s.transport = http.DefaultTransport.(*http.Transport).Clone()
	if s.Config.TLSSelfSigned {
		s.transport.TLSClientConfig = &tls.Config{RootCAs: s.roots()}
	}
}

// CertFile returns the certificate of a server that made one.
func (s *Server) CertFile() string {
	file, _ := server.SelfSignedFiles(s.Config.DataDir)
	return file
}

func (s *Server) roots() *x509.CertPool {
	s.t.Helper()
	pem, err := os.ReadFile(s.CertFile())
	if err != nil {
		s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}

// Stop stops the server as a signal would, without waiting for builds.
func (s *Server) Stop() {
	if s.stopped {
		return
	}
	s.stopped = true
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.transport.CloseIdleConnections()
	if err := s.Server.Stop(ctx); err != nil {
		s.t.Errorf("stop the server: %v", err)
	}
}

// Restart stops the server and starts it with the same data.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.open(s.t.Context())
}

// fill makes the domain, two projects and two users.
func (s *Server) fill(ctx context.Context) {
	s.t.Helper()
	users := s.IAM()
	if _, err := users.Bootstrap(ctx, Domain, "admin", Password, s.Config.Region); err != nil {
		s.t.Fatal(err)
	}
	domain, err := users.DomainNamed(ctx, Domain)
	if err != nil {
		s.t.Fatal(err)
	}
	s.DomainID = domain.ID
	admin, err := users.User(ctx, iam.UserRef{Name: "admin", Domain: iam.Ref{ID: domain.ID}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.Admin = s.withKey(ctx, admin)
	s.Project, s.OtherProject = s.NewProject("web"), s.NewProject("vault")
	s.Developer = s.NewUser("dev")
	s.Grant(s.Project, s.Developer, iam.Developer)

	_, token, err := users.Issue(ctx, iam.TokenRequest{ // by a key, since hashing a password takes long
		Method: iam.ByAccessKey, Access: s.Admin.Key.Access, Secret: s.Admin.Key.Secret, Scope: iam.Scope{Region: &iam.Ref{Name: s.Config.Region}},
	}, iam.Origin{Address: "127.0.0.1"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.RegionID = token.Region.ID
}

func (s *Server) withKey(ctx context.Context, user iam.User) User {
	s.t.Helper()
	key, secret, err := s.IAM().CreateKey(ctx, user.ID, "test")
	if err != nil {
		s.t.Fatal(err)
	}
	return User{ID: user.ID, Name: user.Name, Key: signature.Key{Access: key.Access, Secret: secret}}
}

// NewUser makes a user without any role.
func (s *Server) NewUser(name string) User {
	s.t.Helper()
	ctx := s.t.Context()
	user, err := s.IAM().CreateUser(ctx, iam.NewUser{DomainID: s.DomainID, Name: name, Password: Password})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.withKey(ctx, user)
}

// NewProject makes a project and returns its id.
func (s *Server) NewProject(name string) string {
	s.t.Helper()
	project, err := s.IAM().CreateProject(s.t.Context(), iam.NewProject{DomainID: s.DomainID, Name: name})
	if err != nil {
		s.t.Fatal(err)
	}
	return project.ID
}

// Grant gives a user a role in a project.
func (s *Server) Grant(project string, user User, role iam.Role) {
	s.t.Helper()
	if err := s.IAM().GrantRole(s.t.Context(), project, user.ID, role); err != nil {
		s.t.Fatal(err)
	}
}

// Client returns the official client, with an explicit endpoint and a user's access key.
func (s *Server) Client(user User) *codeartsbuild.CodeArtsBuildClient {
	s.t.Helper()
	auth, err := basic.NewCredentialsBuilder().WithAk(user.Key.Access).WithSk(user.Key.Secret).WithProjectId(s.RegionID).SafeBuild()
	if err != nil {
		s.t.Fatal(err)
	}
	http, err := codeartsbuild.CodeArtsBuildClientBuilder().WithEndpoint(s.URL()).WithCredential(auth).
		WithHttpConfig(config.DefaultHttpConfig().WithTimeout(time.Minute).WithHttpTransport(s.transport)).SafeBuild()
	if err != nil {
		s.t.Fatal(err)
	}
	return codeartsbuild.NewCodeArtsBuildClient(http)
}

// Answer is what the server sent.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Request makes a request to the server, not signed yet.
func (s *Server) Request(method, path, body string) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.URL()+path, bytes.NewReader([]byte(body)))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return r
}

// Send sends a request as it is.
func (s *Server) Send(r *http.Request) Answer {
	s.t.Helper()
	response, err := (&http.Client{Transport: s.transport}).Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return Answer{Status: response.StatusCode, Header: response.Header, Body: string(body)}
}

// Call signs a request with a user's key and sends it.
func (s *Server) Call(user User, method, path, body string) Answer {
	s.t.Helper()
	r := s.Request(method, path, body)
	signature.Sign(r, []byte(body), user.Key, time.Now())
	return s.Send(r)
}

// NewRepository makes an empty git repository that the server may build.
func (s *Server) NewRepository(name string) *sourcetest.Repository {
	s.t.Helper()
	return sourcetest.New(s.t, filepath.Join(s.Config.FileRepositories[0], name))
}

// MakeTask creates a build task of the developer's with one shell step and no repository, and returns its id.
func (s *Server) MakeTask(name, command string) string {
	s.t.Helper()
	made, err := s.Client(s.Developer).CreateNewJob(&model.CreateNewJobRequest{Body: &model.CreateBuildJobRequestBody{
		JobName: name, ProjectId: s.Project, Arch: Arch,
		Steps: []model.CreateBuildJobSteps{{ModuleId: "sh", Name: "Run", Properties: map[string]any{"command": command}}},
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return *made.Result.JobId
}
