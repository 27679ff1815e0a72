package executor_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"atelier/internal/executor"
)

// attacked returns a workspace below which somebody swaps directories for links to a directory outside, until stop is called.
func attacked(t *testing.T) (files executor.Directory, outside string, stop func()) {
	t.Helper()
	dir := t.TempDir()
	outside = filepath.Join(dir, "outside")
	workspace := filepath.Join(dir, "build", "workspace")
	for _, d := range []string{outside + "/sub", workspace + "/dir/sub"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"/file", "/sub/file"} {
			content := "mine"
			if strings.HasPrefix(d, outside) {
				content = "secret"
			}
			if err := os.WriteFile(strings.TrimSuffix(d, "/sub")+name, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	parent, err := os.OpenRoot(filepath.Join(dir, "build"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { parent.Close() })
	swapped := map[string]string{workspace: outside, workspace + "/dir": outside, workspace + "/dir/sub": outside + "/sub"}
	for at, target := range swapped {
		if err := os.Symlink(target, at+".link"); err != nil {
			t.Fatal(err)
		}
	}
	over := make(chan struct{})
	var attacker sync.WaitGroup
	attacker.Go(func() {
		for {
			for at := range swapped {
				select {
				case <-over:
					return
				default:
				}
				for range 2 {
					_ = unix.Renameat2(unix.AT_FDCWD, at, unix.AT_FDCWD, at+".link", unix.RENAME_EXCHANGE)
				}
			}
		}
	})
	return executor.Directory{Parent: parent, Name: "workspace"}, outside, func() {
		close(over)
		attacker.Wait()
	}
}

// TestFilesAgainstAnAttacker reads, writes and packs files while somebody swaps the directories that lead to them, and the workspace, for
// links to others. Each try may fail, and none may come to the others.
func TestFilesAgainstAnAttacker(t *testing.T) {
	t.Parallel()
	files, outside, stop := attacked(t)
	var done, failed int
	for range 3000 {
		if files.WriteFile(t.Context(), "dir/sub/new/file", strings.NewReader("x")) == nil {
			done++
		} else {
			failed++
		}
		f, err := files.ReadFile("dir/sub/file")
		if err == nil {
			content, err := io.ReadAll(f)
			if err = errors.Join(err, f.Close()); err != nil || string(content) == "secret" {
				t.Fatalf("%q, %v", content, err)
			}
			done++
		}
		var packed bytes.Buffer
		if files.Pack(t.Context(), "dir", func(string) (bool, bool, error) { return false, false, nil }, &packed) == nil {
			done++
		}
		if bytes.Contains(packed.Bytes(), []byte("secret")) {
			t.Fatal("a file outside was packed")
		}
	}
	stop()
	if done == 0 || failed == 0 {
		t.Errorf("%d tries worked, and %d writes did not", done, failed)
	}
	var found []string
	err := filepath.WalkDir(outside, func(path string, _ os.DirEntry, err error) error {
		found = append(found, strings.TrimPrefix(path, outside))
		return err
	})
	if err != nil || len(found) != 4 {
		t.Errorf("outside there is %q, %v", found, err)
	}
}
