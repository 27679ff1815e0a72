package lint

import (
	"os"
	"path/filepath"
	"testing"

	"atelier/internal/build"
)

// TestSamples: a parameter of the service without a sample would be the empty text, and a setting that needs one would be missing.
func TestSamples(t *testing.T) {
	t.Parallel()
	for _, name := range build.SystemParameters {
		if sampleOf[name] == "" {
			t.Errorf("%s has no sample", name)
		}
	}
}

func TestRoot(t *testing.T) {
	t.Parallel()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"build.yml":                        ".",
		"repo/build.yml":                   ".",
		".cloudbuild/build.yml":            ".",
		"repo/.cloudbuild/build.yml":       "repo",
		"repo/.cloudbuild/jobs/build.yml":  "repo",
		"../x/.cloudbuild/build.yml":       "../x",
		"/repo/.cloudbuild/build.yml":      "/repo",
		"/.cloudbuild/build.yml":           "/",
		"/repo/build.yml":                  ".",
		filepath.Join(wd, ".cloudbuild/b"): wd,
	} {
		if got := Root(file); got != want {
			t.Errorf("the root of %s is %s, want %s", file, got, want)
		}
	}
}
