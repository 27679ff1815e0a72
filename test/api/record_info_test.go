package api_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam"
	"atelier/internal/iam/signature"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

const sdkAgent = "huaweicloud-usdk-go/3.0; os/linux#6#amd64 go/go1.26; app/x"

// infoAs returns the very answer of ShowRecordInfo to a client of a kind.
func infoAs(s *servertest.Server, agent, job string, number any) servertest.Answer {
	r := s.Request(http.MethodGet, fmt.Sprintf("/v3/jobs/%s/%v/record-info", job, number), "")
	r.Header.Set("User-Agent", agent)
	return s.Send(signed(s, r))
}

// TestRecordInfo compares the very answers about builds in every sort of state with golden files, in both spellings.
func TestRecordInfo(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, oneSlot)
	c := s.Client(s.Developer)
	a := newApp(t, s, "app")
	start := func(job string, parameter ...model.ParameterItem) func() (string, int) {
		return func() (string, int) {
			return job, run(t, c, &model.RunJobRequestBody{JobId: job, Parameter: &parameter})
		}
	}
	finish := func(job string, number int) { await(t, c, job, number) }
	blocker := create(t, c, shell(s, "blocker", "sleep 600"))
	for _, test := range []struct {
		name  string
		start func() (job string, number int)
		reach func(job string, number int)
	}{
		{"success", start(a.job), finish},
		{"failure", start(a.job, model.ParameterItem{Name: "CODE", Value: "3"}), finish},
		{"tag", func() (string, int) {
			return a.job, run(t, c, &model.RunJobRequestBody{JobId: a.job, Scm: &model.Scm{BuildTag: new("v1.0")}})
		}, finish},
		{"commit", func() (string, int) {
			return a.job, run(t, c, &model.RunJobRequestBody{JobId: a.job, Scm: &model.Scm{BuildCommitId: &a.first}})
		}, finish},
		{"unschedulable", start(a.job, model.ParameterItem{Name: "codeBranch", Value: "no-such"}), finish},
		{"action", start(create(t, c, shell(s, "action", "true"))), finish},
		{"running", start(blocker), func(job string, number int) { awaitStatus(t, c, job, number, "RUNNING") }},
		{"queued", start(create(t, c, shell(s, "waiting", "true"))), func(string, int) {}},
	} {
		job, number := test.start()
		test.reach(job, number)
		for spelling, agent := range map[string]string{"sdk": sdkAgent, "page": "curl/8.0"} {
			t.Run(test.name+" "+spelling, func(t *testing.T) {
				answer := infoAs(s, agent, job, number)
				if answer.Status != 200 || answer.Header.Get("Content-Type") != "application/json;charset=UTF-8" || answer.Header.Get("Vary") != "User-Agent" {
					t.Errorf("got %d %v", answer.Status, answer.Header)
				}
				checkGolden(t, filepath.Join("testdata", "record-info", test.name+"-"+spelling+".json"), normalised(t, s, a, job, answer.Body))
				if again := infoAs(s, agent, job, number); again.Body != answer.Body && test.name != "running" {
					t.Errorf("the second answer differs:\n%s\n%s", answer.Body, again.Body)
				}
			})
		}
		checkTimes(t, test.name, infoAs(s, sdkAgent, job, number).Body)
		checkFilled(t, test.name, infoAs(s, sdkAgent, job, number).Body, ok(t, c.ShowRecordInfo, &model.ShowRecordInfoRequest{JobId: job, BuildNo: int32(number)}))
	}
	t.Run("spelling", func(t *testing.T) { testSpelling(t, s, a.job) })
}

func checkGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s, -want +got:\n%s", file, diff)
	}
}

// normalised lays a body out and gives names to what is new in every run. The order of its fields and the form of its values stay.
func normalised(t *testing.T, s *servertest.Server, a app, job, body string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(body), "", "  "); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(
		job, "TASK", s.Project, "PROJECT", s.DomainID, "DOMAIN", s.Developer.ID, "USER", a.first, "COMMIT-OF-THE-TAG", a.main, "COMMIT-OF-MAIN", a.url, "URL",
	).Replace(b.String()) + "\n"
	for _, r := range []struct{ form, name string }{
		{`"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"`, `"UUID"`},
		{`"j_[A-Za-z0-9]{8}"`, `"EXECUTION"`},
		{`"(20[3-9]\d|202[4-9])\d{4}\.(\d+)"`, `"DAY.$2"`},
		{`"(20[3-9]\d|202[4-9])-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00"`, `"TIME"`},
		{`("duration": )[1-9]\d*\.0`, `${1}MILLISECONDS.0`},
	} {
		text = regexp.MustCompile(r.form).ReplaceAllString(text, r.name)
	}
	return text
}

