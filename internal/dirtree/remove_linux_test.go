package dirtree_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"atelier/internal/dirtree"
)

// asPlainUser is set in the process that runs a test again as a user that is not root.
const asPlainUser = "ATELIER_DIRTREE_AS_PLAIN_USER"

// everyUser runs a test as the present user and, where that is root, also as a plain one.
func everyUser(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	if os.Geteuid() != 0 || os.Getenv(asPlainUser) != "" {
		test(t)
		return
	}
	t.Run("root", test)
	t.Run("plain user", func(t *testing.T) {
		scratch, err := os.MkdirTemp("", "dirtree-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = dirtree.RemoveAll(context.Background(), scratch) })
		const user = 23456
		if err := os.Chown(scratch, user, user); err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(t.Name(), "/")
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+name+"$", "-test.v")
		cmd.Env, cmd.Dir = append(os.Environ(), asPlainUser+"=1", "TMPDIR="+scratch), scratch
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: "+name) {
			t.Errorf("as a plain user: %v\n%s", err, out)
		}
	})
}

// logged is a log that can be read.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// openTrash returns a directory that is to be removed from, and a trash beside it.
func openTrash(t *testing.T, log *logged) (*dirtree.Dir, *dirtree.Trash) {
	t.Helper()
	dir := t.TempDir()
	trash, err := dirtree.OpenTrash(dir, "leftover-", slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = trash.Close() })
	return trash.Dir(), trash
}

