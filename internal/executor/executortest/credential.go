package executortest

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	"atelier/internal/executor"
	"atelier/internal/plan"
	"atelier/internal/source"
	"atelier/internal/source/sourcetest"
)

// testSettings checks that the settings of a step are there while it runs, and nowhere else.
func testSettings(t *testing.T, make Maker) {
	b := open(t, make(t, t.TempDir()))
	run := func(command, settings string) string {
		t.Helper()
		step, out := script(command), waitFor("")
		if settings != "" {
			step.Script.Private = []plan.PrivateFile{{Variable: plan.SettingsVariable, Content: settings}}
		}
		result, err := b.session.Run(t.Context(), step, out)
		if err != nil || !result.Succeeded() {
			t.Fatalf("%s: %+v, %v\n%s", command, result, err, out)
		}
		return out.String()
	}
	const show = `cat "$ATELIER_MAVEN_SETTINGS"; stat -c ' %a' "$ATELIER_MAVEN_SETTINGS"; echo "$ATELIER_MAVEN_SETTINGS" > where`
	if out := run(show, "<settings>1</settings>"); out != "<settings>1</settings> 600\n" {
		t.Errorf("the step has %q", out)
	}
	if out := run(`test -z "${ATELIER_MAVEN_SETTINGS+x}"; test ! -e "$(cat where)"; for d in . "$HOME" "$TMPDIR"; do (cd "$d"; ls -A); done | grep private || true`, ""); out != "" {
		t.Errorf("the next step has %q", out)
	}
	if out := run(show, "<settings>2</settings>"); out != "<settings>2</settings> 600\n" {
		t.Errorf("the last step has %q", out)
	}
}

// testCredential checks that a checkout is opened by the credential of its endpoint, and that nothing of that is left for steps.
func testCredential(t *testing.T, make Maker) {
	const password = "correct-horse"
	repositories := t.TempDir()
	e := make(t, repositories)
	app := sourcetest.New(t, repositories+"/app")
	app.Write("app.txt", "one")
	app.Commit("one")
	server := httptest.NewServer(sourcetest.Guarded("robot", password, sourcetest.Handler(t, repositories)))
	t.Cleanup(server.Close)
	credentials := map[string]source.Credential{
		"ours":  {Name: "ours", URL: server.URL, User: "robot", Password: password},
		"stale": {Name: "stale", URL: server.URL, User: "robot", Password: "battery"},
	}
	record := uuid.NewString()
	s, err := e.Open(t.Context(), executor.Build{Record: record, Credentials: credentials})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	checkout := func(endpoint, dir string) (executor.Result, string) {
		t.Helper()
		out := waitFor("")
		spec := plan.Checkout{URL: server.URL + "/app", Branch: "main", Depth: 1, Path: dir}
		result, err := s.Run(t.Context(), plan.Step{Name: "checkout", EndpointID: endpoint, Checkout: &spec}, out)
		if err != nil {
			t.Fatal(err)
		}
		return result, out.String()
	}
	if result, out := checkout("", "none"); result.Succeeded() || !strings.Contains(result.Reason, "endpoint_id") {
		t.Errorf("without an endpoint: %+v\n%s", result, out)
	}
	if result, out := checkout("stale", "stale"); result.Succeeded() || !strings.Contains(result.Reason, `the password of the service endpoint "stale" is wrong`) {
		t.Errorf("with a wrong password: %+v\n%s", result, out)
	}
	if result, out := checkout("ours", "app"); !result.Succeeded() || strings.Contains(out, password) {
		t.Errorf("with the endpoint: %+v\n%s", result, out)
	}
	out := waitFor("")
	// What git is given is gone: nothing in the files, the variables and the processes that a step sees.
	result, err := s.Run(t.Context(), script(`test "$(cat app/app.txt)" = one; env; grep -r horse . "$HOME" && exit 1; cat app/.git/config`), out)
	if err != nil || !result.Succeeded() || strings.Contains(out.String(), "horse") || strings.Contains(out.String(), "helper") {
		t.Errorf("a step finds the credential: %+v, %v\n%s", result, err, out)
	}
}
