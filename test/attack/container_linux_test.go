//go:build linux

package attack_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"atelier/internal/dialer"
	"atelier/internal/executor/container"
	"atelier/internal/executor/container/podmantest"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// startContainers starts a server whose steps run in containers of an image with the usual tools, without a network.
func startContainers(t *testing.T, options ...func(*server.Config)) *servertest.Server {
	t.Helper()
	engine := podmantest.Start(t)
	file := filepath.Join(t.TempDir(), "images.yml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "default: tools\nimages: {tools: %s}\n", podmantest.Tools), 0o600); err != nil {
		t.Fatal(err)
	}
	images, err := container.ReadCatalogue(file)
	if err != nil {
		t.Fatal(err)
	}
	walls := func(c *server.Config) {
		c.Containers = &container.Config{Socket: engine.Socket, Network: "none", Images: images, Pull: container.PullNever}
	}
	return servertest.Start(t, append([]func(*server.Config){walls}, options...)...)
}

// TestContainerHidesTheServer looks, in a container, for what a server has, and for what another build has left there.
func TestContainerHidesTheServer(t *testing.T) {
	s := startContainers(t)
	look := s.MakeTask("look", `
for path in `+s.Config.DataDir+`/secret.key `+s.Config.DataDir+`/atelier.db /run/docker.sock /run/podman /tmp/left /var/tmp/left /dev/shm/left; do
	if [ -e "$path" ]; then echo "SEEN $path"; fi
done
if grep -q '^CapEff:.*[1-9a-f]' /proc/self/status; then echo "SEEN privileges"; fi
if grep -q '^NoNewPrivs:.*0' /proc/self/status; then echo "SEEN ways to new privileges"; fi
for process in /proc/[0-9]*; do
	if grep -qs 'a process that stays' $process/cmdline; then echo "SEEN $process"; fi
done
echo done looking`)
	leave := s.MakeTask("leave", `
for dir in /tmp /var/tmp /dev/shm; do : > $dir/left || true; done
(setsid sh -c 'trap "" TERM INT HUP; sleep 1000; : a process that stays' > /dev/null 2>&1 &)
echo done leaving`)
	for range 2 {
		if status, log := runBuild(t, s, leave); status != "SUCCESS" || !strings.Contains(log, "done leaving") {
			t.Fatalf("%s\n%s", status, log)
		}
		if status, log := runBuild(t, s, look); status != "SUCCESS" || !strings.Contains(log, "done looking") || strings.Contains(log, "SEEN") {
			t.Errorf("%s\n%s", status, log)
		}
	}
}

// TestRegistriesInside names a service on the machine of the server as the registry of a step's image. The engine is not asked for it.
func TestRegistriesInside(t *testing.T) {
	open, connections := insider(t)
	s := startContainers(t, func(c *server.Config) {
		c.RepositoryNetworks = dialer.Private
		c.Containers.Pull = container.PullMissing
	})
	repo := s.NewRepository("app")
	repo.Write(".cloudbuild/build.yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh: {image: \""+open+"/app:1\", inputs: {command: \"true\"}}\n")
	repo.Commit("an image inside")
	status, log := runBuild(t, s, fileTask(t, s, "inside", repo.URL()))
	if status == "SUCCESS" || !strings.Contains(log, "--repository-networks") {
		t.Errorf("%s\n%s", status, log)
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections came to the service inside", n)
	}
}