// checkTimes checks that the times of a build are in their order, and that its duration is that between two of them.
func checkTimes(t *testing.T, name, body string) {
	t.Helper()
	r := decoded[struct {
		Result map[string]any `json:"result"`
	}](t, body).Result
	before := ""
	for _, key := range []string{"create_time", "schedule_time", "queued_time", "start_time", "runnable_time", "finish_time"} {
		if at, given := r[key].(string); given {
			if at < before {
				t.Errorf("%s: %s is %s, which is before %s", name, key, at, before)
			}
			before = at
		}
	}
	if r["start_time"] == nil || r["finish_time"] == nil {
		return
	}
	took := parse(r["finish_time"].(string)).Sub(parse(r["start_time"].(string))).Milliseconds()
	if r["duration"] != float64(took) {
		t.Errorf("%s: the duration is %v of %d ms", name, r["duration"], took)
	}
}

// checkFilled checks that the client's struct has every value that the answer has.
func checkFilled(t *testing.T, name, body string, response *model.ShowRecordInfoResponse) {
	t.Helper()
	raw := decoded[struct {
		Result map[string]any `json:"result"`
	}](t, body).Result
	v := reflect.ValueOf(*response.Result)
	if v.NumField() != len(raw) || v.NumField() != 33 {
		t.Errorf("%s: the client knows %d fields, the answer has %d", name, v.NumField(), len(raw))
	}
	for i := range v.NumField() {
		key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		want, there := raw[key]
		switch field := v.Field(i); {
		case !there:
			t.Errorf("%s: the answer has no %s", name, key)
		case (want == nil) != field.IsNil():
			t.Errorf("%s: %s is %v in the answer and %v in the client", name, key, want, field)
		case want != nil && key != "duration" && fmt.Sprint(want) != fmt.Sprint(field.Elem()):
			t.Errorf("%s: %s is %v in the answer and %v in the client", name, key, want, field.Elem())
		}
	}
	if !*response.Success || *response.Message != "" || *response.ErrCode != "" {
		t.Errorf("%s: the envelope is %v", name, response)
	}
}

// testSpelling checks who gets which spelling.
func testSpelling(t *testing.T, s *servertest.Server, job string) {
	for agent, sdk := range map[string]bool{
		"huaweicloud-usdk-java/3.0": true, "huaweicloud-usdk-python/3.0; os/Linux": true, "huaweicloud-usdk-nodejs/3.0 mine": true,
		"curl/8.0": false, "": false, "Mozilla/5.0 huaweicloud-usdk-go/3.0": false, "python-requests/2": false, "Huaweicloud-Usdk-go": false,
	} {
		answer := infoAs(s, agent, job, 1)
		if got := strings.Contains(answer.Body, `"build_record_id":`); got != sdk || strings.Contains(answer.Body, `"buildRecordId":`) == sdk {
			t.Errorf("%q got %s", agent, answer.Body)
		}
		// No other operation differs by client.
		r := s.Request(http.MethodGet, "/v4/jobs/"+job+"/1/record-info", "")
		r.Header.Set("User-Agent", agent)
		if other := s.Send(signed(s, r)); !strings.Contains(other.Body, `"build_record_id":`) || other.Header.Get("Vary") != "" {
			t.Errorf("v4, %q got %s", agent, other.Body)
		}
	}
}

