package host

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"atelier/internal/executor"
	"atelier/internal/plan"
	"atelier/internal/source/sourcetest"
)

// swapForLinks swaps directories for links to another one, until what it returns is called. It stands for an accomplice to whom a step has
// given handles of what its directories are in, and has the rights of this process, which is the most that anybody could have.
func swapForLinks(t *testing.T, target string, dirs ...string) (stop func()) {
	t.Helper()
	parents := make([]int, len(dirs))
	for i, dir := range dirs {
		if err := errors.Join(os.MkdirAll(dir, 0o777), os.Symlink(target, dir+".link")); err != nil {
			t.Fatal(err)
		}
		parent, err := unix.Open(filepath.Dir(dir), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		parents[i] = parent
	}
	over := make(chan struct{})
	var attacker sync.WaitGroup
	attacker.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			for i, dir := range dirs {
				name := filepath.Base(dir)
				_ = unix.Renameat2(parents[i], name, parents[i], name+".link", unix.RENAME_EXCHANGE)
			}
		}
	})
	return sync.OnceFunc(func() {
		close(over)
		attacker.Wait()
		for _, parent := range parents {
			unix.Close(parent)
		}
	})
}

// untouched checks that a directory of somebody else has what it had.
func untouched(t *testing.T, dir string, want []string) {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		found = append(found, strings.TrimPrefix(path, dir)+" "+info.Mode().String())
		if !(owner{}).owns(info) {
			t.Errorf("%s has another owner", path)
		}
		return err
	})
	if err != nil || strings.Join(found, "\n") != strings.Join(want, "\n") {
		t.Errorf("outside there is %q, want %q, %v", found, want, err)
	}
}

// TestWorkspaceAgainstAnAttacker checks out, writes, reads and packs in workspaces whose directories somebody swaps for links all the time.
// What is done may fail; nothing outside is written to, read, or given to anybody.
func TestWorkspaceAgainstAnAttacker(t *testing.T) {
	t.Parallel()
	repositories := t.TempDir()
	app := sourcetest.New(t, repositories+"/app")
	app.Write("cron.d/owned", "new")
	app.Write("src/cron.d/owned", "new")
	app.Commit("app")
	executors := map[string]func() *Executor{
		"plain":   func() *Executor { return newExecutor(t, repositories) },
		"sandbox": func() *Executor { return newIsolated(t, repositories) },
	}
	for name, make := range executors {
		t.Run(name, func(t *testing.T) {
			e := make()
			outside := t.TempDir()
			if err := errors.Join(os.MkdirAll(outside+"/cron.d", 0o755), os.WriteFile(outside+"/secret", []byte("a secret"), 0o600)); err != nil {
				t.Fatal(err)
			}
			want := []string{" " + mode(t, outside), "/cron.d drwxr-xr-x", "/secret -rw-------"}
			done := 0
			for range 15 {
				s := openBuild(t, e)
				stop := swapForLinks(t, outside, s.path("workspace/src/cron.d"), s.path("workspace/src"), s.path("workspace"))
				for _, path := range []string{"", "src"} {
					result, err := s.Run(t.Context(), plan.Step{Checkout: &plan.Checkout{URL: app.URL(), Branch: "main", Path: path}}, &bytes.Buffer{})
					if err == nil && result.Succeeded() {
						done++
					}
				}
				for range 100 {
					_ = s.WriteFile(t.Context(), "src/cron.d/new", strings.NewReader("x"))
					if f, err := s.ReadFile("src/secret"); err == nil {
						f.Close()
						t.Error("a file outside was read")
					}
					var packed bytes.Buffer
					_ = s.Pack(t.Context(), "src", func(string) (bool, bool, error) { return false, false, nil }, &packed)
					if strings.Contains(packed.String(), "a secret") {
						t.Error("a file outside was packed")
					}
				}
				stop()
				if err := s.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
			untouched(t, outside, want)
			t.Logf("%d of 30 checkouts succeeded", done)
		})
	}
}

func mode(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().String()
}

// TestPrivateFilesAgainstAnAttacker writes private files and scripts of steps while somebody puts links in their places.
func TestPrivateFilesAgainstAnAttacker(t *testing.T) {
	t.Parallel()
	e := newIsolated(t, t.TempDir())
	outside := t.TempDir()
	if err := os.WriteFile(outside+"/file", []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openBuild(t, e)
	over := make(chan struct{})
	var attacker sync.WaitGroup
	attacker.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
				_ = os.Symlink(outside+"/file", s.path("private0"))
				_ = os.Link(outside+"/file", s.path("script"))
			}
		}
	})
	for range 300 {
		_ = errors.Join(s.writeOwn(t.Context(), "private0", "a secret"), s.writeOwn(t.Context(), scriptFile, "a script"))
	}
	close(over)
	attacker.Wait()
	info, err := os.Stat(outside + "/file")
	content, readErr := os.ReadFile(outside + "/file")
	if err != nil || readErr != nil || string(content) != "kept" || !(owner{}).owns(info) {
		t.Errorf("%q, %v, %v, %v", content, info, err, readErr)
	}
}

// TestCachesAgainstAnAttacker takes caches back while somebody puts links and files of others into them.
func TestCachesAgainstAnAttacker(t *testing.T) {
	t.Parallel()
	e := newIsolated(t, t.TempDir())
	outside := t.TempDir()
	if err := errors.Join(os.WriteFile(outside+"/secret", []byte("a secret"), 0o600), os.MkdirAll(outside+"/dir", 0o700)); err != nil {
		t.Fatal(err)
	}
	want := []string{" " + mode(t, outside), "/dir drwx------", "/secret -rw-------"}
	for range 100 {
		layer := filepath.Join(t.TempDir(), "layer")
		if err := errors.Join(os.MkdirAll(layer+"/a/dir", 0o755), os.WriteFile(layer+"/a/file", nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		s := openBuild(t, e)
		_, back, err := s.bring(t.Context(), executor.Cache{Tool: "npm", Dir: layer})
		if err != nil {
			t.Fatal(err)
		}
		brought := s.path("cache-npm")
		stop := swapForLinks(t, outside, brought+"/a/dir", brought+"/a")
		_ = os.Link(outside+"/secret", brought+"/linked")
		_ = back() // fails when the attacker is quick
		stop()
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	untouched(t, outside, want)
}
