//go:build linux

package attack_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"atelier/internal/executor/host"
	"atelier/internal/needs"
	"atelier/internal/server/servertest"
)

// hardToRemove are commands that leave what cannot be removed by its path, by its owner, or without many descriptors.
var hardToRemove = map[string]string{
	"deep":           `perl -e 'for (1..8000) { mkdir "d" or die; chdir "d" or die }'`,
	"without rights": `mkdir -p a/b/c && : > a/b/c/file && chmod 0 a/b/c && chmod 0 a/b && chmod 0 a && chmod 0 .`,
	"deep, without rights": `perl -e 'for (1..2000) { mkdir "d" or die; chdir "d" or die }' &&
perl -e 'for (1..2000) { $e = $_; chdir "d" or die } for (1..2000) { chdir ".." or die; chmod 0000, "d" or die }'`,
	"in place of the script": `rm -f ../script && mkdir -p ../script/d && : > ../script/d/file && chmod 0 ../script/d`,
	"links and pipes":        `ln -s / root && ln -s ../../.. up && mkfifo pipe && mkdir dir && ln -s / dir/root`,
}

// buildsLeft returns what builds have left in the data directory.
func buildsLeft(t *testing.T, s *servertest.Server) (left []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.Config.DataDir, "builds"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "spare-") && !strings.HasPrefix(e.Name(), "settings-") { // the second is what sandboxes have as /etc
			left = append(left, e.Name())
		}
	}
	return left
}

// awaitRemoved waits until builds have left nothing.
func awaitRemoved(t *testing.T, s *servertest.Server) {
	t.Helper()
	for end := time.Now().Add(patience); len(buildsLeft(t, s)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("left: %q", buildsLeft(t, s))
		}
	}
}

// TestWhatBuildsLeaveIsRemoved runs builds that leave what is hard to remove, ends them, and starts the server again.
func TestWhatBuildsLeaveIsRemoved(t *testing.T) {
	needs.Program(t, "perl")
	everyUser(t, func(t *testing.T) {
		for _, sandbox := range []host.Want{host.Auto, host.Off} {
			t.Run("sandbox "+string(sandbox), func(t *testing.T) {
				s := startServer(t, sandbox)
				for name, command := range hardToRemove {
					t.Run(name, func(t *testing.T) {
						status, log := runBuild(t, s, s.MakeTask("leave-"+strings.NewReplacer(",", "", " ", "-").Replace(name), command))
						if status != "SUCCESS" {
							t.Fatalf("%s\n%s", status, log)
						}
						awaitRemoved(t, s)
					})
				}
				s.Restart()
				if status, log := runBuild(t, s, s.MakeTask("after", "echo ok")); status != "SUCCESS" {
					t.Errorf("%s\n%s", status, log)
				}
			})
		}
	})
}
