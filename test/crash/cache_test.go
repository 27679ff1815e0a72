package crash_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"atelier/internal/source/sourcetest"
)

// countBuilds changes files of a cache in place, and waits between two that belong together when it is told to.
const countBuilds = `version: 2.0
steps:
  BUILD:
    - python:
        inputs:
          command: |
            cd "$PIP_CACHE_DIR"
            touch one two
            echo x >> one
            if [ -e "$HOLD" ]; then echo "it waits"; sleep 100000; fi
            echo x >> two
            cmp one two && echo "$(wc -l < one) builds"
`

// TestKillWithCache kills the server while a build changes its cache, and checks that the next build finds it as the last that succeeded
// left it.
func TestKillWithCache(t *testing.T) {
	t.Parallel()
	repositories, hold := t.TempDir(), filepath.Join(t.TempDir(), "hold")
	in := install(t)
	repo := sourcetest.New(t, filepath.Join(repositories, "app"))
	repo.Write(".cloudbuild/build.yml", strings.ReplaceAll(countBuilds, "$HOLD", hold))
	repo.Commit("init")
	s := in.start("--file-repositories", repositories)
	job := s.makeTask("count", "", repo.URL())
	succeeds := func(want string) {
		t.Helper()
		b := s.run(job)
		if r := s.awaitEnd(b); r.Status != "SUCCESS" || !strings.Contains(s.log(b), want) {
			t.Errorf("%+v, and %q is to be there:\n%s", r, want, s.log(b))
		}
	}
	succeeds("1 builds")
	if err := os.WriteFile(hold, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b := s.run(job)
	if _, err := s.follow(b, func(text string) bool { return strings.Contains(text, "it waits") }); err != nil {
		t.Fatal(err)
	}
	s.kill()
	if err := os.Remove(hold); err != nil {
		t.Fatal(err)
	}

	s = in.start("--file-repositories", repositories)
	succeeds("2 builds")
	if list := strings.Join(strings.Fields(in.admin("cache", "list")), " "); !strings.Contains(list, "USED web pip true ") {
		t.Errorf("the caches are\n%s", list)
	}
	in.admin("cache", "clear", "--tool", "pip")
	succeeds("1 builds")
	if left, err := os.ReadDir(filepath.Join(in.dir, "caches", "layers")); err != nil || len(left) != 0 {
		t.Error(left, err)
	}
	s.stop()
}
