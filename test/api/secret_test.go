package api_test

import (
	"archive/zip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// What the builds of this test are not to show: a text that may stand in names, and a key of several lines with marks that are escaped.
const (
	hushToken = "Hush-4711-zulu"
	hushKey   = "-----BEGIN KEY-----\nq1<w2>&e3\"r4/t5+z6\nü-'7$u8\\i9\n-----END KEY-----"
)

// hushed returns the forms in which a text shows one of the two.
func hushed() (forms []string) {
	texts := append(strings.Split(hushKey, "\n"), hushToken)
	for _, text := range texts {
		js, _ := json.Marshal(text)
		forms = append(forms, text, strings.Trim(string(js), `"`), url.QueryEscape(text), url.PathEscape(text))
		for skip := range 3 {
			digits := base64.RawStdEncoding.EncodeToString([]byte("\x00\x00"[:skip] + text))
			core := digits[(skip*8+5)/6 : (skip+len(text))*8/6]
			forms = append(forms, core, strings.NewReplacer("+", "-", "/", "_").Replace(core))
		}
	}
	return forms
}

// checkHushed checks that a text does not show what private parameters hold.
func checkHushed(t *testing.T, what, text string) {
	t.Helper()
	for _, form := range hushed() {
		if at := strings.Index(text, form); at >= 0 {
			t.Errorf("%s shows %q: …%s…", what, form, text[max(0, at-80):min(len(text), at+len(form)+40)])
		}
	}
}

// sweep asks every operation that only reads for what the given values name, and checks all answers. It returns how many had content.
func sweep(t *testing.T, s *servertest.Server, values map[string]string) (answered int) {
	t.Helper()
	document := decoded[struct {
		Paths map[string]map[string]struct {
			ID         string `json:"operationId"`
			Parameters []struct{ Name, In string }
		}
	}](t, s.Send(s.Request(http.MethodGet, "/openapi.json", "")).Body)
	for path, methods := range document.Paths {
		read, reads := methods["get"]
		if !reads {
			continue
		}
		query := make(url.Values)
		for _, p := range read.Parameters {
			switch value, known := values[p.Name]; {
			case p.In == "path":
				path = strings.ReplaceAll(path, "{"+p.Name+"}", value)
			case p.In == "query" && known:
				query.Set(p.Name, value)
			}
		}
		a := s.Call(s.Developer, http.MethodGet, path+"?"+query.Encode(), "")
		checkHushed(t, fmt.Sprintf("%s (%s?%s)", read.ID, path, query.Encode()), a.Body)
		checkHushed(t, read.ID+"'s headers", fmt.Sprint(a.Header))
		if a.Status == http.StatusOK {
			answered++
		}
		if content := a.Header.Get("Content-Type"); a.Status == http.StatusOK && strings.HasPrefix(a.Body, "PK") {
			checkHushedArchive(t, read.ID+" "+content, a.Body)
		}
	}
	return answered
}

func checkHushedArchive(t *testing.T, what, body string) {
	t.Helper()
	z, err := zip.NewReader(strings.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for _, f := range z.File {
		checkHushed(t, what, f.Name)
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		checkHushed(t, what, string(text))
	}
}

// checkHushedFiles checks everything that the server keeps, apart from its copies of repositories.
func checkHushedFiles(t *testing.T, s *servertest.Server) {
	t.Helper()
	eachFile(t, s, func(path string, content []byte) {
		if !strings.HasPrefix(path, filepath.Join(s.Config.DataDir, "repositories")) {
			checkHushed(t, "a name of a file", path)
			checkHushed(t, path, string(content))
		}
	})
}

// TestPrivateValuesShowNowhere has builds put private values wherever a text of theirs leaves the server, and looks there, in the answers of all operations
// that read, in notices, in the server's own log and in all files that it keeps.
func TestPrivateValuesShowNowhere(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	robot := newRobot(t)
	s := servertest.Start(t, func(c *server.Config) {
		c.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.NoticeNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		c.Slots = 2
	})
	c := s.Client(s.Developer)
	repo := s.NewRepository("loose")
	const steps = "version: 2.0\nsteps:\n  BUILD:\n"
	print := func(name string) string {
		return "    - sh:\n        name: " + name + `
        inputs:
          command: |
            : ` + hushToken + `
            echo "$TOKEN" "$COPY"
            echo "$codeBranch $GIT_TAG $REST"
            printf '%s' "$KEY" "$TOKEN"
            printf 'user:%s' "$TOKEN" | base64
            printf '%s' "$KEY" | base64
            set -x
            : "$TOKEN" "$KEY"
            export -p
`
	}
	repo.Write(".cloudbuild/build.yml", steps+print("Print ${TOKEN}")+`            mkdir -p "out/$TOKEN" "cover/$TOKEN"
            echo x > "out/$TOKEN/app-$TOKEN.txt"
            echo '<testsuite name="'$TOKEN'"><testcase name="it '$TOKEN'" classname="'$TOKEN'"><failure message="'$TOKEN'">'$TOKEN'</failure></testcase></testsuite>' > "$TOKEN.xml"
            printf 'mode: set\na.go:1.1,2.2 3 1\n' > "cover/$TOKEN/cover.out"
            echo '<testsuite' > "bad-$TOKEN.xml"
          unit_test: {report_path: "*${TOKEN}.xml", coverage: true, coverage_report_path: "cover/**"}
    - upload_artifact: {inputs: {path: "out/**/*.txt", version: "v-${TOKEN}"}}
    - download_artifact: {inputs: {url: "https://example.org/${PROJECT_ID}/v-${TOKEN}/app-${TOKEN}.txt"}}
    - sh: {inputs: {command: "ls app-*"}}
    - upload_artifact: {inputs: {path: "none-${TOKEN}"}}
`)
	repo.Write("flow/build.yml", "version: 2.0\nbuildflow:\n  jobs:\n    - {job: "+hushToken+", build_ref: flow/"+hushToken+".yml}\n    - {job: Next, depends_on: ["+hushToken+"], build_ref: flow/next.yml}\n")
	repo.Write("flow/next.yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh: {inputs: {command: \"true\"}}\n")
	repo.Write("flow/"+hushToken+".yml", steps+print("Print")+"            exit 3\n")
	repo.Write("bad.yml", steps+"    - checkout: {inputs: {depth: \"some ${TOKEN}\", "+hushToken+": x}}\n    - "+hushToken+": {}\n")
	repo.Write("away.yml", "version: 2.0\nsteps:\n  PRE_BUILD:\n    - checkout: {inputs: {url: \"https://127.0.0.1:1/${TOKEN}.git\", branch: \"${TOKEN}\"}}\n")
	repo.Commit("Use " + hushToken + "\n\n" + hushKey)
	repo.Git("branch", "topic/"+hushToken)
	repo.Git("tag", "v-"+hushToken)

	task := fromFile(s, "loose", repo.URL())
	task.Parameters = &[]model.CreateBuildJobParameter{
		parameter("codeBranch", "main", "staticVar", "true"), parameter("COPY", "", "staticVar", "true"), parameter("CB_BUILD_YAML_PATH", "", "staticVar", "true"),
		parameter("TOKEN", hushToken, "sensitiveVar", "true"), parameter("KEY", hushKey, "sensitiveVar", "true", "staticVar", "true"),
	}
	job := create(t, c, task)
	notify(t, s, job, "WECOM", fmt.Sprintf(`{"url": "%s/send"}`, robot.URL), "buildJobSuccess", "buildJobFail")
	notify(t, s, job, "MESSAGE", "", "buildJobSuccess", "buildJobFail")

	starts := []struct {
		name, file, branch, tag string
		failure                 string
	}{
		{name: "steps", branch: "topic/" + hushToken, failure: `Step "upload_artifact" failed: no file of the workspace matches the pattern none-******.`},
		{name: "a flow of a tag", file: "flow/build.yml", tag: "v-" + hushToken, failure: `Job "******" failed: Step "Print" failed with exit code 3. Not run, because they depend on what failed: "Next".`},
		{name: "a bad file", file: "bad.yml", failure: `found "some ******"`},
		{name: "a file that is not there", file: hushToken + "/build.yml", failure: "******/build.yml"},
		{name: "a branch that is not there", branch: "none-" + hushToken, failure: "none-******"},
		{name: "an address where nobody answers", file: "away.yml", failure: "******.git"},
	}
	values := map[string]string{
		"job_id": job, "project_id": s.Project, "domain_id": s.DomainID, "page_size": "10", "page_index": "0", "page_no": "1", "offset": "0", "start_offset": "0", "end_offset": "0",
		"task_name": "stage1", "log_level": "DEBUG", "interval": "30", "repository_name": "loose", "repo_url": repo.URL(), "branch": "main",
	}
	values["start_date"], values["end_date"], values["start_time"], values["end_time"] = today()
	values["from_date"], values["to_date"] = values["start_time"], values["end_time"]
	for i, start := range starts {
		body := &model.RunJobRequestBody{JobId: job, Scm: &model.Scm{}, Parameter: &[]model.ParameterItem{
			{Name: "COPY", Value: "https://user:" + hushToken + "@example.org"}, {Name: "REST", Value: "rest of " + hushToken}, {Name: "CB_BUILD_YAML_PATH", Value: start.file},
		}}
		if start.branch != "" {
			*body.Parameter = append(*body.Parameter, model.ParameterItem{Name: "codeBranch", Value: start.branch})
		}
		if start.tag != "" {
			body.Scm.BuildTag = &start.tag
		}
		number := run(t, c, body)
		record := await(t, c, job, number)
		if !strings.Contains(*record.ErrMsg, start.failure) {
			t.Errorf("%s: the error is %q, want %q", start.name, *record.ErrMsg, start.failure)
		}
		text := fmt.Sprint(receive(t, robot.got, "the notice").body)
		if checkHushed(t, "the notice", text); !strings.Contains(text, "******") {
			t.Errorf("%s: the notice says nothing of it: %s", start.name, text)
		}
		values["record_id"], values["build_flow_record_id"], values["build_no"], values["build_number"] = *record.BuildRecordId, *record.BuildRecordId, fmt.Sprint(number), fmt.Sprint(number)
		values["build_project_id"] = *record.BuildProjectId
		if n := sweep(t, s, values); n < 50 {
			t.Errorf("%s: only %d operations answered with something", start.name, n)
		}
		if i > 1 {
			continue
		}
		if again := s.Call(s.Developer, http.MethodPost, fmt.Sprintf("/v3/jobs/%s/%d/rerun", job, number), ""); again.Status != http.StatusOK {
			t.Fatalf("again: %d %s", again.Status, again.Body)
		}
		rerun := awaitThat(t, c, job, number+1, func(r model.RecordInfoResult) bool { return r.FinishTime != nil })
		receive(t, robot.got, "the notice")
		if *rerun.ErrMsg != *record.ErrMsg {
			t.Errorf("%s, again: %q", start.name, *rerun.ErrMsg)
		}
	}

	// What the first build did shows that the values reached it.
	first := await(t, c, job, 1)
	if *first.Branch != "topic/******" {
		t.Errorf("the branch is %s", *first.Branch)
	}
	whole := s.Call(s.Developer, http.MethodGet, "/v4/"+*first.BuildRecordId+"/download-log", "").Body
	for _, line := range []string{
		"] ****** https://user:******@example.org\n", "] topic/******  rest of ******\n", "/v-%2A%2A%2A%2A%2A%2A/app-%2A%2A%2A%2A%2A%2A.txt\n", "] app-******.txt\n",
		"Did not succeed: ******.it ******", "bad-******.xml", "the value of a private parameter, which is masked",
	} {
		if !strings.Contains(whole, line) {
			t.Errorf("the log lacks %q:\n%s", line, whole)
		}
	}
	s.Stop()
	checkHushed(t, "the server's log", log.String())
	if n := strings.Count(log.String(), "build ended"); n < len(starts) {
		t.Errorf("the server's log has %d ends of builds", n)
	}
	checkHushedFiles(t, s)
}
