package container

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"atelier/internal/executor"
	"atelier/internal/executor/container/podmantest"
	"atelier/internal/executor/executortest"
	"atelier/internal/source"
	"atelier/internal/source/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testImages is a catalogue of the images that the test's engine has.
func testImages() *Catalogue {
	return &Catalogue{Default: "tools", Keywords: map[string]string{"npm": "small"}, Images: map[string]string{"tools": podmantest.Tools, "small": podmantest.Small}}
}

// newExecutor returns an executor in a directory of the test, with a short grace. At the end nothing of a build may be left.
func newExecutor(t testing.TB, engine *podmantest.Engine, repositories string, options ...func(*Config)) *Executor {
	t.Helper()
	dir := t.TempDir()
	git, err := source.New(source.Config{
		Policy: source.Policy{FileRoots: []string{repositories}}, Dir: filepath.Join(dir, "mirrors"), Environ: sourcetest.Environ(os.DevNull),
	})
	if err != nil {
		t.Fatal(err)
	}
	config := Config{
		Dir: filepath.Join(dir, "builds"), Source: git, Path: os.Getenv("PATH"), Grace: 2 * time.Second,
		Socket: engine.Socket, Network: "none", Images: testImages(), Pull: PullNever,
	}
	for _, option := range options {
		option(&config)
	}
	e, err := New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if entries, err := os.ReadDir(config.Dir); err != nil || len(entries) > 0 {
			t.Errorf("the executor left %v behind, %v", entries, err)
		}
	})
	return e
}

func TestContract(t *testing.T) {
	t.Parallel()
	engine := podmantest.Start(t)
	executortest.Run(t, func(t *testing.T, repositories string) executor.Executor { return newExecutor(t, engine, repositories) })
}
