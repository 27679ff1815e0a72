package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"atelier/internal/artifact"
	"atelier/internal/build"
	"atelier/internal/dialer"
	"atelier/internal/endpoint"
	"atelier/internal/hook"
	"atelier/internal/iam"
	"atelier/internal/keystore"
	"atelier/internal/logs"
	"atelier/internal/notice"
	"atelier/internal/plan"
	"atelier/internal/secret"
	"atelier/internal/source"
	"atelier/internal/store"
	"atelier/internal/template"
	"atelier/internal/trigger"
)

const testRegion = "cn-north-4"

// idle is an engine that leaves builds in the queue.
type idle struct{}

func (idle) Wake()                    {}
func (idle) StopBuild(build.RecordID) {}

// fixture is the API on real services, without an engine, and somebody who may do everything.
type fixture struct {
	http.Handler
	Parts
	store   *store.Store
	token   string
	project string
	job     build.Job
}

func newFixture(tb testing.TB) *fixture {
	tb.Helper()
	ctx, dir := tb.Context(), tb.TempDir()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	db, err := store.Open(ctx, "sqlite:"+filepath.Join(dir, "test.db"))
	must(err)
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	sealer, err := secret.Open(filepath.Join(dir, "key"))
	must(err)
	texts, err := logs.Open(filepath.Join(dir, "logs"), logs.Config{Zone: time.UTC})
	must(err)
	bucket, err := artifact.OpenDir(filepath.Join(dir, "artifacts"))
	must(err)
	tb.Cleanup(func() { _ = bucket.Close() })
	users := iam.New(iam.Parts{Store: db, Sealer: sealer, Region: testRegion})
	_, err = users.Bootstrap(ctx, "acme", "admin", "correct horse", testRegion)
	must(err)
	domain, err := users.DomainNamed(ctx, "acme")
	must(err)
	admin, err := users.User(ctx, iam.UserRef{Name: "admin", Domain: iam.Ref{ID: domain.ID}})
	must(err)
	project, err := users.CreateProject(ctx, iam.NewProject{DomainID: domain.ID, Name: "web"})
	must(err)
	token, _, err := users.Issue(ctx, iam.TokenRequest{
		Method: iam.ByPassword, User: iam.UserRef{ID: admin.ID}, Password: "correct horse", Scope: iam.Scope{Region: &iam.Ref{Name: testRegion}},
	}, iam.Origin{Address: "127.0.0.1"})
	must(err)
	builds := build.NewService(build.Parts{
		Store: db, Access: users, Sources: source.Policy{}, Steps: plan.Steps{}, Triggers: trigger.Schedules{Zone: time.UTC}, Sealer: sealer, Engine: idle{}, Region: testRegion, Zone: time.UTC,
	})
	git, err := source.New(source.Config{Dir: filepath.Join(dir, "repositories"), Environ: os.Environ()})
	must(err)
	f := &fixture{store: db, token: token, project: project.ID, Parts: Parts{
		Builds: builds, IAM: users, Logs: texts, Artifacts: artifact.New(bucket, db, artifact.Config{}),
		Keystore:  &keystore.Service{Store: db, Users: users, Sealer: sealer, Now: time.Now, Most: keystore.MaxFiles, Size: keystore.MaxSize},
		Endpoints: &endpoint.Service{Store: db, Sealer: sealer, Now: time.Now},
		Templates: &template.Service{Store: db, Checker: builds, Users: users, Repositories: git, Now: time.Now},
		Notices:   &notice.Service{Store: db, Tasks: builds, Sealer: sealer, Sender: &notice.Sender{Robots: notice.NewRobots(dialer.New("--notice-networks", nil)), Now: time.Now}, Now: time.Now},
		Hooks:     hook.New(hook.Service{Store: db, Builds: builds, Sealer: sealer, Log: slog.New(slog.DiscardHandler), Now: time.Now}),
		Epoch:     db.Epoch, Log: slog.New(slog.DiscardHandler), Zone: time.UTC, Now: time.Now, Region: testRegion,
	}}
	f.Handler = New(f.Parts)
	f.job, err = f.Builds.CreateJob(ctx, build.Actor{UserID: admin.ID, UserName: "admin", DomainID: domain.ID}, build.ProjectID(project.ID),
		build.Config{Name: "demo", Arch: "x86-64"})
	must(err)
	return f
}

// send sends a request with a token, and without the network.
func (f *fixture) send(ctx context.Context, method, target, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	f.ServeHTTP(w, f.request(ctx, method, target, body))
	return w
}

func (f *fixture) request(ctx context.Context, method, target, body string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, method, "/", strings.NewReader(body))
	if u, err := url.ParseRequestURI(target); err == nil {
		r.URL, r.RequestURI = u, target
	}
	r.Header.Set("X-Auth-Token", f.token)
	return r
}

