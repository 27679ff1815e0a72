package container

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"atelier/internal/dialer"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

func TestRegistriesOfBuilds(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(config, []byte(`{"auths": {"https://127.0.0.3:5000/v2/": {}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := registries{dialer.New("--repository-networks", dialer.Private), config, registriesOf(map[string]string{"tools": "127.0.0.2:5000/tools:1", "base": "alpine"})}
	for registry, open := range map[string]bool{
		plan.DockerHub: true, "10.1.2.3:5000": true, "10.1.2.3": true, "8.8.8.8": true, "127.0.0.2:5000": true, "127.0.0.3:5000": true,
		"127.0.0.1:5000": false, "127.0.0.2:22": false, "127.0.0.3": false, "localhost": false, "localhost:5000": false, "127.1": false, "2130706433:80": false, "169.254.169.254": false, "0.0.0.0:5000": false, "[::1]:5000": false, "[::1]": false,
	} {
		err := r.check(t.Context(), registry)
		if (err == nil) != open || err != nil && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "--repository-networks")) {
			t.Errorf("%s: %v", registry, err)
		}
	}
	if err := (registries{}).check(t.Context(), "127.0.0.1"); err != nil {
		t.Errorf("without a dialer: %v", err)
	}
}

// TestRegistriesOfDockerfiles: what a Dockerfile begins with and copies from comes from registries too.
func TestRegistriesOfDockerfiles(t *testing.T) {
	t.Parallel()
	b := bases{args: make(map[string]string), stages: make(map[string]bool)}
	for line := range strings.Lines("ARG HOST=127.0.0.1:5000\nFROM ${HOST}/a AS one\nFROM --platform=linux/amd64 127.0.0.2/b\nCOPY --from=one / /\nCOPY --from=127.0.0.3:1/c / /\nFROM one\n") {
		b.line(line)
	}
	if got := strings.Join(b.registries, " "); got != "127.0.0.1:5000 127.0.0.2 127.0.0.3:1" {
		t.Error(got)
	}
}
