//go:build linux

package crash_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"atelier/internal/executor/container/podmantest"
	"atelier/internal/source/sourcetest"
)

// containerFile is a build file whose last step runs a command in a container.
const containerFile = `version: 2.0
steps:
  PRE_BUILD:
    - checkout
  BUILD:
    - sh:
        inputs:
          command: |
            test "$(pwd)" = "$WORKSPACE"; test -e .cloudbuild/build.yml
            grep -q 'CapEff:.0000000000000000' /proc/self/status
            %s
`

// stubbornInside leaves a process that does not heed signals, and waits.
const stubbornInside = `setsid sh -c 'trap "" TERM INT HUP; exec sleep 100000' & echo waiting; wait`

// TestKillWithContainer kills the server while a step runs in a container.
func TestKillWithContainer(t *testing.T) {
	t.Parallel()
	engine := podmantest.Start(t)
	images := filepath.Join(t.TempDir(), "images.yml")
	if err := os.WriteFile(images, fmt.Appendf(nil, "default: tools\nimages: {tools: %s}\n", podmantest.Tools), 0o600); err != nil {
		t.Fatal(err)
	}
	repositories := t.TempDir()
	app := sourcetest.New(t, filepath.Join(repositories, "app"))
	app.Write(".cloudbuild/build.yml", fmt.Sprintf(containerFile, stubbornInside))
	app.Commit("one that waits")
	flags := []string{
		"--executor", "container", "--container-socket", engine.Socket, "--container-network", "none", "--images", images,
		"--pull-policy", "never", "--file-repositories", repositories,
	}

	in := install(t)
	s := in.start(flags...)
	job := s.makeTask("app", "", app.URL())
	b := s.run(job)
	before, err := s.follow(b, func(text string) bool { return strings.Contains(text, "] waiting\n") })
	if err != nil || !strings.Contains(before, "] waiting\n") {
		t.Fatalf("%v\n%s", err, before)
	}
	if got := engine.Containers(t); len(got) != 1 {
		t.Errorf("there are the containers %v, want one", got)
	}
	s.kill()

	s = in.start(flags...)
	if r := s.awaitEnd(b); r.Status != "FAILURE" || !strings.Contains(r.ErrMsg, "server that ran the build") {
		t.Errorf("the record does not say what happened: %+v", r)
	}
	if got := engine.Containers(t); len(got) != 0 {
		t.Errorf("the build has left the containers %v", got)
	}
	wantNothingLeft(t, in)
	app.Write(".cloudbuild/build.yml", fmt.Sprintf(containerFile, "echo done"))
	app.Commit("one that ends")
	next := s.run(job)
	if r := s.awaitEnd(next); r.Status != "SUCCESS" {
		t.Errorf("%+v\n%s", r, s.log(next))
	}

	app.Write(".cloudbuild/build.yml", strings.Replace(fmt.Sprintf(containerFile, "true"), "    - sh:", "    - sh:\n        image: cloudbuild@cobol", 1))
	app.Commit("one with an image that is not there")
	refused := s.run(job)
	if r := s.awaitEnd(refused); r.Status != "SCHEDULE_FAILURE" || !strings.Contains(r.ErrMsg, `there is no image called "cobol" here; there are tools.`) {
		t.Errorf("%+v", r)
	}
	s.stop()
	wantNothingLeft(t, in)
}
