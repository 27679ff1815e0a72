package executortest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"atelier/internal/executor"
	"atelier/internal/plan"
)

func testCaches(t *testing.T, make Maker) {
	e := make(t, t.TempDir())
	caches := []executor.Cache{{Tool: "go", Dir: t.TempDir()}, {Tool: "maven", Dir: t.TempDir()}, {Tool: "npm", Dir: t.TempDir()}}
	s, err := e.Open(t.Context(), executor.Build{
		Record: uuid.NewString(), Caches: caches, Env: []plan.Param{{Name: "MAVEN_OPTS", Value: "-Xmx1g"}, {Name: "GOCACHE", Value: "/own"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	run := func(command string, tools ...string) string {
		t.Helper()
		var out strings.Builder
		step := script(command)
		step.Caches = tools
		if result, err := s.Run(t.Context(), step, &out); err != nil || !result.Succeeded() {
			t.Fatalf("%s: %+v, %v\n%s", command, result, err, out.String())
		}
		return out.String()
	}
	run(`mkdir "$GOMODCACHE"; echo kept > "$GOMODCACHE/file"; test "$GOCACHE" = /own; test -z "$npm_config_cache"`, "go")
	if text, err := os.ReadFile(filepath.Join(caches[0].Dir, "mod", "file")); err != nil || string(text) != "kept\n" {
		t.Errorf("%q, %v", text, err)
	}
	run(`cat "$GOMODCACHE/file"; touch "$npm_config_cache/new"; test "$MAVEN_OPTS" = -Xmx1g`, "go", "npm", "yarn")
	if got := run(`repo=${MAVEN_OPTS%% *}; touch "${repo#-Dmaven.repo.local=}/pom"; echo "${MAVEN_OPTS##* }"`, "maven"); got != "-Xmx1g\n" {
		t.Errorf("%q", got)
	}
	for i, name := range []string{"mod/file", "pom", "new"} {
		if _, err := os.Stat(filepath.Join(caches[i].Dir, name)); err != nil {
			t.Error(err)
		}
	}
	run(`test -z "$GOMODCACHE$npm_config_cache"; ! test -e /npmcache/new`)
}
