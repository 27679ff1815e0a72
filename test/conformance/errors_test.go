package conformance_test

import (
	"bufio"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"atelier/internal/iam"
	"atelier/internal/iam/signature"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
	"atelier/internal/store/postgrestest"
)

// TestMain fails when all tests ran and no operation was provoked to an error that the service's document has for it.
func TestMain(m *testing.M) {
	code := postgrestest.Run(m)
	if only := flag.Lookup("test.run").Value.String(); code == 0 && only == "" && flag.Lookup("test.skip").Value.String() == "" {
		for _, missing := range servertest.Unprovoked() {
			operation, failure, _ := strings.Cut(missing, " ")
			if !databaseTested.Load() && (failure == "CB.00060100" || failure == "CB.00060101") {
				continue // no PostgreSQL is installed, and the test that needs it was skipped
			}
			if operation == "ReceiveHook" && strings.HasPrefix(failure, "APIGW") {
				continue // nobody signs in there: test/api has its signatures, and internal/httpapi what is too much or too large
			}
			if !slices.Contains(servertest.SpecificCodes, failure) {
				fmt.Fprintf(os.Stderr, "no test provoked what the document has for %s: %s\n", operation, failure)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// table is the service's table of operations, its own beside those of the SDK.
func table(t *testing.T) (all []raw) {
	t.Helper()
	file, err := os.Open("../../internal/httpapi/testdata/operations.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	values := regexp.MustCompile(`\{\w+\}|\*`)
	any := func(name string) string {
		if strings.Contains(name, "build_n") {
			return "1"
		}
		return strings.Repeat("0", 32)
	}
	for s := bufio.NewScanner(file); s.Scan(); {
		words := strings.Fields(s.Text())
		all = append(all, raw{operation: words[0], method: words[1], template: words[2], path: values.ReplaceAllStringFunc(words[2], any)})
	}
	return all
}

// captured returns the request of every operation of the SDK, as it is sent when all is well.
func captured(t *testing.T, w *world) map[string]raw {
	t.Helper()
	var sent raw
	catcher := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		sent = raw{method: r.Method, path: r.URL.EscapedPath(), query: r.URL.Query(), body: string(body)}
		_, _ = answer.Write([]byte("{}"))
	}))
	t.Cleanup(catcher.Close)
	client := reflect.ValueOf((&recorder{Server: catcher}).client(t, w))
	all := map[string]raw{}
	templates := map[string]string{}
	for _, line := range lines(t, operationsFile) {
		words := strings.Fields(line)
		templates[words[0]] = words[2]
	}
	for _, m := range methods() {
		in := w.request(m.Name, m.Type.In(1).Elem(), catcher.URL)
		client.MethodByName(m.Name).Call([]reflect.Value{in}) // what it makes of the answer does not matter
		sent.operation, sent.template = m.Name, templates[m.Name]
		all[m.Name] = sent
	}
	return all
}

// answers sends a request for every operation of the table, and checks how it is answered. Those of the identity service have numbers of their
// own, and those without a proof of the caller are left out.
func answers(t *testing.T, status int, code string, send func(raw) servertest.Answer) {
	t.Helper()
	for _, r := range table(t) {
		if strings.HasPrefix(r.operation, "Key") || strings.HasPrefix(r.template, "/v3/auth") || strings.HasPrefix(r.template, "/v3.0") || r.operation == "ReceiveHook" {
			continue
		}
		if a := send(r); a.Status != status || r.method != http.MethodHead && !strings.Contains(a.Body, `"error_code":"`+code+`"`) {
			t.Errorf("%s: %d %s", r.operation, a.Status, a.Body)
		}
	}
}

// TestErrorsOfCallers provokes what every operation says to callers that may not come in.
func TestErrorsOfCallers(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	ctx := t.Context()
	token := func(user servertest.User) string {
		value, _, err := s.IAM().Issue(ctx, iam.TokenRequest{
			Method: iam.ByAccessKey, Access: user.Key.Access, Secret: user.Key.Secret, Scope: iam.Scope{Region: &iam.Ref{Name: servertest.Region}},
		}, iam.Origin{Address: "127.0.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	with := func(value string) func(raw) servertest.Answer {
		return func(r raw) servertest.Answer {
			request := s.Request(r.method, r.path, "")
			if value != "" {
				request.Header.Set("X-Auth-Token", value)
			}
			return s.Send(request)
		}
	}
	answers(t, 401, "APIGW.0301", with(""))
	old := token(s.Developer)
	if err := s.IAM().SetPassword(ctx, s.Developer.ID, "another long password"); err != nil {
		t.Fatal(err)
	}
	answers(t, 401, "APIGW.0307", with(old))
	blocked := s.NewUser("blocked")
	if err := s.IAM().SetUserEnabled(ctx, blocked.ID, false); err != nil {
		t.Fatal(err)
	}
	answers(t, 403, "APIGW.0302", func(r raw) servertest.Answer { return s.Call(blocked, r.method, r.path, "") })
	answers(t, 413, "APIGW.0201", func(r raw) servertest.Answer {
		request := s.Request(r.method, r.path, "")
		request.Body, request.ContentLength = io.NopCloser(io.LimitReader(zeros{}, 13<<20)), 13<<20
		return s.Send(request)
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestErrorsOfTooMany provokes what every operation says when there are too many requests.
func TestErrorsOfTooMany(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, func(c *server.Config) { c.Rate = 1 })
	answers(t, 429, "APIGW.0308", func(r raw) servertest.Answer {
		for range 20 {
			if a := s.Call(s.Admin, r.method, r.path, ""); a.Status == 429 {
				return a
			}
		}
		return servertest.Answer{Body: "no request was too many"}
	})
}

// databaseTested says that the test below was not skipped.
var databaseTested atomic.Bool

// unknown is a caller that the database is asked for each time.
var unknown = servertest.User{Key: signature.Key{Access: "NOBODYNOBODYNOBODY00", Secret: "x"}}

// TestErrorsOfDatabase provokes what every operation says when the database is away, and when it is broken.
func TestErrorsOfDatabase(t *testing.T) {
	t.Parallel()
	address := postgrestest.New(t)
	databaseTested.Store(true)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	host := query.Get("host")
	way := filepath.Join(t.TempDir(), "way")
	if err := os.Symlink(host, way); err != nil {
		t.Fatal(err)
	}
	query.Set("host", way)
	u.RawQuery = query.Encode()
	s := servertest.Start(t, func(c *server.Config) { c.Database = u.String() })
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	do := func(query string) {
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(r raw) servertest.Answer { return s.Call(unknown, r.method, r.path, "") }
	tell := func(code string) {
		t.Helper()
		r := s.Request("POST", "/v1/hooks/"+s.Project+"/github", "{}")
		r.Header.Set("X-Hub-Signature-256", strings.Repeat("0", 64)) // or nobody asks the database
		if a := s.Send(r); a.Status != 500 || !strings.Contains(a.Body, code) {
			t.Errorf("ReceiveHook: %d %s", a.Status, a.Body)
		}
	}
	do("ALTER TABLE access_keys RENAME TO gone; ALTER TABLE hook_secrets RENAME TO away")
	answers(t, 500, "CB.00060101", ask)
	tell("CB.00060101")
	do("ALTER TABLE gone RENAME TO access_keys; ALTER TABLE away RENAME TO hook_secrets")
	if err := os.Remove(way); err != nil {
		t.Fatal(err)
	}
	do("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	answers(t, 500, "CB.00060100", ask)
	tell("CB.00060100")
	if err := os.Symlink(host, way); err != nil { // the server ends in order
		t.Fatal(err)
	}
}

// TestErrorsOfStrangers sends the good request of every operation as somebody who may only look, as a member who may not even that, and as
// somebody who is in no project; then about what is not there, and with ids and bodies that are none.
func TestErrorsOfStrangers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := captured(t, w)
	viewer, tester, stranger := w.s.NewUser("viewer"), w.s.NewUser("tester"), w.s.NewUser("stranger")
	w.s.Grant(w.s.Project, viewer, iam.Viewer)
	w.s.Grant(w.s.Project, tester, iam.Tester)
	ids := regexp.MustCompile(`[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	zero := func(id string) string { return regexp.MustCompile(`[0-9a-f]`).ReplaceAllString(id, "0") }
	send := func(user servertest.User, r raw, path, body string) {
		t.Helper()
		if a := w.s.Call(user, r.method, path, body); a.Status >= 500 {
			t.Errorf("%s: %d %s", r.operation, a.Status, a.Body)
		}
	}
	own := promised(t, w.s)
	for _, r := range table(t) {
		if strings.Contains(r.template, "{") { // others would do something
			for _, id := range []string{strings.Repeat("0", 32), "00000000-0000-4000-8000-000000000000", "no-id!"} {
				send(viewer, r, strings.ReplaceAll(r.path, strings.Repeat("0", 32), id), "{}")
			}
		}
		if _, inSDK := all[r.operation]; inSDK {
			continue
		}
		send(viewer, r, strings.Replace(r.path, strings.Repeat("0", 32), w.s.Project, 1), "nonsense")
		send(tester, r, strings.Replace(r.path, strings.Repeat("0", 32), w.s.Project, 1), "{}")
		for _, p := range own[r.operation] {
			if p.place == "query" {
				send(viewer, r, strings.ReplaceAll(strings.Replace(r.path, strings.Repeat("0", 32), w.s.Project, 1), strings.Repeat("0", 32), "00000000-0000-4000-8000-000000000000")+"?"+p.name+"=%00", "")
			}
		}
	}
	const push = `{"event_type": "push_events", "object_kind": "push", "ref": "refs/heads/main", "after": "0123456789012345678901234567890123456789"}`
	words := strings.NewReplacer("JOB", w.job, "RECORD", w.record, "PROJECT", w.s.Project, "ROOT", w.root, "NOTHING", "00000000-0000-4000-8000-000000000000")
	for _, line := range []string{
		"RerunBuild POST /v3/jobs/JOB/1/rerun", "RerunBuild POST /v3/jobs/JOB/x/rerun", "ExecuteAutoBuildJob POST /v1/job/JOB/auto-execute",
		"ExecuteAutoBuildJob POST /v1/job/00000000000000000000000000000000/auto-execute", "FollowLogEvents GET /v1/log/RECORD/events", "FollowLogEvents GET /v1/log/RECORD/events?offset=x",
		"DownloadArtifact GET /v1/artifacts/PROJECT/%00", "ReadMessage POST /v1/messages/%00/read", "ShowCoverageMetrics GET /v1/report/JOB/1/coverage/metrics?root_id=ROOT",
		"ShowCoverageMetrics GET /v1/report/00000000000000000000000000000000/1/coverage/metrics?root_id=ROOT",
		"ShowDelivery GET /v1/hooks/PROJECT/deliveries/NOTHING", "ReplayDelivery POST /v1/hooks/PROJECT/deliveries/NOTHING/replay",
	} {
		part := strings.Fields(words.Replace(line))
		for _, user := range []servertest.User{viewer, tester, w.s.Developer} {
			if user.ID != w.s.Developer.ID || strings.Contains(line, "NOTHING") { // who would do it
				send(user, raw{operation: part[0], method: part[1]}, part[2], push)
			}
		}
	}
	for _, user := range []servertest.User{viewer, stranger} {
		send(user, raw{operation: "UpdateProjectNotice", method: http.MethodPut}, "/v1/projects/"+w.s.Project+"/notice", noticeSetting)
	}
	for name, r := range all {
		path := r.path
		if len(r.query) > 0 {
			path += "?" + r.query.Encode()
		}
		if name == "UploadKeystore" { // a form
			send(viewer, r, path, "nonsense")
			continue
		}
		for _, user := range []servertest.User{viewer, tester, stranger} {
			send(user, r, path, r.body)
		}
		send(viewer, r, ids.ReplaceAllStringFunc(path, zero), ids.ReplaceAllStringFunc(r.body, zero))
		if r.body != "" {
			for _, at := range ids.FindAllStringIndex(r.body, -1) {
				send(viewer, r, path, r.body[:at[0]]+"no-id!"+r.body[at[1]:])
			}
			send(viewer, r, path, "nonsense")
		}
	}
}
