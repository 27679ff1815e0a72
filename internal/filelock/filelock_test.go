package filelock_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"atelier/internal/filelock"
)

// TestTry locks one file by all the names that it can have.
func TestTry(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, link, hard := filepath.Join(dir, "db"), filepath.Join(dir, "link"), filepath.Join(dir, "hard")
	held, err := filelock.Try(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink(path, link), os.Link(path, hard)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link, hard} {
		_, err := filelock.Try(name)
		e, ok := errors.AsType[*filelock.HeldError](err)
		if !ok || runtime.GOOS == "linux" && e.PID != 0 && e.PID != os.Getpid() {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := held.Unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := filelock.Try(hard)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Unlock(); err != nil {
		t.Error(err)
	}
}
