//go:build linux

package attack_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"atelier/internal/executor/host"
	"atelier/internal/server/servertest"
)

// plant is a script that puts into a workspace all that could lead git astray when it works there as the server's user.
const plant = `set -e
obey() { # what git runs when it takes a repository for its own
	git -C "$1" config core.fsmonitor "touch %[1]s/obeyed; false"
	git -C "$1" config core.hooksPath "$PWD/hooks"
	git -C "$1" config core.sshCommand "touch %[1]s/obeyed"
	git -C "$1" config filter.planted.smudge "touch %[1]s/obeyed; cat"
	git -C "$1" config alias.checkout "!touch %[1]s/obeyed"
	mkdir -p "$1/.git/info"
	echo '* filter=planted' > "$1/.git/info/attributes"
}
mkdir -p hooks submodule/lib planted/.git
printf '#!/bin/sh\ntouch %[1]s/obeyed\n' > hooks/post-checkout
chmod +x hooks/post-checkout
obey .
git init --quiet submodule/lib
obey submodule/lib
mkdir -p submodule/.git.old
ln -s %[1]s linked
ln -s / root
mkdir gitfile
echo "gitdir: $PWD/.git" > gitfile/.git
`

// plantedTask makes a task that plants, and then checks the same repository out to a path.
func plantedTask(t *testing.T, s *servertest.Server, name, path, target string) string {
	t.Helper()
	repo := s.NewRepository(name)
	lib := s.NewRepository(name + "-lib")
	lib.Write("lib.txt", "library")
	lib.Commit("library")
	repo.Write("plant.sh", fmt.Sprintf(plant, target))
	repo.Write("cron.d/owned", "owned")
	repo.Git("submodule", "--quiet", "add", "../"+name+"-lib", "lib")
	repo.Write(".cloudbuild/build.yml", `version: 2.0
steps:
  PRE_BUILD:
    - checkout: {inputs: {branch: main}}
    - sh: {inputs: {command: "sh plant.sh"}}
    - checkout: {inputs: {scm: codehub, url: "`+repo.URL()+`", branch: main, path: "`+path+`", submodule: true}}
  BUILD:
    - sh: {inputs: {command: "cat `+path+`/lib/lib.txt"}}
`)
	repo.Commit("planted")
	return fileTask(t, s, name, repo.URL())
}

// TestCheckoutIntoAPlantedTree checks out where a step has put repositories that git would obey, and links that lead out.
func TestCheckoutIntoAPlantedTree(t *testing.T) {
	everyUser(t, func(t *testing.T) {
		for _, sandbox := range []host.Want{host.Auto, host.Off} {
			t.Run("sandbox "+string(sandbox), func(t *testing.T) {
				s := startServer(t, sandbox)
				for path, want := range map[string]string{
					"submodule": "SUCCESS", "new/below": "SUCCESS", "hooks/below": "SUCCESS",
					"linked": "leads out of the workspace", "linked/below": "leads out of the workspace", "root/tmp": "leads out of the workspace",
					"planted": "already a repository", "gitfile": "already a repository",
				} {
					target := t.TempDir()
					status, log := runBuild(t, s, plantedTask(t, s, "plant-"+strings.ReplaceAll(path, "/", "-"), path, target))
					if status != want && !strings.Contains(log, want) {
						t.Errorf("%s: %s\n%s", path, status, log)
					}
					if left, err := os.ReadDir(target); err != nil || len(left) > 0 {
						t.Errorf("%s: outside of the workspace there is %v, %v", path, left, err)
					}
				}
			})
		}
	})
}
