package podmantest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"atelier/internal/needs"
)

// Distribution is a registry that images can be pushed to, for who has the credentials: a program of its own.
type Distribution struct{ Host string }

// StartDistribution starts a registry that ends with the test.
func StartDistribution(t testing.TB) *Distribution {
	t.Helper()
	program := needs.Program(t, "docker-registry")
	dir := t.TempDir()
	hash, err := bcrypt.GenerateFromPassword([]byte(RegistryPassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	r := &Distribution{Host: needs.FreeAddress(t)}
	for name, text := range map[string]string{
		"htpasswd": RegistryUser + ":" + string(hash) + "\n",
		"config.yml": fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %[1]s/data}}\nhttp: {addr: %[2]q}\n"+
			"auth: {htpasswd: {realm: test, path: %[1]s/htpasswd}}\n", dir, r.Host),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := exec.CommandContext(context.Background(), program, "serve", filepath.Join(dir, "config.yml"))
	server.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	needs.Listener(t, r.Host)
	return r
}

// Config returns a file with the registry's credentials, in the form of Docker's config.json.
func (r *Distribution) Config(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.json")
	auths := map[string]any{r.Host: map[string][]byte{"auth": []byte(RegistryUser + ":" + RegistryPassword)}}
	if err := os.WriteFile(file, marshal(t, map[string]any{"auths": auths}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Digest returns the digest of an image's manifest, and the labels of its configuration; no digest when there is no such image.
func (r *Distribution) Digest(t testing.TB, name, tag string) (digest string, labels map[string]string) {
	t.Helper()
	var manifest struct{ Config struct{ Digest string } }
	header, found := r.get(t, name+"/manifests/"+tag, &manifest)
	if !found {
		return "", nil
	}
	var config struct {
		Config struct{ Labels map[string]string } `json:"config"`
	}
	r.get(t, name+"/blobs/"+manifest.Config.Digest, &config)
	return header.Get("Docker-Content-Digest"), config.Config.Labels
}

func (r *Distribution) get(t testing.TB, path string, into any) (http.Header, bool) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.Host+"/v2/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(RegistryUser, RegistryPassword)
	request.Header.Add("Accept", "application/vnd.oci.image.manifest.v1+json")
	request.Header.Add("Accept", "application/vnd.docker.distribution.manifest.v2+json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode == http.StatusNotFound {
		return nil, false
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %s: %v", path, data, err)
	}
	return answer.Header, true
}

// Images returns the names of all images of the engine that have not come with it, also of those without a name.
func (e *Engine) Images(t testing.TB) (names []string) {
	t.Helper()
	var all []struct{ Names []string }
	if err := json.Unmarshal([]byte(e.Podman(t, "images", "--all", "--format", "json")), &all); err != nil {
		t.Fatal(err)
	}
	for _, image := range all {
		if len(image.Names) == 0 {
			names = append(names, "<none>")
		}
		for _, name := range image.Names {
			if name != Tools && name != Small {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names) // an image is listed once for each of its names, each time with all of them
	return slices.Compact(names)
}
