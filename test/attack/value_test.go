package attack_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/executor/host"
	"atelier/internal/iam"
	"atelier/internal/server/servertest"
)

// deployKey is the private value of the tasks here; backwards it is what a command of an attacker prints.
const deployKey = "deploy-key-of-the-task"

func backwards(text string) string {
	b := []byte(text)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

// parameter is a parameter of a task as the API takes it.
func parameter(name, value string, properties ...string) string {
	text := fmt.Sprintf(`{"name": "name", "value": %q}, {"name": "defaultValue", "value": %q}`, name, value)
	for _, p := range properties {
		text += fmt.Sprintf(`, {"name": %q, "value": "true"}`, p)
	}
	return `{"name": "hudson.model.StringParameterDefinition", "params": [` + text + `]}`
}

// valueTask makes a task that a tester may run and not edit. It returns its id.
func valueTask(t *testing.T, s *servertest.Server, url, name string) string {
	t.Helper()
	body := fmt.Sprintf(`{"job_name": %q, "project_id": %q, "arch": %q, "build_config_type": "YAML", "steps": [],
		"scms": [{"url": %q, "scm_type": "default", "branch": "main"}], "parameters": [%s, %s, %s, %s, %s]}`, name, s.Project, servertest.Arch, url,
		parameter("channel", "beta", "staticVar"), parameter("number", "1", "staticVar"), parameter("NODE_OPTIONS", "", "staticVar"),
		parameter("fixed", "set"), parameter("DEPLOY_KEY", deployKey, "sensitiveVar"))
	made := s.Call(s.Developer, "POST", "/v3/jobs/create", body)
	if made.Status != 200 {
		t.Fatalf("%d %s", made.Status, made.Body)
	}
	var answer struct {
		Result struct {
			ID string `json:"job_id"`
		} `json:"result"`
	}
	if err := json.Unmarshal([]byte(made.Body), &answer); err != nil {
		t.Fatal(err)
	}
	id := answer.Result.ID
	if a := s.Call(s.Admin, "POST", "/v1/job/permissions/batch", fmt.Sprintf(
		`{"project_id": %q, "job_ids": [%q], "permissions": [{"role_id": 6, "is_view": true, "is_execute": true}]}`, s.Project, id)); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return id
}

// runValues starts a build of a task as a user and returns the log of it; an empty one when the start was refused, with what was said.
func runValues(t *testing.T, s *servertest.Server, user servertest.User, task string, values ...model.ParameterItem) (log, refusal string) {
	t.Helper()
	started, err := s.Client(user).RunJob(&model.RunJobRequest{Body: &model.RunJobRequestBody{JobId: task, Parameter: &values}})
	if err != nil {
		return "", err.Error()
	}
	number, err := strconv.ParseInt(*started.ActualBuildNumber, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	record := awaitEnd(t, s, task, int32(number))
	log = buildLog(t, s, task, int32(number))
	if log == "" && record.ErrMsg != nil {
		log = *record.ErrMsg
	}
	return log, ""
}

func value(name, text string) model.ParameterItem {
	return model.ParameterItem{Name: name, Value: text}
}

// valueFile prints values wherever a script may have them.
const valueFile = `version: 2.0
steps:
  BUILD:
    - sh:
        name: Print ${channel}
        inputs:
          command: |
            echo "channel ${channel}"
            echo 'quoted ${channel}'
            cat <<'END'
            here ${channel}
            END
            bash -c 'echo "inner ${channel}"'
            trap 'echo "trapped ${channel}"' EXIT
            echo 'branch ${codeBranch}'
            echo "number $((number + 1))"
            echo the end
`

// TestValuesAreData: who may run a task and not edit it chooses values. What the values say is printed, and never run.
func TestValuesAreData(t *testing.T) {
	s := startServer(t, host.Off)
	tester := s.NewUser("tester")
	s.Grant(s.Project, tester, iam.Tester)
	r := s.NewRepository("values")
	r.Write(".cloudbuild/build.yml", strings.Replace(valueFile, "        name: Print ${channel}\n", "", 1))
	r.Commit("Print values")
	const branch = "x$(printf${IFS}%s${IFS}$DEPLOY_KEY|rev)'`rev<<<$DEPLOY_KEY`\";${DEPLOY_KEY}"
	r.Git("branch", branch)
	task := valueTask(t, s, r.URL(), "values")
	leaks := func(t *testing.T, log string) {
		t.Helper()
		if strings.Contains(log, backwards(deployKey)) || strings.Contains(log, deployKey) {
			t.Errorf("a value was run, or shows the key:\n%s", log)
		}
	}
	for _, v := range []string{
		`x"; printf %s "$DEPLOY_KEY" | rev; echo "`, `x'; printf %s "$DEPLOY_KEY" | rev; echo '`, "`printf %s $DEPLOY_KEY | rev`", `$(printf %s "$DEPLOY_KEY" | rev)`,
		"x\nEND\nprintf %s $DEPLOY_KEY | rev\n", `\`, `\"; printf %s "$DEPLOY_KEY" | rev; #`, "${DEPLOY_KEY}", "$DEPLOY_KEY", "-e x", "&& printf %s $DEPLOY_KEY | rev", "a[$(printf %s $DEPLOY_KEY | rev >&2)]",
	} {
		log, refusal := runValues(t, s, tester, task, value("channel", v))
		if refusal != "" {
			t.Errorf("%q: %s", v, refusal)
		}
		leaks(t, log)
		for _, prefix := range []string{"channel ", "quoted ", "here ", "inner ", "trapped "} {
			if !strings.Contains(log, prefix+strings.Split(v, "\n")[0]) {
				t.Errorf("%q does not come out behind %q:\n%s", v, prefix, log)
			}
		}
		if !strings.Contains(log, "the end") {
			t.Errorf("%q: the build did not come to its end:\n%s", v, log)
		}
	}
	t.Run("a branch", func(t *testing.T) {
		log, refusal := runValues(t, s, tester, task, value("codeBranch", branch))
		if refusal == "" && !strings.Contains(log, "branch "+branch) {
			t.Errorf("the branch does not come out:\n%s", log)
		}
		leaks(t, log)
	})
	t.Run("arithmetic", func(t *testing.T) {
		log, _ := runValues(t, s, tester, task, value("number", `a[$(printf %s "$DEPLOY_KEY" | rev >&2)]`))
		leaks(t, log)
		if !strings.Contains(log, "number") || strings.Contains(log, "the end") {
			t.Errorf("the log is %q", log)
		}
	})
}

// TestOtherParameters: who may run a task and not edit it gives it no other parameters, and none that changes what programs do. The refusal names
// the parameter, and nothing starts.
func TestOtherParameters(t *testing.T) {
	s := startServer(t, host.Off)
	tester := s.NewUser("tester")
	s.Grant(s.Project, tester, iam.Tester)
	r := s.NewRepository("others")
	r.Write(".cloudbuild/build.yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh: {inputs: {command: \"echo no parameter is used here\"}}\n")
	r.Commit("Use nothing")
	task := valueTask(t, s, r.URL(), "others")
	for _, name := range []string{
		"SHELLOPTS", "PS4", "BASH_ENV", "ENV", "LD_PRELOAD", "LD_AUDIT", "GIT_CONFIG_COUNT", "JAVA_TOOL_OPTIONS", "PERL5OPT", "GOFLAGS", "PATH", "PYTHONSTARTUP", "http_proxy",
		"npm_config_script_shell", "CB_BUILD_YAML_PATH", "EXTRA", // not defined
		"NODE_OPTIONS",        // defined, with the runtime setting
		"fixed", "DEPLOY_KEY", // defined, without it
		"BUILDNUMBER", "WORKSPACE", "ATELIER_MAVEN_SETTINGS", // the service's
		"BASH_FUNC_echo%%", "a b", "a=b", "",
	} {
		log, refusal := runValues(t, s, tester, task, value(name, "$(printf %s \"$DEPLOY_KEY\" | rev) "))
		if refusal == "" {
			t.Errorf("%q was taken:\n%s", name, log)
		}
		if name != "" && !strings.Contains(refusal, name) {
			t.Errorf("the refusal of %q does not name it: %s", name, refusal)
		}
	}
	// Who may edit the task may give them, since it could as well define them.
	for _, name := range []string{"EXTRA", "PS4", "NODE_OPTIONS", "fixed"} {
		if log, refusal := runValues(t, s, s.Developer, task, value(name, "x")); refusal != "" || !strings.Contains(log, "no parameter is used here") {
			t.Errorf("%s: %s\n%s", name, refusal, log)
		}
	}
}
