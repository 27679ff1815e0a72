// Package needs finds the programs that tests cannot do without.
package needs

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Required is the environment variable in which `make test` lists the programs for want of which no test may be skipped.
const Required = "ATELIER_TEST_REQUIRE"

// Program returns where a program is: on the path under its name, or in one of the places, which may be patterns. Where it is
// not installed the test is skipped, unless it is required: then it fails.
func Program(t testing.TB, name string, places ...string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, place := range places {
		if found, _ := filepath.Glob(place); len(found) > 0 {
			return found[len(found)-1] // the newest version
		}
	}
	if slices.Contains(strings.Split(os.Getenv(Required), ","), name) {
		t.Fatalf("%s is required but not installed", name)
	}
	t.Skipf("%s is not installed; `make test` installs it", name)
	return ""
}
