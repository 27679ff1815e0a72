package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"atelier/internal/executor"
)

// A workspace that is given is used as it is, under the name that its steps see, and is left as they leave it.
func TestFixedWorkspace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := os.Mkdir(real, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(real, "before"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	e := newExecutor(t, t.TempDir())
	e, err := New(Config{Dir: filepath.Join(dir, "builds"), Workspace: link, Source: e.source, Path: e.path})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if got := e.Workspace("any"); got != real {
		t.Errorf("the workspace is %s, want %s", got, real)
	}
	for range 2 {
		opened, err := e.Open(t.Context(), executor.Build{Record: uuid.NewString()})
		if err != nil {
			t.Fatal(err)
		}
		if got := must(t, opened.(*session), `echo "$PWD $WORKSPACE"; touch after`); got != real+" "+real+"\n" {
			t.Errorf("a step runs in %s", got)
		}
		if err := opened.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	var left []string
	entries, err := os.ReadDir(real)
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	if diff := cmp.Diff([]string{"after", "before"}, left); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if _, err := New(Config{Dir: dir, Workspace: filepath.Join(dir, "none"), Path: e.path}); err == nil {
		t.Error("a workspace that is not there is accepted")
	}
}

// A step that takes its time when it is stopped has none when there is a hurry.
func TestHurry(t *testing.T) {
	t.Parallel()
	e := newExecutor(t, t.TempDir())
	hurry := make(chan struct{})
	e.grace, e.hurry = time.Hour, hurry
	s := openBuild(t, e)
	stopped := errors.New("stopped")
	ctx, stop := context.WithCancelCause(t.Context())
	begun := writer(func(text string) {
		switch text {
		case "begun\n":
			stop(stopped)
		case "asked\n":
			close(hurry)
		default:
			t.Errorf("printed %q", text)
		}
	})
	_, err := s.Run(ctx, script(`trap 'echo asked' TERM; echo begun; while :; do :; done`), begun)
	if !errors.Is(err, stopped) {
		t.Error(err)
	}
}

// writer calls a function with all that is written to it.
type writer func(text string)

func (w writer) Write(p []byte) (int, error) {
	w(string(p))
	return len(p), nil
}

// A build has directories that no other had, also when they were ready before it came. Whoever holds one of an earlier build sees nothing.
func TestDirectoriesAreNew(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]*Executor{"plain": newExecutor(t, "/"), "isolated": newIsolated(t, "/")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := e.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
			var earlier []os.FileInfo
			for range 2 * firstReady {
				e.sandboxes.making.Wait()
				e.buildDirs.making.Wait()
				s, err := e.Open(t.Context(), executor.Build{Record: uuid.NewString()})
				if err != nil {
					t.Fatal(err)
				}
				dir := s.(*session).dir
				for _, path := range []string{dir, dir + "/home", dir + "/tmp", dir + "/workspace"} {
					held, err := os.Open(path) // so that its inode is not another one's soon
					if err != nil {
						t.Fatal(err)
					}
					defer held.Close()
					info, err := held.Stat()
					if err != nil {
						t.Fatal(err)
					}
					if info.Mode().Perm() != 0o700 || slices.ContainsFunc(earlier, func(other os.FileInfo) bool { return os.SameFile(info, other) }) {
						t.Errorf("%s: mode %v, or another build had it", path, info.Mode())
					}
					earlier = append(earlier, info)
				}
				if err := s.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
