package local

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"atelier/internal/build"
	"atelier/internal/executor/container/podmantest"
)

// TestImages has a build without a server use the engine of the machine, and then none.
func TestImages(t *testing.T) {
	engine := podmantest.Start(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"Dockerfile": "FROM " + podmantest.Small + "\n",
		"build.yml":  "version: 2.0\nsteps:\n  BUILD:\n    - docker: {inputs: {command: \"docker build -t app .\\ndocker save -o app.tar app\"}}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := func() (Result, string) {
		var out bytes.Buffer
		result, err := Run(t.Context(), Config{Dir: dir, File: "build.yml", Display: Plain{&out}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
		return result, out.String()
	}
	t.Setenv("DOCKER_HOST", engine.Socket)
	if result, out := run(); result.State != build.Succeeded {
		t.Errorf("%+v\n%s", result, out)
	}
	if info, err := os.Stat(filepath.Join(dir, "app.tar")); err != nil || info.Size() == 0 {
		t.Error(err)
	}
	if left := engine.Images(t); len(left) > 0 {
		t.Errorf("the images %v are left in the engine", left)
	}
	t.Setenv("DOCKER_HOST", filepath.Join(dir, "none.sock"))
	if result, out := run(); result.State != build.Failed || !strings.Contains(out, "no container engine answers at "+dir+"/none.sock; start Docker or Podman, or set DOCKER_HOST") {
		t.Errorf("%+v\n%s", result, out)
	}
}