func mustMkdir(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustWrite(t *testing.T, path, content string) {
	t.Helper()
	mustMkdir(t, filepath.Dir(path))
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}

// nest makes directories in directories, with a file in each.
func nest(t *testing.T, dir string, depth int, mode uint32) {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range depth {
		if err := unix.Mkdirat(fd, "d", 0o700); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(fd, "d", unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		fd = next
	}
	unix.Close(fd)
	if mode != 0 {
		if err := os.Chmod(filepath.Join(dir, "d"), fs.FileMode(mode)); err != nil {
			t.Fatal(err)
		}
	}
}

// handles counts the descriptors of this process.
func handles(t *testing.T) int {
	t.Helper()
	return len(entries(t, "/proc/self/fd"))
}

// TestRemoveWhatBuildsLeave removes what a build may have made, and nothing that links in it lead to.
func TestRemoveWhatBuildsLeave(t *testing.T) {
	everyUser(t, func(t *testing.T) {
		outside := t.TempDir()
		mustWrite(t, filepath.Join(outside, "kept"), "kept")
		for name, make := range map[string]func(t *testing.T, dir string){
			"nothing":       func(*testing.T, string) {},
			"deep":          func(t *testing.T, dir string) { nest(t, dir, 2500, 0) },
			"deep and shut": func(t *testing.T, dir string) { nest(t, dir, 500, 0); nest(t, mustMkdir(t, dir+"/x"), 100, 0o000) },
			"no rights at all": func(t *testing.T, dir string) {
				mustWrite(t, dir+"/a/b/c", "")
				chmod(t, dir+"/a/b", 0)
				chmod(t, dir+"/a", 0)
				chmod(t, dir, 0)
			},
			"read only": func(t *testing.T, dir string) {
				mustWrite(t, dir+"/a/b/c", "")
				chmod(t, dir+"/a/b", 0o555)
				chmod(t, dir+"/a", 0o555)
				chmod(t, dir, 0o555)
			},
			"a link to a directory": func(t *testing.T, dir string) {
				for _, name := range []string{"a", "b/c"} {
					mustMkdir(t, filepath.Dir(dir+"/"+name))
					if err := os.Symlink(outside, dir+"/"+name); err != nil {
						t.Fatal(err)
					}
				}
			},
			"a second name of a file": func(t *testing.T, dir string) {
				if err := os.Link(outside+"/kept", dir+"/mine"); err != nil {
					t.Fatal(err)
				}
			},
			"a pipe": func(t *testing.T, dir string) {
				if err := unix.Mkfifo(dir+"/pipe", 0o600); err != nil {
					t.Fatal(err)
				}
			},
			"many files": func(t *testing.T, dir string) {
				for i := range 1500 {
					mustWrite(t, fmt.Sprintf("%s/%d/%d", dir, i%7, i), "")
				}
			},
			"odd names": func(t *testing.T, dir string) { mustWrite(t, dir+"/\xff\n/ /.../-rf", "") },
		} {
			t.Run(name, func(t *testing.T) {
				var log logged
				dir, trash := openTrash(t, &log)
				at := trashPath(t, trash)
				make(t, mustMkdir(t, at+"/build"))
				if err := trash.Remove(t.Context(), dir, "build"); err != nil {
					t.Fatal(err)
				}
				if left := entries(t, at); len(left) > 0 || log.String() != "" {
					t.Errorf("left: %q, log: %s", left, log.String())
				}
				if got := entries(t, outside); len(got) != 1 {
					t.Errorf("outside there is %q", got)
				}
				if err := trash.Remove(t.Context(), dir, "build"); err != nil {
					t.Errorf("what is not there: %v", err)
				}
			})
		}
	})
}

// TestRemoveAllOfADeepTree removes a tree that has no trash beside it.
func TestRemoveAllOfADeepTree(t *testing.T) {
	dir := mustMkdir(t, t.TempDir()+"/tree")
	nest(t, dir, 2500, 0)
	mustWrite(t, dir+"/other", "")
	for range 2 { // the second time it is not there
		if err := dirtree.RemoveAll(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// trashPath returns the path of the directory of a trash.
func trashPath(t *testing.T, trash *dirtree.Trash) string {
	t.Helper()
	return trash.Dir().Name()
}

// TestRemoveWithFewHandles counts the descriptors that are open while a deep tree is removed.
func TestRemoveWithFewHandles(t *testing.T) {
	var log logged
	dir, trash := openTrash(t, &log)
	nest(t, mustMkdir(t, trashPath(t, trash)+"/build"), 2500, 0)
	before, most := handles(t), 0
	over := make(chan error, 1)
	go func() { over <- trash.Remove(t.Context(), dir, "build") }()
	for {
		select {
		case err := <-over:
			if err != nil {
				t.Fatal(err)
			}
			if most > before+50 {
				t.Errorf("%d descriptors were open, %d before", most, before)
			}
			return
		default:
			most = max(most, handles(t))
		}
	}
}

// TestRemoveGoesOnWhenThereIsNoTime removes in the background what a context left.
func TestRemoveGoesOnWhenThereIsNoTime(t *testing.T) {
	var log logged
	dir, trash := openTrash(t, &log)
	at := trashPath(t, trash)
	nest(t, mustMkdir(t, at+"/build"), 1000, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := trash.Remove(ctx, dir, "build"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(at + "/build"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the name is still there: %v", err)
	}
	await(t, "an empty directory", func() bool { return len(entries(t, at)) == 0 })
	if log.String() != "" {
		t.Errorf("a warning: %s", log.String())
	}
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
	}
}

// TestRemoveSetsAside has something that cannot be removed until something changes.
func TestRemoveSetsAside(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a file that its own kind cannot remove")
	}
	var log logged
	dir, trash := openTrash(t, &log)
	at := trashPath(t, trash)
	mustWrite(t, at+"/build/a/free", "")
	mustWrite(t, at+"/build/a/stuck", "")
	if out, err := exec.CommandContext(t.Context(), "chattr", "+i", at+"/build/a/stuck").CombinedOutput(); err != nil {
		t.Skipf("no file system with attributes: %s", out)
	}
	if err := trash.Remove(t.Context(), dir, "build"); err != nil {
		t.Fatal(err)
	}
	left := entries(t, at)
	if len(left) != 1 || !strings.HasPrefix(left[0], "leftover-") {
		t.Fatalf("left: %q", left)
	}
	if got := entries(t, at+"/"+left[0]+"/a"); len(got) != 1 || got[0] != "stuck" {
		t.Errorf("in it: %q", got)
	}
	if strings.Count(log.String(), "level=WARN") != 1 || !strings.Contains(log.String(), left[0]) {
		t.Errorf("log: %s", log.String())
	}
	if out, err := exec.CommandContext(t.Context(), "chattr", "-i", at+"/"+left[0]+"/a/stuck").CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	await(t, "second attempt", func() bool { return len(entries(t, at)) == 0 })
}

// TestRemoveAgainstAnAttacker removes trees in which somebody puts links in the way of directories all the time.
func TestRemoveAgainstAnAttacker(t *testing.T) {
	everyUser(t, func(t *testing.T) {
		outside := t.TempDir()
		for i := range 20 {
			mustWrite(t, fmt.Sprintf("%s/%d/kept", outside, i), "")
		}
		var log logged
		dir, trash := openTrash(t, &log)
		at := trashPath(t, trash)
		for range 50 {
			for i := range 20 {
				mustWrite(t, fmt.Sprintf("%s/build/%d/kept", at, i), "")
			}
			tree, err := dirtree.Open(at + "/build")
			if err != nil {
				t.Fatal(err)
			}
			stop := make(chan struct{})
			var attacker sync.WaitGroup
			attacker.Go(func() { swap(tree, outside, stop) })
			if err := trash.Remove(t.Context(), dir, "build"); err != nil {
				t.Fatal(err)
			}
			close(stop)
			attacker.Wait()
			tree.Close()
		}
		for i := range 20 {
			if _, err := os.Lstat(fmt.Sprintf("%s/%d/kept", outside, i)); err != nil {
				t.Errorf("outside: %v", err)
			}
		}
	})
}

// swap puts links in the place of directories, and directories back, until it is to stop.
func swap(tree *dirtree.Dir, target string, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		name, other := fmt.Sprint(n%20), fmt.Sprintf("old%d", n%20)
		_ = tree.Rename(name, tree, other)
		_ = tree.Symlink(filepath.Join(target, name), name)
		_ = tree.Remove(name)
		_ = tree.Rename(other, tree, name)
	}
}

// BenchmarkRemove removes a hundred thousand files in a thousand directories.
func BenchmarkRemove(b *testing.B) {
	for name, remove := range map[string]func(dir string) error{
		"handles": func(dir string) error { return dirtree.RemoveAll(b.Context(), dir) },
		"paths":   os.RemoveAll,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				dir := b.TempDir() + "/tree"
				for i := range 1000 {
					if err := os.MkdirAll(fmt.Sprintf("%s/%d/%d", dir, i%30, i), 0o755); err != nil {
						b.Fatal(err)
					}
					for n := range 100 {
						if err := os.WriteFile(fmt.Sprintf("%s/%d/%d/%d", dir, i%30, i, n), nil, 0o600); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.StartTimer()
				if err := remove(dir); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
