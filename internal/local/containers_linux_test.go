package local

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"atelier/internal/build"
	"atelier/internal/executor/container"
	"atelier/internal/executor/container/podmantest"
)

// TestContainers runs the steps of a build in containers, in the user's directory, and stops one that does not want to end.
func TestContainers(t *testing.T) {
	engine := podmantest.Start(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"mine": "not committed\n",
		"build.yml": `version: 2.0
steps:
  BUILD:
    - sh:
        image: ` + podmantest.Small + `
        inputs:
          command: |
            echo "in $PWD: $(cat mine), $TOKEN, $(ls -d /home /root 2>&1 | grep -c No)"
            echo made > made
    - sh:
        image: ` + podmantest.Small + `
        inputs:
          command: exit $(cat made | wc -l)7
`,
		"endless.yml": `version: 2.0
steps:
  BUILD:
    - sh:
        image: ` + podmantest.Small + `
        inputs:
          command: |
            trap '' TERM
            echo began
            while :; do sleep 1; done
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	config := Config{
		Dir: dir, File: "build.yml", Private: []build.NameValue{{Name: "TOKEN", Value: "hunter2"}}, Log: slog.New(slog.DiscardHandler),
		Containers: &container.Config{Socket: engine.Socket, Pull: container.PullNever},
	}
	var out bytes.Buffer
	config.Display = Plain{&out}
	result, err := Run(t.Context(), config)
	if err != nil || result.State != build.Failed || result.ExitCode != 17 {
		t.Errorf("%+v, %v", result, err)
	}
	if want := "\nin " + dir + ": not committed, ******, 2\n"; !strings.Contains(out.String(), want) {
		t.Errorf("%s\nlacks %q", &out, want)
	}
	if made, err := os.ReadFile(filepath.Join(dir, "made")); string(made) != "made\n" {
		t.Errorf("%q, %v", made, err)
	}

	// Who asks twice waits for nothing.
	ctx, stop := context.WithCancel(t.Context())
	hurry := make(chan struct{})
	config.File, config.Hurry, config.Containers.Grace = "endless.yml", hurry, 1<<62
	config.Display = Plain{&awaited{text: "began", then: func() { stop(); close(hurry) }}}
	if result, err := Run(ctx, config); err != nil || result.State != build.Aborted {
		t.Errorf("%+v, %v", result, err)
	}
	if left := engine.Containers(t); len(left) > 0 {
		t.Errorf("the containers %v are left", left)
	}
}

// awaited calls a function when a text has come.
type awaited struct {
	text string
	then func()
	got  bytes.Buffer
}

func (a *awaited) Write(p []byte) (int, error) {
	a.got.Write(p)
	if strings.Contains(a.got.String(), a.text) && a.then != nil {
		a.then()
		a.then = nil
	}
	return len(p), nil
}
