package container

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"atelier/internal/executor"
	"atelier/internal/executor/container/podmantest"
	"atelier/internal/plan"
)

func TestPull(t *testing.T) {
	t.Parallel()
	engine := podmantest.Start(t)
	t.Run("with and without credentials", func(t *testing.T) { t.Parallel(); testPull(t, engine) })
	t.Run("stopped", func(t *testing.T) { t.Parallel(); testPullStopped(t, engine) })
}

// from returns a step with an image.
func from(image string) plan.Step {
	step := script("echo ran")
	step.Image = image
	return step
}

func pulling(policy PullPolicy, credentials string) func(*Config) {
	return func(c *Config) { c.Pull, c.RegistryConfig = policy, credentials }
}

func testPull(t *testing.T, engine *podmantest.Engine) {
	registry := podmantest.StartRegistry(t)
	file := filepath.Join(t.TempDir(), "config.json")
	write := func(password string) {
		t.Helper()
		pair := base64.StdEncoding.EncodeToString([]byte(podmantest.RegistryUser + ":" + password))
		if err := os.WriteFile(file, fmt.Appendf(nil, `{"auths": {%q: {"auth": %q}}}`, registry.Host, pair), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("open up")
	missing := openBuild(t, newExecutor(t, engine, t.TempDir(), pulling(PullMissing, file)), executor.Build{})
	stranger := openBuild(t, newExecutor(t, engine, t.TempDir(), pulling(PullMissing, "")), executor.Build{})
	for _, s := range []*session{missing, stranger} {
		result, out := run(t, s, from(registry.Image))
		if result.ExitCode != 1 || !strings.HasPrefix(result.Reason, "the image "+registry.Image+" cannot be pulled: ") || strings.Contains(result.Reason+out, "open up") {
			t.Errorf("%+v\n%s", result, out)
		}
	}

	write(podmantest.RegistryPassword)
	if result, out := run(t, missing, from(registry.Image)); !result.Succeeded() || out != "Pulling the image "+registry.Image+".\nran\n" {
		t.Errorf("%+v\n%s", result, out)
	}
	asked := registry.Asked.Load()
	for _, s := range []*session{missing, stranger} { // the engine has it now
		if result, out := run(t, s, from(registry.Image)); !result.Succeeded() || out != "ran\n" {
			t.Errorf("%+v\n%s", result, out)
		}
	}
	if registry.Asked.Load() != asked {
		t.Error("an image that was there was pulled")
	}
	always := openBuild(t, newExecutor(t, engine, t.TempDir(), pulling(PullAlways, file)), executor.Build{})
	if result, out := run(t, always, from(registry.Image)); !result.Succeeded() || registry.Asked.Load() == asked {
		t.Errorf("%+v\n%s", result, out)
	}
	if result, _ := run(t, missing, from(registry.Host+"/team/other:1")); result.ExitCode != 1 || !strings.Contains(result.Reason, "cannot be pulled") {
		t.Errorf("%+v", result)
	}
}

func testPullStopped(t *testing.T, engine *podmantest.Engine) {
	reason := errors.New("somebody asked")
	ctx, cancel := context.WithCancelCause(t.Context())
	registry := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel(reason)
		<-r.Context().Done()
	}))
	defer registry.Close()
	defer registry.CloseClientConnections()
	s := openBuild(t, newExecutor(t, engine, t.TempDir(), pulling(PullMissing, "")), executor.Build{})
	step := from(strings.TrimPrefix(registry.URL, "http://") + "/team/slow:1")
	if result, err := s.Run(ctx, step, io.Discard); !errors.Is(err, reason) {
		t.Errorf("%+v, %v", result, err)
	}
}
