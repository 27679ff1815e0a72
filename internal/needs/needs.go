// Package needs finds the programs that tests cannot do without.
package needs

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
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

// Skip skips a test for want of something that cannot be installed, unless it is required: then it fails.
func Skip(t testing.TB, what string, why any) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv(Required), ","), what) {
		t.Fatalf("%s are required but cannot be used: %v", what, why)
	}
	t.Skip(why)
}

// FreeAddress returns an address of this machine that nobody listens on.
func FreeAddress(t testing.TB) string {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// Listener waits until a program listens on an address, which is no event that could be awaited.
func Listener(t testing.TB, address string) {
	t.Helper()
	var dialer net.Dialer
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody listens on %s: %v", address, err)
		}
	}
}
