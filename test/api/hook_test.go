package api_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

const hookSecret = "correct-horse-battery"

// told is a delivery as the API shows it.
type told struct {
	ID         string
	Outcome    *string
	HandleTime *string `json:"handle_time"`
	Replays    int
	Results    []struct {
		JobName string `json:"job_name"`
		Number  int
		Reason  string
	}
}

// hmacOf is how GitHub and Gitea sign a body.
func hmacOf(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// pushed is the body of a push in the form that all providers share.
func pushed(url, ref, after string) string {
	text, _ := json.Marshal(map[string]any{
		"ref": ref, "before": strings.Repeat("0", 40), "after": after, "pusher": map[string]string{"name": "eve"},
		"repository": map[string]string{"clone_url": url, "default_branch": "main"}, "commits": []any{},
	})
	return string(text)
}

// deliver sends what a provider sends, and returns the delivery's id.
func deliver(t *testing.T, s *servertest.Server, provider, body string, headers ...string) (string, servertest.Answer) {
	t.Helper()
	r := s.Request("POST", "/v1/hooks/"+s.Project+"/"+provider, body)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	a := s.Send(r)
	if a.Status != 202 {
		return "", a
	}
	return decoded[struct {
		Result struct {
			ID string `json:"delivery_id"`
		}
	}](t, a.Body).Result.ID, a
}

// awaitTold waits until a delivery was handled.
func awaitTold(t *testing.T, s *servertest.Server, id string) told {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); ; {
		a := s.Call(s.Admin, "GET", "/v1/hooks/"+s.Project+"/deliveries/"+id, "")
		if a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		if d := decoded[struct{ Result told }](t, a.Body).Result; d.HandleTime != nil {
			return d
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("nobody handles %s", a.Body)
		}
	}
}

