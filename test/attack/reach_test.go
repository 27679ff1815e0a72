package attack_test

import (
	"os"
	"strings"
	"testing"

	"atelier/internal/executor/host"
)

// TestSandboxHidesTheServer looks, in a step, for all that a server has and no build may have: its key, its database, its memory,
// the files of other builds, the shadow file, sockets of services.
func TestSandboxHidesTheServer(t *testing.T) {
	everyUser(t, func(t *testing.T) {
		s := startServer(t, host.Auto)
		dir := s.Config.DataDir
		task := s.MakeTask("look", `
for path in `+dir+`/secret.key `+dir+`/atelier.db /etc/shadow /run/docker.sock /run/podman; do
	if [ -r "$path" ]; then echo "SEEN $path"; ls -la "$path"; fi
done
for process in /proc/[0-9]*; do
	if grep -qs atelier.db $process/cmdline || ls -l $process/fd 2>/dev/null | grep -q atelier.db; then echo "SEEN $process"; fi
done
if [ "$(id -u)" = 0 ]; then echo "SEEN root"; fi
if grep -q '^CapEff:.*[1-9a-f]' /proc/self/status; then grep Cap /proc/self/status; echo "SEEN privileges"; fi
echo done looking`)
		status, log := runBuild(t, s, task)
		if status != "SUCCESS" || !strings.Contains(log, "done looking") || strings.Contains(log, "SEEN") {
			t.Errorf("%s\n%s", status, log)
		}
		if _, err := os.Stat(dir + "/secret.key"); err != nil {
			t.Errorf("there was nothing to see: %v", err)
		}
	})
}
