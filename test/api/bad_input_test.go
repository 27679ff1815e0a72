package api_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam/signature"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// snapshot returns all that the API shows of a server's tasks, builds and keys.
func snapshot(t *testing.T, s *servertest.Server) string {
	t.Helper()
	var b strings.Builder
	get := func(path string) string {
		a := s.Call(s.Admin, http.MethodGet, path, "")
		if a.Status != 200 {
			t.Fatalf("%s: %d %s", path, a.Status, a.Body)
		}
		fmt.Fprintf(&b, "%s\n%s\n", path, a.Body)
		return a.Body
	}
	type task struct {
		ID             string `json:"id"`
		BuildProjectID string `json:"build_project_id"`
	}
	for _, project := range []string{s.Project, s.OtherProject} {
		list := decoded[struct {
			Jobs []task `json:"jobs"`
		}](t, get("/v3/"+project+"/jobs?page_size=100"))
		for _, job := range list.Jobs {
			get("/v1/job/" + job.ID + "/config")
			get("/v1/job/" + job.ID + "/check/disable")
			get("/v1/record/" + job.BuildProjectID + "/records?limit=100")
		}
	}
	get("/v3.0/OS-CREDENTIAL/credentials?user_id=" + s.Developer.ID)
	return b.String()
}

// badRequest is a request that must be refused.
type badRequest struct {
	name, method, path, body string
	status                   int
	code                     string
	words                    []string
}

// invalid is a request with a wrong parameter.
func invalid(name, method, path, body string, words ...string) badRequest {
	return badRequest{name, method, path, body, 400, "CB.00060200", words}
}

// TestBadInput sends what nobody should send. Each request is refused with a sentence that names the field, what was found and
// what is allowed; nothing changes and nothing of the server's inside shows.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	a := newApp(t, s, "app")
	run(t, c, &model.RunJobRequestBody{JobId: a.job})
	await(t, c, a.job, 1)
	before := snapshot(t, s)

	for group, requests := range map[string][]badRequest{
		"job_id": badJobIDs(a), "build_no": badNumbers(a), "body": badBodies(s, a), "address": badAddresses(s, a), "reference": badReferences(s, a),
		"task": badTasks(s, a), "parameter": badParameters(s, a), "report": badReports(a),
		"copy": badCopies(s, a), "bin": badBins(a), "history": badHistories(a), "group": badGroups(s, a), "reading": badReadings(s, a),
	} {
		t.Run(group, func(t *testing.T) {
			for _, r := range requests {
				t.Run(r.name, func(t *testing.T) {
					answer := s.Call(s.Developer, r.method, r.path, r.body)
					checkProblem(t, s, answer, r.status, r.code, r.words...)
					if len(answer.Body) > 2000 {
						t.Errorf("the answer has %d bytes", len(answer.Body))
					}
				})
			}
		})
	}
	t.Run("large body", func(t *testing.T) { testLargeBody(t, s) })
	if diff := cmp.Diff(before, snapshot(t, s)); diff != "" {
		t.Errorf("something has changed:\n%s", diff)
	}
}

// badJobIDs puts wrong task ids where operations take them.
func badJobIDs(a app) []badRequest {
	const allowed = "job_id: must be 32 lower-case letters or digits"
	var out []badRequest
	for name, id := range map[string]string{
		"short": a.job[1:], "long": a.job + "0", "upper case": strings.ToUpper("a" + a.job[1:]), "hyphen": "-" + a.job[1:], "a record's": "48da14e2-6ee7-495b-9dc7-f14d4a344511",
		"quote": "'" + a.job[1:], "percent": "%25" + a.job[1:], "zero byte": "%00" + a.job[1:], "not UTF-8": "%ff" + a.job[1:],
		"wide letters": "%C3%A4" + a.job[2:], "space": "%20" + a.job[1:],
	} {
		for _, path := range []string{"/v3/jobs/ID/1/record-info", "/v4/jobs/ID/1/record-info", "/v1/record/ID/1/record-info", "/v3/jobs/ID/status", "/v1/job/ID/config"} {
			out = append(out, badRequest{name + " in " + path, "GET", strings.Replace(path, "ID", id, 1), "", 400, "CB.00060201", []string{allowed, "found"}})
		}
		if !strings.Contains(id, "%") {
			body := fmt.Sprintf(`{"job_id": %q, "build_no": "1"}`, id)
			for _, path := range []string{"/v3/jobs/build", "/v1/job/execute", "/v3/jobs/stop", "/v1/job/update", "/v3/jobs/update"} {
				out = append(out, badRequest{name + " in the body of " + path, "POST", path, body, 400, "CB.00060201", []string{allowed, fmt.Sprintf("found %q", id)}})
			}
		}
	}
	return append(
		out,
		badRequest{"none in the body", "POST", "/v3/jobs/build", `{}`, 400, "CB.00060201", []string{allowed, `found ""`}},
		badRequest{"null in the body", "POST", "/v3/jobs/build", `{"job_id": null}`, 400, "CB.00060201", []string{allowed, `found ""`}},
		badRequest{"project", "GET", "/v3/PROJECT/jobs", "", 400, "CB.00060202", []string{"project_id: must be 32 lower-case letters or digits", `found "PROJECT"`}},
		badRequest{"record", "GET", "/v1/record/" + a.job + "/info", "", 400, "CB.00060202", []string{"record_id: must be 36", a.job}},
		badRequest{"build project", "GET", "/v1/record/" + a.job + "/records", "", 400, "CB.00060202", []string{"build_project_id: must be 36", a.job}},
	)
}

