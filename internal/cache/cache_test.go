package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"atelier/internal/dirtree"
)

const plenty = 1 << 30

func open(t *testing.T, dir string, limit int64) *Store {
	t.Helper()
	s, err := Open(dir, limit)
	if err == nil {
		err = s.Recover()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// of is a tenant's cache of a tool in a project, of builds of protected branches.
func of(tenant, tool string) Key {
	return Key{Tenant: tenant, Project: "p", Tool: tool, Protected: true}
}

func take(t *testing.T, s *Store, tenant, tool string) *Layer {
	t.Helper()
	return takeOf(t, s, of(tenant, tool))
}

func takeOf(t *testing.T, s *Store, k Key) *Layer {
	t.Helper()
	l, err := s.Take(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// save saves and closes a layer.
func save(t *testing.T, l *Layer) Saved {
	t.Helper()
	saved, err := l.Save(t.Context())
	if err := errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	return saved
}

func write(t *testing.T, l *Layer, name, text string) {
	t.Helper()
	path := filepath.Join(l.Dir(), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, l *Layer, name string) {
	t.Helper()
	if err := removeAll(filepath.Join(l.Dir(), name)); err != nil {
		t.Fatal(err)
	}
}

// contents returns the files of a directory with what is in them.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all, err := scan(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	texts := make(map[string]string)
	for name, f := range all {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if f.target != "" {
			text, err = []byte("-> "+f.target), nil
		}
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	return texts
}

// check compares what a new build would get.
func check(t *testing.T, s *Store, tenant, tool string, want map[string]string) {
	t.Helper()
	l := take(t, s, tenant, tool)
	if diff := cmp.Diff(want, contents(t, l.Dir())); diff != "" {
		t.Error(diff)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), plenty)
	l := take(t, s, "a", "go")
	write(t, l, "mod/x/go.mod", "module x")
	if err := os.Symlink("/nowhere", filepath.Join(l.Dir(), "link")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(l.Dir(), "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := save(t, l); got != (Saved{Bytes: 2 * block}) {
		t.Errorf("%+v", got)
	}
	want := map[string]string{"mod/x/go.mod": "module x", "link": "-> /nowhere"}
	check(t, s, "a", "go", want)
	check(t, s, "b", "go", map[string]string{})
	check(t, s, "a", "npm", map[string]string{})
	check(t, open(t, s.dir, plenty), "a", "go", want)

	again := take(t, s, "a", "go")
	if got := save(t, again); !got.Unchanged {
		t.Errorf("%+v", got)
	}
	failed := take(t, s, "a", "go")
	write(t, failed, "mod/x/go.mod", "half")
	remove(t, failed, "link")
	if err := failed.Close(); err != nil {
		t.Error(err)
	}
	check(t, s, "a", "go", want)
}

// TestMerge checks what becomes of what two builds did at the same time.
func TestMerge(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), plenty)
	first := take(t, s, "a", "maven")
	for _, name := range []string{"kept", "changed", "theirs", "both", "dir/removed", "dir/deep/gone", "dir/into-file/x"} {
		write(t, first, name, "1")
	}
	save(t, first)
	mine, theirs := take(t, s, "a", "maven"), take(t, s, "a", "maven")
	write(t, mine, "changed", "mine")
	write(t, mine, "both", "mine")
	write(t, mine, "new", "mine")
	write(t, mine, "added/by/me", "mine")
	remove(t, mine, "dir/removed")
	remove(t, mine, "dir/into-file")
	if err := os.Symlink("../../..", filepath.Join(mine.Dir(), "out")); err != nil {
		t.Fatal(err)
	}
	write(t, theirs, "theirs", "theirs")
	write(t, theirs, "both", "theirs")
	write(t, theirs, "new", "theirs")
	write(t, theirs, "added/by/them", "theirs")
	write(t, theirs, "out/of/the/layer", "theirs")
	remove(t, theirs, "dir/deep/gone")
	save(t, theirs)
	save(t, mine)
	check(t, s, "a", "maven", map[string]string{
		"kept": "1", "changed": "mine", "theirs": "theirs", "both": "mine", "new": "mine", "added/by/me": "mine", "added/by/them": "theirs", "out": "-> ../../..",
	})
	g, err := current(s.dir, of("a", "maven"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(g.path, "dir/deep")); err == nil {
		t.Error("an empty directory is left where another build removed the last file")
	}
	if _, err := os.Stat(filepath.Join(s.dir, "of")); err == nil {
		t.Error("a file was written through a link of the layer")
	}
}

// TestReadOnly checks a cache like that of Go's modules, which nobody may write to.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), plenty)
	readOnly := func(l *Layer, name string) {
		write(t, l, name, name)
		if err := errors.Join(os.Chmod(filepath.Join(l.Dir(), name), 0o444), os.Chmod(filepath.Dir(filepath.Join(l.Dir(), name)), 0o555)); err != nil {
			t.Fatal(err)
		}
	}
	first := take(t, s, "a", "go")
	readOnly(first, "x@v1/x.go")
	write(t, first, "lock", "free")
	save(t, first)
	one, two := take(t, s, "a", "go"), take(t, s, "a", "go")
	for _, l := range []*Layer{one, two} {
		if info, err := os.Stat(filepath.Join(l.Dir(), "x@v1")); err != nil || info.Mode().Perm() != 0o555 {
			t.Error(info.Mode(), err)
		}
	}
	if err := os.WriteFile(filepath.Join(one.Dir(), "lock"), []byte("held"), 0o600); err != nil { // in place
		t.Fatal(err)
	}
	if got := contents(t, two.Dir()); got["lock"] != "free" {
		t.Error("a build sees what another writes")
	}
	readOnly(one, "y@v1/y.go")
	readOnly(two, "z@v1/z.go")
	save(t, one)
	save(t, two)
	check(t, s, "a", "go", map[string]string{"x@v1/x.go": "x@v1/x.go", "y@v1/y.go": "y@v1/y.go", "z@v1/z.go": "z@v1/z.go", "lock": "held"})
}

// TestConcurrent checks that builds at the same time get whole files of their own tenant, and that nothing that one of them saved is lost.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), plenty)
	var builds sync.WaitGroup
	const each = 8
	for _, tenant := range []string{"a", "b"} {
		for worker := range 4 {
			builds.Go(func() {
				for n := range each {
					if err := concurrentBuild(t.Context(), s, tenant, worker*each+n, n%3 == 2); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	builds.Wait()
	for _, tenant := range []string{"a", "b"} {
		want := map[string]string{"shared": tenant + strings.Repeat(".", 9000)}
		for i := range 4 * each {
			if i%each%3 != 2 {
				want[fmt.Sprintf("dir%d/file%d", i%5, i)] = tenant
			}
		}
		check(t, s, tenant, "npm", want)
	}
	for _, dir := range []string{"layers", "old"} {
		if left, err := os.ReadDir(filepath.Join(s.dir, dir)); err != nil || len(left) > 0 {
			t.Errorf("%s: %v, %v", dir, left, err)
		}
	}
}

// concurrentBuild looks at what it got, adds a file, and changes one in place that all change.
func concurrentBuild(ctx context.Context, s *Store, tenant string, i int, fails bool) (err error) {
	l, err := s.Take(ctx, of(tenant, "npm"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	shared := tenant + strings.Repeat(".", 9000)
	if text, err := os.ReadFile(filepath.Join(l.Dir(), "shared")); err == nil && string(text) != shared {
		return fmt.Errorf("a build of %s read %.20q", tenant, text)
	}
	if fails {
		shared = "half"
	}
	dir := filepath.Join(l.Dir(), fmt.Sprintf("dir%d", i%5))
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "file"+strconv.Itoa(i)), []byte(tenant), 0o600),
		os.WriteFile(filepath.Join(l.Dir(), "shared"), []byte(shared), 0o600)); err != nil || fails {
		return err
	}
	_, err = l.Save(ctx)
	return err
}

func TestLimit(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), 4*block)
	fill := func(tenant, tool string, blocks int) Saved {
		l := take(t, s, tenant, tool)
		for i := range blocks {
			write(t, l, strconv.Itoa(i), tenant+tool)
		}
		return save(t, l)
	}
	used := func(want ...string) {
		t.Helper()
		var got []string
		all, err := Usages(s.dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range all {
			got = append(got, u.Tenant+" "+u.Tool+" "+strconv.FormatInt(u.Bytes/block, 10))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	fill("a", "go", 2)
	fill("b", "go", 1)
	fill("a", "npm", 1)
	check(t, s, "a", "go", map[string]string{"0": "ago", "1": "ago"}) // a use
	fill("b", "npm", 1)
	used("a npm 1", "a go 2", "b npm 1")

	busy := take(t, s, "a", "npm") // used just now, and in use when it would be its turn
	check(t, s, "a", "go", map[string]string{"0": "ago", "1": "ago"})
	check(t, s, "b", "npm", map[string]string{"0": "bnpm"})
	fill("c", "go", 1)
	used("a npm 1", "b npm 1", "c go 1")
	if err := busy.Close(); err != nil {
		t.Error(err)
	}

	if got := fill("c", "go", 5); got != (Saved{TooLarge: true}) {
		t.Errorf("%+v", got)
	}
	used("a npm 1", "b npm 1")
	s = open(t, s.dir, block) // the operator allows less
	used("b npm 1")
}

func TestClear(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), plenty)
	for _, k := range []Key{of("a", "go"), of("a", "npm"), of("b", "go")} {
		l := takeOf(t, s, k)
		write(t, l, "old", "old")
		save(t, l)
	}
	running := take(t, s, "a", "go")
	cleared, err := Clear(s.dir, "a", "p", "go")
	if err != nil || len(cleared) != 1 || cleared[0].Bytes != block || time.Since(cleared[0].Used) > time.Minute {
		t.Error(cleared, err)
	}
	if got := contents(t, running.Dir()); got["old"] != "old" {
		t.Error("a running build lost what it had")
	}
	write(t, running, "new", "new")
	save(t, running)
	check(t, s, "a", "go", map[string]string{"new": "new"})
	if cleared, err := Clear(s.dir, "a", "", ""); err != nil || len(cleared) != 2 {
		t.Error(cleared, err)
	}
	check(t, s, "a", "npm", map[string]string{})
	check(t, s, "b", "go", map[string]string{"old": "old"})
	if cleared, err := Clear(filepath.Join(s.dir, "none"), "a", "", ""); err != nil || len(cleared) != 0 {
		t.Error(cleared, err)
	}
}

// TestWhatBuildsMayDo checks layers whose builds left something odd in their place.
func TestWhatBuildsMayDo(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), plenty)
	first := take(t, s, "a", "go")
	write(t, first, "kept", "1")
	save(t, first)

	linked := take(t, s, "a", "go")
	remove(t, linked, "")
	if err := os.Symlink(t.TempDir(), linked.Dir()); err != nil {
		t.Fatal(err)
	}
	if _, err := linked.Save(t.Context()); err == nil || !strings.Contains(err.Error(), "something else in place of its cache") {
		t.Error(err)
	}
	check(t, s, "a", "go", map[string]string{"kept": "1"})

	emptied := take(t, s, "a", "go")
	remove(t, emptied, "")
	save(t, emptied)
	check(t, s, "a", "go", map[string]string{})

	for _, tenant := range []string{"", ".", "..", "a/b", "/"} {
		for _, k := range []Key{{Tenant: tenant, Project: "p", Tool: "go"}, {Tenant: "a", Project: tenant, Tool: "go"}, {Tenant: "a", Project: "p", Tool: tenant}} {
			if _, err := s.Take(t.Context(), k); err == nil {
				t.Errorf("%+v names a cache", k)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	again := take(t, s, "a", "go")
	write(t, again, "kept", "2")
	if _, err := again.Save(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestOddFilesInALayer saves and restores what a step may have made in its layer, and what it must not hand on.
func TestOddFilesInALayer(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	if err := errors.Join(os.WriteFile(outside+"/kept", []byte("kept"), 0o600), os.Mkdir(outside+"/dir", 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, share := range []bool{false, true} {
		s := open(t, t.TempDir(), plenty)
		s.Share = share
		l := take(t, s, "a", "go")
		write(t, l, "a/b/closed", "1")
		write(t, l, "a/tool", "2")
		write(t, l, "mod/file", "3")
		dir := l.Dir()
		if err := errors.Join(
			os.Symlink(outside, dir+"/a/out"), os.Symlink(outside+"/kept", dir+"/link"),
			unix.Mkfifo(dir+"/a/pipe", 0o600), unix.Mkfifo(dir+"/pipe", 0o600),
			os.Chmod(dir+"/a/tool", 0o755|fs.ModeSetuid|fs.ModeSetgid), os.Chmod(dir+"/mod/file", 0o444), os.Chmod(dir+"/mod", 0o555),
			os.Chmod(dir+"/a/b/closed", 0), os.Chmod(dir+"/a/b", 0), os.Chmod(dir+"/a", 0), os.Chmod(dir, 0),
		); err != nil {
			t.Fatal(err)
		}
		save(t, l)
		restored := take(t, s, "a", "go")
		for name, mode := range map[string]fs.FileMode{
			"a/b/closed": 0o400, "a/tool": 0o755, "mod": 0o555 | fs.ModeDir, "mod/file": 0o444,
			"a/out": 0o777 | fs.ModeSymlink, "link": 0o777 | fs.ModeSymlink,
		} {
			if info, err := os.Lstat(filepath.Join(restored.Dir(), name)); err != nil || info.Mode() != mode {
				t.Errorf("%s: %v, %v, want %v", name, info, err, mode)
			}
		}
		for _, name := range []string{"pipe", "a/pipe"} {
			if _, err := os.Lstat(filepath.Join(restored.Dir(), name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := restored.Close(); err != nil {
			t.Error(err)
		}
	}
	if content, err := os.ReadFile(outside + "/kept"); string(content) != "kept" || err != nil {
		t.Errorf("outside: %q, %v", content, err)
	}
}

// TestDeepLayer refuses a layer whose paths no tool could use, and removes it.
func TestDeepLayer(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), plenty)
	first := take(t, s, "a", "go")
	write(t, first, "kept", "1")
	save(t, first)
	l := take(t, s, "a", "go")
	at, err := unix.Open(l.Dir(), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 3000 {
		if err := unix.Mkdirat(at, "d", 0o700); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(at, "d", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(at)
		at = next
	}
	unix.Close(at)
	if _, err := l.Save(t.Context()); !errors.Is(err, dirtree.ErrTooDeep) {
		t.Errorf("%v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	check(t, s, "a", "go", map[string]string{"kept": "1"})
	if left, err := os.ReadDir(filepath.Join(s.dir, "old")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
