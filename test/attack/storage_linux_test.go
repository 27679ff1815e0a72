package attack_test

import (
	"strings"
	"testing"

	"atelier/internal/build"
	"atelier/internal/executor/host"
	"atelier/internal/server"
)

// TestUploadsAreBounded uploads files that cost a step nothing to make: one that is too large, some that are too many together, and some
// that other builds of the project have left no room for.
func TestUploadsAreBounded(t *testing.T) {
	s := startServer(t, host.Off, func(c *server.Config) {
		c.ArtifactLimits = build.ArtifactLimits{File: 4 << 20, Build: 6 << 20, Project: 9 << 20}
	})
	upload := func(name string, sizes ...string) (status, log string) {
		t.Helper()
		command := "mkdir out"
		for i, size := range sizes {
			command += "; truncate -s " + size + " out/" + name + string(rune('a'+i))
		}
		r := s.NewRepository(name)
		r.Write(".cloudbuild/build.yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh: {inputs: {command: '"+command+"'}}\n"+
			"    - upload_artifact: {inputs: {path: 'out/*', version: '1'}}\n")
		r.Commit(name)
		return runBuild(t, s, fileTask(t, s, name, r.URL()))
	}
	for _, test := range []struct {
		name   string
		sizes  []string
		status string
		says   string
	}{
		{"large", []string{"5M"}, "FAILURE", "--artifact-file-limit"},
		{"fits", []string{"3M", "3M"}, "SUCCESS", ""},
		{"endless", []string{"8E"}, "FAILURE", ""}, // or the file system takes none of that size
		{"many", []string{"2M", "2M", "2M", "2M"}, "FAILURE", "--artifact-"},
		{"full", []string{"4M"}, "FAILURE", "--artifact-project-limit"},
		{"small", []string{"1K"}, "SUCCESS", ""},
	} {
		if status, log := upload(test.name, test.sizes...); status != test.status || !strings.Contains(log, test.says) {
			t.Errorf("%s: %s\n%s", test.name, status, log)
		}
	}
}
