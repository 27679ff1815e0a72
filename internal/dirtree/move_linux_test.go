package dirtree_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/dirtree"
)

// list returns what is below a directory: the content of files, the targets of links, and the directories.
func list(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		switch {
		case e.IsDir():
			all[name] = "directory"
		case e.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			all[name] = "to " + target
			return err
		default:
			content, err := os.ReadFile(path)
			all[name] = string(content)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func openDir(t *testing.T, path string) *dirtree.Dir {
	t.Helper()
	d, err := dirtree.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func mustLink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// TestMoveInto merges a tree into one in which all sorts of things are in the way, on one file system and across two.
func TestMoveInto(t *testing.T) {
	for name, parent := range map[string]string{"same file system": t.TempDir(), "another file system": "/dev/shm"} {
		t.Run(name, func(t *testing.T) {
			var log logged
			_, trash := openTrash(t, &log)
			from := mustMkdir(t, trashPath(t, trash)+"/from")
			to, err := os.MkdirTemp(parent, "into-")
			if err != nil {
				t.Skip(err)
			}
			t.Cleanup(func() { _ = dirtree.RemoveAll(context.Background(), to) })
			outside := t.TempDir()
			mustWrite(t, outside+"/kept", "kept")

			for _, file := range []string{"new/a/b", "both/own", "both/same", "file", "was-link", "was-link-dir/x", "was-file/x", "loop"} {
				mustWrite(t, from+"/"+file, "new")
			}
			mustLink(t, "nowhere", from+"/link")
			mustMkdir(t, from+"/empty")
			mustWrite(t, to+"/both/same", "old")
			mustWrite(t, to+"/both/other", "old")
			mustWrite(t, to+"/was-file", "old")
			mustMkdir(t, to+"/was-dir")
			mustLink(t, outside+"/kept", to+"/was-link")
			mustLink(t, outside, to+"/was-link-dir")
			mustLink(t, "loop", to+"/loop")
			if err := openDir(t, from).MoveInto(t.Context(), openDir(t, to), trash); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{
				"new": "directory", "new/a": "directory", "new/a/b": "new", "both": "directory", "both/own": "new", "both/same": "new", "both/other": "old",
				"file": "new", "was-link": "new", "was-link-dir": "directory", "was-link-dir/x": "new", "was-file": "directory", "was-file/x": "new",
				"was-dir": "directory", "link": "to nowhere", "empty": "directory", "loop": "new",
			}
			if diff := cmp.Diff(want, list(t, to)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(map[string]string{"kept": "kept"}, list(t, outside)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestMoveIntoInPlaceOfDirectories has directories in the way of files.
func TestMoveIntoInPlaceOfDirectories(t *testing.T) {
	var log logged
	_, trash := openTrash(t, &log)
	from, to := mustMkdir(t, trashPath(t, trash)+"/from"), mustMkdir(t, trashPath(t, trash)+"/to")
	mustWrite(t, from+"/a/.git", "new")
	mustWrite(t, to+"/a/.git/config", "old")
	nest(t, mustMkdir(t, to+"/a/.git/deep"), 300, 0)
	if err := openDir(t, from).MoveInto(t.Context(), openDir(t, to), trash); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "directory", "a/.git": "new"}, list(t, to)); diff != "" {
		t.Error(diff)
	}
}

// TestMoveIntoAgainstAnAttacker moves trees to where somebody puts links in the place of directories all the time.
func TestMoveIntoAgainstAnAttacker(t *testing.T) {
	everyUser(t, func(t *testing.T) {
		outside := t.TempDir()
		for i := range 20 {
			mustMkdir(t, fmt.Sprintf("%s/%d/deep", outside, i))
		}
		want := list(t, outside)
		var log logged
		_, trash := openTrash(t, &log)
		at := trashPath(t, trash)
		moved := 0
		for range 100 {
			for i := range 20 {
				mustWrite(t, fmt.Sprintf("%s/from/%d/deep/file", at, i), "new")
				mustMkdir(t, fmt.Sprintf("%s/to/%d/deep", at, i))
			}
			from, to := openDir(t, at+"/from"), openDir(t, at+"/to")
			stop := make(chan struct{})
			var attacker sync.WaitGroup
			attacker.Go(func() { swap(to, outside, stop) })
			if err := from.MoveInto(t.Context(), to, trash); err == nil {
				moved++
			}
			close(stop)
			attacker.Wait()
			for _, name := range []string{"from", "to"} {
				if err := trash.Remove(t.Context(), trash.Dir(), name); err != nil {
					t.Fatal(err)
				}
			}
		}
		if diff := cmp.Diff(want, list(t, outside)); diff != "" {
			t.Error(diff)
		}
		t.Logf("%d of 100 were moved in spite of the attacker", moved)
	})
}

// TestWalkAgainstAnAttacker reads files, through all ways that a walk offers, where somebody puts links to others in their way.
func TestWalkAgainstAnAttacker(t *testing.T) {
	outside, at := t.TempDir(), t.TempDir()
	for i := range 20 {
		mustWrite(t, fmt.Sprintf("%s/%d/file", outside, i), "secret")
		mustWrite(t, fmt.Sprintf("%s/%d/file", at, i), "mine")
	}
	d, attacked := openDir(t, at), openDir(t, at)
	stop := make(chan struct{})
	var attacker sync.WaitGroup
	attacker.Go(func() { swap(attacked, outside, stop) })
	read := 0
	for range 500 {
		_ = d.Walk(t.Context(), func(e dirtree.Entry) error { // somebody may have taken a directory away
			for _, open := range []func() (*os.File, error){
				func() (*os.File, error) { return e.Dir.OpenFile(e.Name(), os.O_RDONLY, 0) },
				func() (*os.File, error) { return d.OpenFile(e.Path, os.O_RDONLY, 0) },
			} {
				f, err := open()
				if err != nil {
					continue
				}
				content := make([]byte, 10)
				n, _ := f.Read(content)
				f.Close()
				if read++; string(content[:n]) == "secret" {
					t.Errorf("%s was read outside", e.Path)
				}
			}
			return nil
		})
	}
	close(stop)
	attacker.Wait()
	if read == 0 {
		t.Error("nothing was read at all")
	}
}

// TestWalk visits a tree in the order of names, as deep as paths go, with few descriptors.
func TestWalk(t *testing.T) {
	at := t.TempDir()
	for _, file := range []string{"b/2", "b/1", "a", "c/d/e", "\xff"} {
		mustWrite(t, at+"/"+file, "")
	}
	mustLink(t, "b", at+"/link")
	var got []string
	visit := func(e dirtree.Entry) error {
		got = append(got, e.Path)
		if e.Path == "c/d" {
			return fs.SkipDir
		}
		return nil
	}
	if err := openDir(t, at).Walk(t.Context(), visit); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "b/1", "b/2", "c", "c/d", "link", "\xff"}, got); diff != "" {
		t.Error(diff)
	}

	nest(t, mustMkdir(t, at+"/e"), 2000, 0)
	before, most, deepest := handles(t), 0, 0
	err := openDir(t, at).Walk(t.Context(), func(e dirtree.Entry) error {
		deepest = max(deepest, strings.Count(e.Path, "/"))
		if deepest%100 == 0 {
			most = max(most, handles(t))
		}
		return nil
	})
	if err != nil || deepest != 2000 || most > before+50 {
		t.Errorf("%v, %d levels, %d descriptors, %d before", err, deepest, most, before)
	}
	nest(t, mustMkdir(t, at+"/f"), 2100, 0)
	if err := openDir(t, at).Walk(t.Context(), func(dirtree.Entry) error { return nil }); !errors.Is(err, dirtree.ErrTooDeep) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.ErrUnsupported)
	if err := openDir(t, at).Walk(ctx, func(dirtree.Entry) error { return nil }); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}

// TestPathsStayBelow opens paths that lead out of a directory, or through a link.
func TestPathsStayBelow(t *testing.T) {
	at := t.TempDir()
	mustWrite(t, at+"/in/dir/file", "")
	mustWrite(t, at+"/secret", "")
	mustLink(t, "dir", at+"/in/link")
	mustLink(t, "/", at+"/in/root")
	d := openDir(t, at+"/in")
	for _, name := range []string{"../secret", "dir/../../secret", "link/file", "root/etc/passwd", "link", at + "/secret", "dir\x00", ""} {
		if f, err := d.OpenFile(name, os.O_RDONLY, 0); err == nil {
			f.Close()
			t.Errorf("%q was opened", name)
		}
		if err := d.Chmod(name, 0o777); err == nil {
			t.Errorf("%q has another mode", name)
		}
	}
	f, err := d.OpenFile("dir/file", os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}
