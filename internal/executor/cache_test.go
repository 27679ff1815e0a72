package executor_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/executor"
)

func TestCacheEnviron(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		tool, dir string
		env, want []string
	}{
		{"go", "/c/go-0", []string{"A=1"}, []string{"A=1", "GOMODCACHE=/c/go-0/mod", "GOCACHE=/c/go-0/build"}},
		{"go", "/c", []string{"GOCACHE=/own", "XGOMODCACHE=/x"}, []string{"GOCACHE=/own", "XGOMODCACHE=/x", "GOMODCACHE=/c/mod"}},
		{"npm", "/a b", nil, []string{"npm_config_cache=/a b"}},
		{"maven", "/c", nil, []string{"MAVEN_OPTS=-Dmaven.repo.local=/c"}},
		{"maven", "/c", []string{"MAVEN_OPTS=-Dmaven.repo.local=/own"}, []string{"MAVEN_OPTS=-Dmaven.repo.local=/c -Dmaven.repo.local=/own"}}, // the last counts
		{"maven", "/a b", []string{"A=1"}, []string{"A=1"}},
		{"unheard-of", "/c", []string{"A=1"}, []string{"A=1"}},
	} {
		before := append([]string(nil), test.env...)
		got := executor.Cache{Tool: test.tool, Dir: test.dir}.Environ(test.env, test.dir)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s in %s: %s", test.tool, test.dir, diff)
		}
		if diff := cmp.Diff(before, append([]string(nil), test.env...)); diff != "" {
			t.Errorf("the build's environment was changed: %s", diff)
		}
	}
}