// TestRecordInfoStatuses provokes every status that the reference page lists, and looks at the body.
func TestRecordInfoStatuses(t *testing.T) {
	t.Parallel()
	var serverLog lockedBuffer
	s := servertest.Start(t, func(c *server.Config) { c.Log = slog.New(slog.NewTextHandler(&serverLog, nil)) })
	c := s.Client(s.Developer)
	job := create(t, c, shell(s, "demo", "true"))
	run(t, c, &model.RunJobRequestBody{JobId: job})
	await(t, c, job, 1)
	path := "/v3/jobs/" + job + "/1/record-info"

	viewer, tester, outsider := s.NewUser("viewer"), s.NewUser("tester"), s.NewUser("outsider")
	s.Grant(s.Project, viewer, iam.Viewer)
	s.Grant(s.Project, tester, iam.Tester)

	for _, user := range []servertest.User{s.Developer, viewer, s.Admin} {
		if a := s.Call(user, http.MethodGet, path, ""); a.Status != 200 || !strings.HasPrefix(a.Body, `{"success":true,"message":"","err_code":"","result":{"id":"`) {
			t.Errorf("200 for %s: %d %s", user.Name, a.Status, a.Body)
		}
	}
	checkProblem(t, s, s.Call(viewer, http.MethodGet, "/v3/jobs/"+job+"/0/record-info", ""), 400, "CB.00060200", "build_no: must be a whole number from 1 to 2147483647", `found "0"`)
	checkProblem(t, s, s.Call(viewer, http.MethodGet, "/v3/jobs/demo/1/record-info", ""), 400, "CB.00060201", "job_id: must be 32 lower-case letters or digits", `found "demo"`)

	checkProblem(t, s, s.Send(s.Request(http.MethodGet, path, "")), 401, "APIGW.0301", "Incorrect IAM authentication information: x-auth-token not found")
	bad := s.Request(http.MethodGet, path, "")
	bad.Header.Set("X-Auth-Token", "MIIa-not-a-token")
	checkProblem(t, s, s.Send(bad), 401, "APIGW.0301", "Incorrect IAM authentication information: decrypt token fail")
	wrong := servertest.User{Key: signature.Key{Access: outsider.Key.Access, Secret: viewer.Key.Secret}}
	checkProblem(t, s, s.Call(wrong, http.MethodGet, path, ""), 401, "APIGW.0301", "verify aksk signature fail")

	checkProblem(t, s, s.Call(tester, http.MethodGet, path, ""), 403, "CB.00031001", "your roles in the project do not let you view this task")
	foreign := s.Request(http.MethodGet, path, "")
	foreign.Header.Set("X-Project-Id", s.Project) // which is no region
	checkProblem(t, s, s.Send(signed(s, foreign)), 403, "APIGW.0302", "X-Project-Id")

	// Not there, and not to be seen: the same words, but for the id that the client gave.
	const none = "cb5fa20de5fd4cf8be681d4bd6fdd2f6"
	hidden, missing := s.Call(outsider, http.MethodGet, path, ""), s.Call(outsider, http.MethodGet, "/v3/jobs/"+none+"/1/record-info", "")
	checkProblem(t, s, hidden, 404, "CB.00031006", "task "+job+" does not exist")
	checkProblem(t, s, missing, 404, "CB.00031006", "task "+none+" does not exist")
	beyond := s.Call(outsider, http.MethodGet, "/v3/jobs/"+job+"/2/record-info", "")
	if decoded[problem](t, beyond.Body).Message != decoded[problem](t, hidden.Body).Message {
		t.Errorf("an outsider learns which builds there are: %s, %s", hidden.Body, beyond.Body)
	}
	checkProblem(t, s, s.Call(viewer, http.MethodGet, "/v3/jobs/"+job+"/2/record-info", ""), 404, "CB.00031006", "task "+job+" has no build 2")

	t.Run("deleted", func(t *testing.T) { testDeletedRecord(t, s, viewer) })

	breakDatabase(t, s)
	broken := s.Call(s.Developer, http.MethodGet, "/v3/jobs/"+job+"/2/record-info", "")
	checkProblem(t, s, broken, 500, "CB.00060101", "Internal error. Its details are in the server's log under this request id.")
	if strings.Contains(broken.Body, "records") || strings.Contains(broken.Body, "table") {
		t.Errorf("the answer tells about the database: %s", broken.Body)
	}
	if log := serverLog.String(); !strings.Contains(log, broken.Header.Get("X-Request-Id")) || !strings.Contains(log, "no such table: records") {
		t.Errorf("the server's log does not tell: %s", log)
	}
	refused(t, c.ShowRecordInfo, &model.ShowRecordInfoRequest{JobId: job, BuildNo: 2}, 500, "CB.00060101", "Internal error.")
}

// lockedBuffer is a buffer that many may write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// breakDatabase takes the builds away from below the server.
func breakDatabase(t *testing.T, s *servertest.Server) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.Config.DataDir, "atelier.db")+"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(0)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `ALTER TABLE records RENAME TO lost`); err != nil {
		t.Fatal(err)
	}
}

// testDeletedRecord checks that the answer about a build, which the server may keep, is gone with its task and with the caller's right.
func testDeletedRecord(t *testing.T, s *servertest.Server, viewer servertest.User) {
	c := s.Client(s.Developer)
	job := create(t, c, shell(s, "deleted", "true"))
	run(t, c, &model.RunJobRequestBody{JobId: job})
	await(t, c, job, 1)
	path := "/v3/jobs/" + job + "/1/record-info"
	for range 2 {
		if a := s.Call(viewer, http.MethodGet, path, ""); a.Status != 200 {
			t.Fatalf("got %d %s", a.Status, a.Body)
		}
	}
	if err := s.IAM().RevokeRole(t.Context(), s.Project, viewer.ID, iam.Viewer); err != nil {
		t.Fatal(err)
	}
	checkProblem(t, s, s.Call(viewer, http.MethodGet, path, ""), 404, "CB.00031006")
	ok(t, c.DeleteTheJob, &model.DeleteTheJobRequest{JobId: job})
	checkProblem(t, s, s.Call(s.Developer, http.MethodGet, path, ""), 404, "CB.00031006", job)
}
