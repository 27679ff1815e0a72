package api_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"atelier/internal/server/servertest"
)

// checkFiles checks that nothing that the server stores holds a text.
func checkFiles(t *testing.T, s *servertest.Server, text string) {
	t.Helper()
	eachFile(t, s, func(path string, content []byte) {
		if bytes.Contains(content, []byte(text)) {
			t.Errorf("%s holds %q", path, text)
		}
	})
}

// eachFile calls do for everything that the server keeps. All builds are over, and it waits until their directories have gone, which is a moment
// later.
func eachFile(t *testing.T, s *servertest.Server, do func(path string, content []byte)) {
	t.Helper()
	for begun := time.Now(); hasBuilds(t, s); time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("directories of builds are left")
		}
	}
	err := filepath.WalkDir(s.Config.DataDir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // for the next build, or none
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if !errors.Is(err, fs.ErrNotExist) {
			do(path, content)
			return err
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// hasBuilds reports whether there are directories of builds, other than those for builds that are still to come.
func hasBuilds(t *testing.T, s *servertest.Server) bool {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.Config.DataDir, "builds"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), "spare-") {
			return true
		}
	}
	return false
}
