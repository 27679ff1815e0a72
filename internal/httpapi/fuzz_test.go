package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
)

// FuzzBody checks that a body of a stranger's is either decoded, or refused with a short sentence in which nothing of the
// server's inside shows; and that the configuration of a task reads back as it was written.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, `null`, `{"text":"a","number":1,"small":2,"list":["a"],"inner":{"A":{"id":"1"}},"optional":{"name":"n"}}`,
		`{"loose_text":1e3,"loose_bool":"true","given":null}`, `{"loose_text":{}}`, `{"loose_bool":[]}`, `{"number":1e400}`, `{"a":1,"a":2}`,
		`{"job":{"job_name":"n","arch":"arm","steps":[{"module_id":"sh","enable":"true","version":1.0,"properties":{"a":[1,{"b":null}]}}],` +
			`"parameters":[{"name":"p","params":[{"name":"q","value":true,"limits":[{"disable":0}]}]}],"scms":[{"url":"u","depth":1,"is_auto_build":"false"}],` +
			`"triggers":[{"name":"t","parameters":[{"name":"a","value":1}]}],"timeout":{"limit":4,"unit":"hour"},"group_id":null}}`,
		`{"run":{"job_id":"x","parameter":[{"name":"a","value":"b"}],"scm":{"build_tag":null}}}`,
		`{"token":{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"a"}}},"scope":{"project":{}}}}}`,
		strings.Repeat(`{"job":`, 70), "\"\xff\"", `{"text":"\ud800"}`, `{"TEXT":"a","tExt":"b"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var in every
		if err := decodeBody(body, &in); err != nil {
			checkRefusal(t, err)
			return
		}
		if !json.Valid(body) {
			t.Fatal("a body that is not JSON was taken")
		}
		config := in.Job.config(build.Config{})
		shown, err := encode(presentConfig(build.Job{Config: config}))
		if err != nil {
			t.Fatal(err)
		}
		var again jobBody
		if err := decodeBody(shown, &again); err != nil {
			t.Fatalf("%s cannot be read again: %v", shown, err)
		}
		if shownAgain, err := encode(presentConfig(build.Job{Config: again.config(build.Config{})})); err != nil || string(shownAgain) != string(shown) {
			t.Fatalf("%v: reads back otherwise:\n%s", err, cmp.Diff(string(shown), string(shownAgain)))
		}
	})
}

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*apiError](err)
	if !ok || e.Status != http.StatusBadRequest || e.Code != codeInvalid {
		t.Fatalf("refused with %v", err)
	}
	if n := len(e.Message); n == 0 || n > 500 || !utf8.ValidString(e.Message) {
		t.Fatalf("the sentence has %d bytes: %q", n, e.Message)
	}
	checkNoLeak(t, e.Message)
}

// checkNoLeak checks that a text for clients shows nothing of the program.
func checkNoLeak(t *testing.T, s string) {
	t.Helper()
	for _, secret := range []string{"json:", "Go struct", "httpapi", "goroutine", "runtime error", "SQL", ".go:", os.TempDir()} {
		if strings.Contains(s, secret) {
			t.Fatalf("%q shows %q", s, secret)
		}
	}
}

// FuzzRequest sends requests with any path, query and body to the whole API. It must answer each of them, with JSON that says
// what is wrong, and never fail for a reason of its own.
func FuzzRequest(f *testing.F) {
	api := newFixture(f)
	fill := strings.NewReplacer(
		"{job_id}", string(api.job.ID), "{project_id}", api.project, "{build_no}", "1", "{build_number}", "1",
		"{record_id}", "48da14e2-6ee7-495b-9dc7-f14d4a344511", "{build_flow_record_id}", "48da14e2-6ee7-495b-9dc7-f14d4a344511", "{build_project_id}", string(api.job.BuildProjectID), "{user_id}", "u", "{id}", string(api.job.ID), "{keystore_id}", string(api.job.ID), "{permission_id}", string(api.job.ID), "{uuid}", string(api.job.ID), "{message_id}", "x", "{provider}", "github", "{delivery_id}", "48da14e2-6ee7-495b-9dc7-f14d4a344511", "{access_key}", "k", "*", "1.0/app.jar",
	)
	for _, o := range (&API{}).operations() {
		path := fill.Replace(o.path)
		f.Add(o.method, path, "{}")
		f.Add(o.method, path+"?page_index=1&page_size=2&offset=3&limit=4&size=5&sort=DESC&project_id="+api.project+"&job_name=a", fmt.Sprintf(`{"job_id":%q}`, api.job.ID))
		f.Add(o.method, strings.ReplaceAll(path, "/", "%2f")+"?%00=%ff", "[")
	}
	for _, path := range []string{"branches", "ratio", "time", "junit/coverage/list", "junit/coverage/download", string(api.job.ID) + "/summary", string(api.job.ID) + "/1/coverage/metrics"} {
		f.Add("GET", "/v1/report/"+path+"?job_id="+string(api.job.ID)+"&build_no=1&root_id=x&repository_name=app&branch=all&interval=7", "")
	}
	f.Add("GET", "/v1/job/list?search=%00&build_status=red&sort_order=asc&sort_field=health_score", "")
	f.Add("GET", "/v1/record/"+string(api.job.BuildProjectID)+"/records?from_date=2022-09-09+06:31:50&triggers=MANUAL&branches=a&branches=b&tags=%e4", "")
	f.Add("POST", "/v3/jobs/build", fmt.Sprintf(`{"job_id":%q,"parameter":[{"name":"a","value":1}],"scm":{"branch":"-x"}}`, api.job.ID))
	f.Fuzz(func(t *testing.T, method, target, body string) {
		if _, err := url.ParseRequestURI(target); err != nil || strings.ContainsAny(target, " \r\n") || !validMethod(method) {
			t.Skip() // the server refuses it before the API sees it
		}
		if strings.Contains(body, `"password"`) && strings.Contains(body, `"methods"`) {
			t.Skip() // hashing a password is slow, and tested elsewhere
		}
		w := api.send(t.Context(), method, target, body)
		if w.Code >= http.StatusInternalServerError || w.Header().Get("X-Request-Id") == "" {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		if w.Code >= http.StatusBadRequest {
			checkNoLeak(t, w.Body.String())
			checkErrorForm(t, w)
		}
	})
}

func validMethod(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') })
}

// checkErrorForm checks that an answer is an error in one of its three forms.
func checkErrorForm(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var e struct {
		Code    string `json:"error_code"`
		Message string `json:"error_msg"`
		Error   struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if (e.Code == "" || e.Message == "") && (e.Error.Code != w.Code || e.Error.Message == "") {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
}

// FuzzForm checks that a form with a file is either read, or refused with a short sentence.
func FuzzForm(f *testing.F) {
	const kind = "multipart/form-data; boundary=b"
	part := func(header, content string) string {
		return "--b\r\nContent-Disposition: form-data; " + header + "\r\n\r\n" + content + "\r\n"
	}
	file := part(`name="file"; filename="a.jks"`, "content")
	for _, body := range []string{
		"", file + "--b--", file + part(`name="privacy"`, "true") + "--b--\r\n", file, strings.Repeat(part(`name="x"`, "1"), maxFormFields+1) + "--b--",
		part(`name="file"; filename="../../etc/passwd"`, ""), part(`name="file"; filename*=utf-8''%ff`, ""), "--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=zz\r\n--b--",
	} {
		f.Add(kind, []byte(body))
	}
	f.Add("text/plain", []byte("x"))
	f.Add("multipart/form-data; boundary=\"", []byte("x"))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		name, content, fields, err := readForm(kind, body)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if strings.ContainsRune(name, '/') || len(content) > len(body) || len(fields) > maxFormFields {
			t.Errorf("a file %q of %d bytes, with %d fields", name, len(content), len(fields))
		}
	})
}