// badNumbers puts wrong build numbers where operations take them.
func badNumbers(a app) []badRequest {
	const allowed = "must be a whole number from 1 to 2147483647"
	var out []badRequest
	for _, n := range []string{"0", "-1", "1e3", "2147483648", "99999999999999999999", "one", "1.0", "0x1", "%201", "1%00", "١"} {
		found := fmt.Sprintf("found %q", strings.NewReplacer("%20", " ", "%00", "\x00").Replace(n))
		for _, path := range []string{
			"GET /v3/jobs/ID/NO/record-info", "GET /v4/jobs/ID/NO/record-info", "GET /v1/record/ID/NO/record-info", "GET /v3/jobs/ID/NO/real-time-log",
			"GET /v1/log/ID/NO/real-time-log", "POST /v3/jobs/ID/NO/stop", "POST /v1/job/ID/stop?build_no=NO",
		} {
			method, path, _ := strings.Cut(strings.NewReplacer("ID", a.job, "NO", n).Replace(path), " ")
			out = append(out, invalid(n+" in "+path, method, path, "", "build_no: "+allowed, found))
		}
		out = append(out, invalid(n+" in the history", "GET", "/v3/jobs/"+a.job+"/"+n+"/history-details", "", "build_number: "+allowed, found))
		if !strings.Contains(n, "%") {
			out = append(
				out,
				invalid(n+" as a text", "POST", "/v3/jobs/stop", fmt.Sprintf(`{"job_id": %q, "build_no": %q}`, a.job, n), "build_no: "+allowed, found),
				invalid(n+" as a text, v1", "POST", "/v1/job/"+a.job+"/stop", fmt.Sprintf(`{"build_no": %q}`, n), "build_no: "+allowed, found),
			)
		}
	}
	for _, n := range []string{"0", "-1", "1e3", "2147483648", "1.0"} {
		out = append(out, invalid(n+" as a number", "POST", "/v1/job/"+a.job+"/stop", `{"build_no": `+n+`}`, "build_no: "+allowed, `found "`+n+`"`))
	}
	return append(
		out,
		invalid("none", "POST", "/v3/jobs/stop", fmt.Sprintf(`{"job_id": %q}`, a.job), "build_no: "+allowed, `found ""`),
		invalid("a list", "POST", "/v3/jobs/stop", fmt.Sprintf(`{"job_id": %q, "build_no": [1]}`, a.job), "build_no: must be a text, found array"),
		invalid("twice", "POST", "/v1/job/"+a.job+"/stop?build_no=1&build_no=2", "", "build_no: is given 2 times, once is allowed"),
	)
}