// problem decodes an error.
func problem(t *testing.T, w *httptest.ResponseRecorder) errorBody {
	t.Helper()
	var e errorBody
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
		t.Fatalf("status %d, body %q: %v", w.Code, w.Body, err)
	}
	if e.RequestID == "" || e.RequestID != w.Header().Get("X-Request-Id") {
		t.Errorf("request id %q in the body, %q in the header", e.RequestID, w.Header().Get("X-Request-Id"))
	}
	if got := w.Header().Get("Content-Type"); got != "application/json;charset=UTF-8" {
		t.Errorf("Content-Type is %q", got)
	}
	return e
}

func TestGateway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	long := strings.Repeat("x", maxURI)
	for _, test := range []struct {
		name, method, target string
		header               string
		status               int
		code, message        string
	}{
		{"unknown path", "GET", "/v3/nothing/here", "", 404, "APIGW.0101", "The API does not exist"},
		{"the root", "GET", "/", "", 404, "APIGW.0101", "The API does not exist"},
		{"known path, another method", "PATCH", "/v3/jobs/create", "", 404, "APIGW.0101", "The API does not exist"},
		{"slash at the end", "GET", "/v3/projects/", "", 404, "APIGW.0101", "The API does not exist"},
		{"two slashes", "GET", "/v3//projects", "", 404, "APIGW.0101", "The API does not exist"},
		{"dots", "GET", "/v3/jobs/../projects", "", 404, "APIGW.0101", "The API does not exist"},
		{"hidden dots", "GET", "/v3/jobs/%2e%2e/projects", "", 404, "APIGW.0101", "The API does not exist"},
		{"hidden slash", "GET", "/v3/jobs/a%2Fb/status", "", 400, "CB.00060201", `job_id: must be 32 lower-case letters or digits, found "a/b"`},
		{"long address", "GET", "/v3/projects?name=" + long, "", 414, "APIGW.0201", "at most 8192 bytes"},
		{"large headers", "GET", "/v3/projects", strings.Repeat(long, 4), 431, "APIGW.0201", "at most 32768 bytes"},
		{"query that is not escaped", "GET", "/v1/job/list?search=%zz", "", 400, "CB.00060200", "query: is not well escaped"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := f.request(t.Context(), test.method, test.target, "")
			if test.header != "" {
				r.Header.Set("X-Long", test.header)
			}
			w := httptest.NewRecorder()
			f.ServeHTTP(w, r)
			if e := problem(t, w); w.Code != test.status || e.Code != test.code || !strings.Contains(e.Message, test.message) {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
}

// TestPanic checks that a panic becomes an answer that tells nothing, or, when the answer has begun, a broken connection.
func TestPanic(t *testing.T) {
	t.Parallel()
	a := &API{Parts: Parts{Log: slog.New(slog.NewTextHandler(t.Output(), nil))}}
	w := httptest.NewRecorder()
	a.gateway(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("the secret is 42") })).
		ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v3/projects", nil))
	if e := problem(t, w); w.Code != 500 || e.Code != "CB.00060101" || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}

	s := httptest.NewServer(a.gateway(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = io.WriteString(w, "half of")
		panic("too late")
	})))
	defer s.Close()
	if response, err := s.Client().Get(s.URL); err == nil {
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); err == nil {
			t.Errorf("the client took %q for the whole answer", body)
		}
	}
}

// TestBrokenDownload checks that a client does not take a part of a file for the whole.
func TestBrokenDownload(t *testing.T) {
	t.Parallel()
	a := &API{Parts: Parts{Log: slog.New(slog.NewTextHandler(t.Output(), nil))}}
	broken := func() io.ReadCloser {
		r, w := io.Pipe()
		go func() {
			_, _ = io.WriteString(w, "half of")
			w.CloseWithError(io.ErrUnexpectedEOF)
		}()
		return r
	}
	for name, file := range map[string]func() *download{
		"plain":      func() *download { return &download{name: "a.log", size: -1, body: broken()} },
		"with size":  func() *download { return &download{name: "a.log", size: 100, body: broken()} },
		"compressed": func() *download { return &download{name: "a.zip", size: -1, body: zipped("a.log", broken())} },
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(a.gateway(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := a.write(w, r, file()); err != nil {
					t.Error(err)
				}
			})))
			defer s.Close()
			response, err := s.Client().Get(s.URL)
			if err != nil {
				return // nothing arrived
			}
			defer response.Body.Close()
			if body, err := io.ReadAll(response.Body); err == nil {
				t.Errorf("the client took %q for the whole file", body)
			}
		})
	}
}