// setSecret sets the secret of the project's hooks.
func setSecret(t *testing.T, s *servertest.Server) {
	t.Helper()
	if a := s.Call(s.Admin, "POST", "/v1/hooks/"+s.Project+"/secret", fmt.Sprintf(`{"secret": %q}`, hookSecret)); a.Status != 200 || !strings.Contains(a.Body, `"github":"/v1/hooks/`+s.Project+`/github"`) {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
}

// autoBuilt is the configuration of a task that is built when code changes.
func autoBuilt(s *servertest.Server, name, url string, branches ...string) *model.CreateBuildJobRequestBody {
	body := fromFile(s, name, url)
	body.BuildIfCodeUpdated = new(true)
	if len(branches) > 0 {
		body.Triggers = &[]model.Trigger{{Name: "atelier.triggers.PushTrigger", Parameters: []model.ParameterItem{{Name: "branches", Value: strings.Join(branches, ",")}}}}
	}
	return body
}

// TestPush has every provider tell of a commit, each of which is built once by every task that is to.
func TestPush(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	repo := s.NewRepository("app")
	repo.Write(".cloudbuild/build.yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh: {inputs: {command: echo $COMMIT_ID on $codeBranch}}\n")
	setSecret(t, s)
	job := create(t, c, autoBuilt(s, "auto", repo.URL(), "release/*"))
	create(t, c, fromFile(s, "not-auto", repo.URL()))
	disabled := create(t, c, autoBuilt(s, "off", repo.URL()))
	ok(t, c.DisableBuildJob, &model.DisableBuildJobRequest{JobId: disabled})
	create(t, c, autoBuilt(s, "elsewhere", "https://git.example.org/other.git"))

	for n, provider := range []string{"github", "gitlab", "gitea", "codearts"} {
		commit := repo.Commit("for " + provider)
		body := pushed(repo.URL()+".git", "refs/heads/main", commit)
		if provider == "github" { // which does so unless it is told otherwise
			body = url.Values{"payload": {body}}.Encode()
		}
		headers := map[string][]string{
			"github":   {"Content-Type", "application/x-www-form-urlencoded", "X-GitHub-Event", "push", "X-GitHub-Delivery", "d1", "X-Hub-Signature-256", "sha256=" + hmacOf(hookSecret, body)},
			"gitlab":   {"X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", hookSecret},
			"gitea":    {"X-Gitea-Event", "push", "X-Gitea-Signature", hmacOf(hookSecret, body)},
			"codearts": {"X-Gitlab-Event", "Push Hook", "X-Auth-Token", hookSecret}, // one of the names that one can choose there, and no token of ours
		}[provider]
		id, a := deliver(t, s, provider, body, headers...)
		if id == "" {
			t.Fatalf("%s: %d %s", provider, a.Status, a.Body)
		}
		d := awaitTold(t, s, id)
		if len(d.Results) != 3 || d.Results[0].JobName != "auto" || d.Results[0].Number != n+1 || !strings.Contains(d.Results[1].Reason, "build_if_code_updated") || d.Results[2].Reason != "The task is disabled." {
			t.Fatalf("%s: %+v", provider, d)
		}
		record := await(t, c, job, n+1)
		if *record.TriggerType != "CODEHUB_TRIGGER" || *record.Commit != commit || *record.Branch != "main" || *record.Status != "SUCCESS" || *record.BuildType != "branch" {
			t.Errorf("%s: %+v", provider, record)
		}
		if again, _ := deliver(t, s, provider, body, headers...); again != id {
			t.Errorf("%s: the same delivery is %s the second time", provider, again)
		}
	}

	// The same commit over another provider is built already.
	last := repo.Git("rev-parse", "HEAD")
	last = strings.TrimSpace(last)
	body := pushed(repo.URL(), "refs/heads/main", last)
	id, _ := deliver(t, s, "github", body, "X-GitHub-Event", "push", "X-GitHub-Delivery", "d2", "X-Hub-Signature-256", "sha256="+hmacOf(hookSecret, body))
	if d := awaitTold(t, s, id); d.Results[0].Number != 0 || d.Results[0].Reason != "The commit was built already: build 4." {
		t.Errorf("%+v", d)
	}
	// Unless somebody has it played again.
	if a := s.Call(s.Developer, "POST", "/v1/hooks/"+s.Project+"/deliveries/"+id+"/replay", ""); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if d := awaitTold(t, s, id); d.Replays != 1 || d.Results[0].Number != 5 {
		t.Errorf("played again: %+v", d)
	}
	if r := await(t, c, job, 5); *r.Commit != last {
		t.Errorf("played again it builds %+v", r)
	}

	repo.Git("checkout", "-q", "-b", "release/1.0")
	release := repo.Commit("release")
	for name, tt := range map[string]struct{ ref, after, event, outcome, reason string }{
		"a pattern":   {"refs/heads/release/1.0", release, "push", "", ""},
		"a branch":    {"refs/heads/feature", last, "push", "", "The task does not build the branch feature."},
		"a tag":       {"refs/tags/v1", last, "push", "refs/tags/v1 is no branch; only branches are built.", ""},
		"a deletion":  {"refs/heads/main", strings.Repeat("0", 40), "push", "The branch main was deleted.", ""},
		"other event": {"refs/heads/main", last, "issues", `The event "issues" starts no builds.`, ""},
	} {
		body := pushed(repo.URL(), tt.ref, tt.after)
		id, a := deliver(t, s, "github", body, "X-GitHub-Event", tt.event, "X-GitHub-Delivery", name, "X-Hub-Signature-256", "sha256="+hmacOf(hookSecret, body))
		if id == "" {
			t.Fatalf("%s: %d %s", name, a.Status, a.Body)
		}
		d := awaitTold(t, s, id)
		if tt.outcome != "" && (d.Outcome == nil || *d.Outcome != tt.outcome) || tt.outcome == "" && (len(d.Results) != 3 || d.Results[0].Reason != tt.reason) {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if r := await(t, c, job, 6); *r.Branch != "release/1.0" || *r.Commit != release {
		t.Errorf("of a release branch: %+v", r)
	}
	checkFiles(t, s, hookSecret)
}

// TestBadPushes sends what nobody should act on.
func TestBadPushes(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	body := pushed("https://git.example.org/a.git", "refs/heads/main", strings.Repeat("a", 40))
	signed := func(body string) []string {
		return []string{"X-GitHub-Event", "push", "X-GitHub-Delivery", "d", "X-Hub-Signature-256", "sha256=" + hmacOf(hookSecret, body)}
	}
	refuse := func(name, provider, body string, status int, code, words string, headers ...string) {
		t.Run(name, func(t *testing.T) {
			_, a := deliver(t, s, provider, body, headers...)
			checkProblem(t, s, a, status, code, words)
		})
	}
	refuse("before there is a secret", "github", body, 401, "APIGW.0301", "the signature is not right", signed(body)...)
	setSecret(t, s)
	refuse("no signature", "github", body, 401, "APIGW.0301", "the signature is not right")
	refuse("another body", "github", body+" ", 401, "APIGW.0301", "the signature is not right", signed(body)...)
	refuse("another secret", "gitlab", body, 401, "APIGW.0301", "the signature is not right", "X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", "x")
	refuse("no token", "codearts", body, 401, "APIGW.0301", "the signature is not right", "X-Codehub-Event", "Push Hook")
	refuse("another provider", "sourceforge", body, 400, "CB.00060200", "provider: must be one of")
	refuse("no JSON", "github", "{", 400, "CB.00060200", "the body is not JSON", signed("{")...)
	bad := strings.Replace(body, "refs/heads/main", "main", 1)
	refuse("a short reference", "github", bad, 400, "CB.00060200", `ref: must be the full name of a reference, such as refs/heads/main, found "main"`, signed(bad)...)
	bad = strings.Replace(body, strings.Repeat("a", 40), "HEAD", 1)
	refuse("no commit", "github", bad, 400, "CB.00060200", `after: must be the id of a commit, found "HEAD"`, signed(bad)...)
	if a := s.Call(s.Admin, "GET", "/v1/hooks/"+s.Project+"/deliveries", ""); !strings.Contains(a.Body, `"total":0`) {
		t.Errorf("something was stored: %s", a.Body)
	}
	id, _ := deliver(t, s, "github", body, signed(body)...)
	if d := awaitTold(t, s, id); d.Outcome == nil || *d.Outcome != "No task of the project builds this repository." {
		t.Errorf("%+v", d)
	}

	viewer, developer := s.NewUser("viewer"), s.Developer
	s.Grant(s.Project, viewer, iam.Viewer)
	path := "/v1/hooks/" + s.Project
	checkProblem(t, s, s.Call(viewer, "GET", path+"/deliveries", ""), 403, "DEVCB.00031001", "edit")
	checkProblem(t, s, s.Call(viewer, "GET", path+"/deliveries/"+id, ""), 403, "DEVCB.00031001", "edit")
	checkProblem(t, s, s.Call(viewer, "POST", path+"/deliveries/"+id+"/replay", ""), 403, "DEVCB.00031001", "edit")
	checkProblem(t, s, s.Call(developer, "POST", path+"/secret", ""), 403, "DEVCB.00031001", "assign permissions")
	checkProblem(t, s, s.Call(s.Admin, "POST", path+"/secret", `{"secret": "short"}`), 400, "CB.00060200", "secret: must have 16 to 200 bytes, found 5")
	const unknown = "48da14e2-6ee7-495b-9dc7-f14d4a344511"
	checkProblem(t, s, s.Call(s.Admin, "POST", path+"/deliveries/"+unknown+"/replay", ""), 404, "DEVCB.00031006", "does not exist")
	checkProblem(t, s, s.Call(s.Admin, "GET", path+"/deliveries/"+unknown, ""), 404, "DEVCB.00031006", "does not exist")
	checkProblem(t, s, s.Call(s.NewUser("stranger"), "GET", path+"/deliveries", ""), 404, "DEVCB.00031006", "does not exist")
	checkProblem(t, s, s.Call(developer, "POST", "/v1/job/create", strings.Replace(taskWith(s, `"url": "https://git.example.org/a"`), `"steps"`,
		`"triggers": [{"name": "atelier.triggers.PushTrigger", "parameters": [{"name": "branch", "value": "x"}]}], "steps"`, 1)), 400, "CB.00060200", "branch: is not known; known is: branches")
}

// TestAutoExecute tells of a change by the vendor's operation, and starts a build as a pipeline does.
func TestAutoExecute(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	repo := s.NewRepository("app")
	repo.Write(".cloudbuild/build.yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh: {inputs: {command: \"true\"}}\n")
	commit := repo.Commit("init")
	job := create(t, c, autoBuilt(s, "auto", repo.URL()))
	body := strings.Replace(pushed("https://elsewhere.example.org/a", "refs/heads/main", commit), "{", `{"event_type": "push_events", `, 1)
	a := s.Call(s.Developer, "POST", "/v1/job/"+job+"/auto-execute", body)
	if a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	awaitTold(t, s, decoded[struct {
		Result struct {
			ID string `json:"delivery_id"`
		}
	}](t, a.Body).Result.ID)
	if r := await(t, c, job, 1); *r.TriggerType != "CODEHUB_TRIGGER" || *r.Commit != commit {
		t.Errorf("%+v", r)
	}
	checkProblem(t, s, s.Call(s.Developer, "POST", "/v1/job/"+job+"/auto-execute", `{"event_type": "lunch"}`), 400, "CB.00060200", `event_type: must be push or push_events, found "lunch"`)

	if a := s.Call(s.Developer, "POST", "/v1/job/execute", fmt.Sprintf(`{"job_id": %q, "trigger_type": "PIPELINE_TRIGGER", "parameter": [{"name": "PIPELINE_ID", "value": "p1"}]}`, job)); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if r := await(t, c, job, 2); *r.TriggerType != "PIPELINE_TRIGGER" {
		t.Errorf("%+v", r)
	}
	checkProblem(t, s, s.Call(s.Developer, "POST", "/v3/jobs/build", fmt.Sprintf(`{"job_id": %q, "trigger_type": "TIMED_EXECUTION"}`, job)), 400, "CB.00060200",
		`trigger_type: must be MANUAL or PIPELINE_TRIGGER, found "TIMED_EXECUTION"`)
}

// TestPolling builds what a host has not told of.
func TestPolling(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, func(c *server.Config) { c.PollRepositories = 20 * time.Millisecond })
	c := s.Client(s.Developer)
	repo := s.NewRepository("app")
	repo.Write(".cloudbuild/build.yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh: {inputs: {command: \"true\"}}\n")
	repo.Commit("init")
	job := create(t, c, autoBuilt(s, "auto", repo.URL(), "release/*"))
	off := create(t, c, fromFile(s, "off", repo.URL()))
	// What is seen first is nothing new, and nobody can say when that is. So commits are made until one is built.
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ok(t, c.ShowRunningStatus, &model.ShowRunningStatusRequest{JobId: job}).Result.LastBuildNo == nil; n++ {
		if n == 1000 {
			t.Fatal("nothing is built")
		}
		repo.Commit(fmt.Sprint("commit ", n))
		<-tick.C
	}
	if r := await(t, c, job, 1); *r.TriggerType != "CODEHUB_TRIGGER" || *r.Branch != "main" || *r.Status != "SUCCESS" {
		t.Errorf("%+v", r)
	}
	// A branch that is new, and one that the task does not build.
	repo.Git("checkout", "-q", "-b", "feature")
	release := repo.Commit("release")
	repo.Git("branch", "release/1.0") // which is there with its commit at once
	deliveries := func() string { return s.Call(s.Admin, "GET", "/v1/hooks/"+s.Project+"/deliveries", "").Body }
	for n := 0; !strings.Contains(deliveries(), `"ref":"refs/heads/release/1.0"`); n++ {
		if n == 1000 {
			t.Fatal("the new branch is not seen")
		}
		<-tick.C
	}
	newest := decoded[struct{ Result struct{ Deliveries []told } }](t, deliveries()).Result.Deliveries[0]
	if r := await(t, c, job, awaitTold(t, s, newest.ID).Results[0].Number); *r.Branch != "release/1.0" || *r.Commit != release || *r.TriggerType != "CODEHUB_TRIGGER" {
		t.Errorf("%+v", r)
	}
	if told := deliveries(); !strings.Contains(told, `"provider":"poll"`) || strings.Contains(told, "refs/heads/feature") {
		t.Errorf("%s", told)
	}
	if r := ok(t, c.ShowRunningStatus, &model.ShowRunningStatusRequest{JobId: off}).Result; r.LastBuildNo != nil {
		t.Errorf("a task that is not to is built: %+v", r)
	}
}