// badBodies are bodies that are no JSON, or JSON that nobody means.
func badBodies(s *servertest.Server, a app) []badRequest {
	deep := strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)
	rows := []struct{ name, body, words string }{
		{"none", "", "body: is empty, JSON is expected"},
		{"a form", "job_id=" + a.job, "body: is not JSON"},
		{"half", `{"job_id": "` + a.job, "body: is not JSON"},
		{"XML", "<?xml version='1.0'?><job/>", "body: is not JSON"},
		{"two values", `{} {}`, "body: goes on after the JSON value"},
		{"a list", `[]`, "body: must be an object, found array"},
		{"a text", `"job"`, "body: must be an object, found string"},
		{"not UTF-8", "{\"job_id\": \"\xff\"}", "body: is not UTF-8"},
		{"deep", deep, "body: is nested more than 64 levels deep"},
		{"deep lists", strings.Repeat("[", 1_000_000), "body: is nested more than 64 levels deep"},
		{"a key twice", `{"job_id": "` + a.job + `", "job_id": "` + a.job + `"}`, `body: has the key "job_id" twice in one object`},
		{"number for a text", `{"job_id": 5}`, "job_id: must be a text, found number"},
		{"object for a text", `{"job_id": {"a": 1}}`, "job_id: must be a text, found object"},
	}
	var out []badRequest
	for _, row := range rows {
		for _, path := range []string{"/v3/jobs/build", "/v1/job/execute", "/v1/job/update", "/v3/jobs/stop"} {
			out = append(out, invalid(row.name+" to "+path, "POST", path, row.body, row.words))
		}
	}
	task := fmt.Sprintf(`{"arch": "x86-64", "project_id": %q, "job_name": "new", "steps": [], %%s}`, s.Project)
	for _, row := range []struct{ name, key, words string }{
		{"steps that are no list", `"steps ": 1, "scms": {}`, "scms: must be a list, found object"},
		{"a step that is none", `"scms": ["a"]`, "scms: must be an object, found string"},
		{"inner value", `"parameters": [{"params": [{"value": {}}]}]`, "parameters.params.value: must be a text, found object"},
		{"boolean", `"scms": [{"is_auto_build": "perhaps"}]`, `scms.is_auto_build: must be true or false, found "perhaps"`},
		{"number", `"timeout": 4`, "timeout: must be an object, found number"},
		{"key twice inside", `"timeout": {"limit": "1", "limit": "2"}`, `body: has the key "limit" twice in one object`},
	} {
		out = append(out, invalid(row.name, "POST", "/v1/job/create", fmt.Sprintf(task, row.key), row.words))
	}
	for _, key := range []string{"arch", "project_id", "job_name", "steps"} {
		body := strings.Replace(fmt.Sprintf(task, `"a": 1`), `"`+key+`"`, `"_`+key+`"`, 1)
		out = append(out, invalid("no "+key, "POST", "/v3/jobs/create", body, key+": is missing"))
	}
	out = append(out, invalid("nothing", "POST", "/v3/jobs/create", "{}", "job_name, arch, project_id, steps: are missing"))
	return out
}

// testLargeBody sends more than the server takes, with its length said before and without.
func testLargeBody(t *testing.T, s *servertest.Server) {
	const most = 12 << 20
	for name, test := range map[string]struct {
		size  int
		known bool
	}{"20 MiB": {20 << 20, true}, "a byte too many": {most + 1, true}, "a byte too many, not said before": {most + 1, false}} {
		t.Run(name, func(t *testing.T) {
			r := s.Request(http.MethodPost, "/v1/job/create", "")
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(make([]byte, test.size))), -1
			r.Header.Set(signature.PayloadHeader, "UNSIGNED-PAYLOAD")
			signature.Sign(r, nil, s.Developer.Key, time.Now()) // or the body is not read
			if test.known {
				r.ContentLength = int64(test.size)
				r.Header.Set("Expect", "100-continue") // so that the answer comes before the body is sent
			}
			checkProblem(t, s, s.Send(r), 413, "APIGW.0201", "Request entity too large", "at most 12582912 bytes")
		})
	}
}

// TestMissingIs422 checks the status that the hosted service has been seen to send about what does not exist; all else keeps its own.
func TestMissingIs422(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, func(c *server.Config) { c.MissingIs422 = true })
	c := s.Client(s.Developer)
	unknown := strings.Repeat("0", 32)
	refused(t, c.ListJobConfig, &model.ListJobConfigRequest{JobId: unknown}, 422, "CB.00031006", "does not exist")
	refused(t, c.DeleteTheJob, &model.DeleteTheJobRequest{JobId: unknown}, 422, "DEVCB.00031006", "does not exist")
	refused(t, c.ShowTemplate, &model.ShowTemplateRequest{Uuid: unknown}, 422, "DEV.CB.0520002", "does not exist")
	refused(t, c.ListJobConfig, &model.ListJobConfigRequest{JobId: "x"}, 400, "CB.00060201")
	if answer := s.Call(s.Developer, "GET", "/v3/nothing", ""); answer.Status != 404 || !strings.Contains(answer.Body, "APIGW.0101") {
		t.Errorf("an unknown path: %d %s", answer.Status, answer.Body)
	}
	if answer := s.Call(s.Admin, "GET", "/v3/users/"+unknown, ""); answer.Status == 422 {
		t.Errorf("the identity service: %s", answer.Body)
	}
}
