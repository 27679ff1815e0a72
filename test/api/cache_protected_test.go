package api_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam"
	"atelier/internal/server/servertest"
)

// TestProtectedCaches builds the same task in every way. Each build shows what its cache has and leaves its number there: those of the
// branch that the task names never see what others have left.
func TestProtectedCaches(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	setSecret(t, s)
	repo := s.NewRepository("app")
	repo.Write(".cloudbuild/build.yml", oneStep(`python: {inputs: {command: 'echo "there is <$(ls -v "$PIP_CACHE_DIR" | tr "\n" " ")>"; touch "$PIP_CACHE_DIR/n$INCREASENUM"'}}`))
	commits := 0
	commit := func() string {
		commits++
		return repo.Commit(fmt.Sprint("commit ", commits))
	}
	first := commit()
	repo.Git("branch", "release/1.0")
	repo.Git("tag", "v1")
	job := create(t, c, autoBuilt(s, "app", repo.URL(), "release/*"))

	runner := s.NewUser("runner") // may run this task, and edit none
	s.Grant(s.Project, runner, iam.Tester)
	if a := s.Call(s.Admin, "POST", "/v1/job/permissions/batch", fmt.Sprintf(`{"project_id": %q, "job_ids": [%q], "permissions": [{"role_id": 6, "is_view": true, "is_execute": true}]}`, s.Project, job)); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	manual := func(user servertest.User, scm string) func() int {
		return func() int {
			a := s.Call(user, "POST", "/v3/jobs/build", fmt.Sprintf(`{"job_id": %q, "scm": {%s}}`, job, scm))
			if a.Status != 200 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			n, err := strconv.Atoi(decoded[struct {
				Number string `json:"actual_build_number"`
			}](t, a.Body).Number)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	told := func(id string) int { return awaitTold(t, s, id).Results[0].Number }
	hook := func(branch string, after func() string) func() int {
		return func() int {
			body := pushed(repo.URL(), "refs/heads/"+branch, after())
			id, a := deliver(t, s, "github", body, "X-GitHub-Event", "push", "X-GitHub-Delivery", branch, "X-Hub-Signature-256", "sha256="+hmacOf(hookSecret, body))
			if id == "" {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			return told(id)
		}
	}
	number := 0
	var protected, apart []string
	for _, tt := range []struct {
		way   string
		start func() int
		why   string // it does not write the protected cache; empty when it does
	}{
		{"the task's branch", manual(s.Developer, ""), ""},
		{"a tag", manual(s.Developer, `"build_tag": "v1"`), "chosen"},
		{"the task's branch again", manual(s.Admin, ""), ""},
		{"another branch", manual(s.Admin, `"branch": "release/1.0"`), "chosen"},
		{"the task's branch by its name", manual(s.Developer, `"branch": "main"`), ""},
		{"a commit", manual(s.Developer, `"build_commit_id": "`+first+`"`), "chosen"},
		{"who may only run it", manual(runner, ""), "runner, who started the build, may not edit the tasks of the project"},
		{"a hook", hook("main", commit), ""},
		{"a hook of another branch", hook("release/1.0", func() string { return first }), "chosen"},
		{"auto-execute", func() int {
			a := s.Call(s.Developer, "POST", "/v1/job/"+job+"/auto-execute", strings.Replace(pushed(repo.URL(), "refs/heads/main", commit()), "{", `{"event_type": "push", `, 1))
			return told(decoded[struct {
				Result struct {
					ID string `json:"delivery_id"`
				}
			}](t, a.Body).Result.ID)
		}, "chosen"},
		{"a rerun", func() int {
			a := s.Call(s.Admin, "POST", fmt.Sprintf("/v3/jobs/%s/1/rerun", job), "")
			if a.Status != 200 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			return number
		}, "chosen"},
		{"the task's branch at last", manual(s.Developer, ""), ""},
	} {
		number++
		if got := tt.start(); got != number {
			t.Fatalf("%s: build %d, want %d", tt.way, got, number)
		}
		ended := await(t, s.Client(s.Admin), job, number)
		log := logOf(t, s.Client(s.Admin), job, number)
		seen := &protected
		if tt.why != "" {
			if seen = &apart; len(apart) == 0 {
				apart = append(apart, protected...) // what it begins with
			}
		}
		if want := "there is <" + strings.Join(append(*seen, ">"), " "); *ended.Status != "SUCCESS" || !strings.Contains(log, strings.Replace(want, "< >", "<>", 1)) {
			t.Errorf("%s: want %q\n%s", tt.way, want, log)
		}
		if said := strings.Contains(log, "does not write those of protected branches"); said != (tt.why != "") || !strings.Contains(log, tt.why) {
			t.Errorf("%s: it is to say %q\n%s", tt.way, tt.why, log)
		}
		*seen = append(*seen, fmt.Sprintf("n%d", number))
	}

	// What somebody has saved last who may not edit the project's tasks is not protected either, and neither is another project's.
	if err := s.IAM().RevokeRole(t.Context(), s.Project, s.Developer.ID, iam.Developer); err != nil {
		t.Fatal(err)
	}
	n := run(t, s.Client(s.Admin), &model.RunJobRequestBody{JobId: job})
	await(t, s.Client(s.Admin), job, n)
	if log := logOf(t, s.Client(s.Admin), job, n); !strings.Contains(log, "dev, who last saved the task, may not edit the tasks of the project") {
		t.Errorf("%s", log)
	}
	elsewhere := fromFile(s, "elsewhere", repo.URL())
	elsewhere.ProjectId = s.OtherProject
	other := create(t, s.Client(s.Admin), elsewhere)
	n = run(t, s.Client(s.Admin), &model.RunJobRequestBody{JobId: other})
	await(t, s.Client(s.Admin), other, n)
	if log := logOf(t, s.Client(s.Admin), other, n); !strings.Contains(log, "there is <>") {
		t.Errorf("in another project:\n%s", log)
	}
}
