package cache

import (
	"os"
	"path/filepath"
	"testing"
)

func unprotected(tenant, tool string) Key {
	k := of(tenant, tool)
	k.Protected = false
	return k
}

func checkOf(t *testing.T, s *Store, k Key, name, want string) {
	t.Helper()
	l := takeOf(t, s, k)
	if got := contents(t, l.Dir())[name]; got != want {
		t.Errorf("%+v has %q in %s, want %q", k, got, name, want)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// TestProtected has builds of other branches begin with what those of protected ones have, and keep theirs apart.
func TestProtected(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), plenty)
	s.Share = true
	own := take(t, s, "a", "go")
	write(t, own, "mod/x", "good")
	if err := os.Chmod(filepath.Join(own.Dir(), "mod/x"), 0o444); err != nil { // as Go's modules are, which layers share
		t.Fatal(err)
	}
	save(t, own)

	// It changes the file itself, not only its own name of it, as the owner of a file can.
	evil := takeOf(t, s, unprotected("a", "go"))
	path := filepath.Join(evil.Dir(), "mod/x")
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("evil"), 0o600); err != nil {
		t.Fatal(err)
	}
	checkOf(t, s, of("a", "go"), "mod/x", "good")
	save(t, evil)
	checkOf(t, s, of("a", "go"), "mod/x", "good")
	checkOf(t, s, unprotected("a", "go"), "mod/x", "evil")
	other := unprotected("a", "go")
	other.Project = "q"
	checkOf(t, s, other, "mod/x", "")

	// Of two that began with the protected cache, both are kept.
	if _, err := Clear(s.dir, "a", "p", ""); err != nil {
		t.Fatal(err)
	}
	base := take(t, s, "a", "go")
	write(t, base, "base", "1")
	save(t, base)
	one, two := takeOf(t, s, unprotected("a", "go")), takeOf(t, s, unprotected("a", "go"))
	write(t, one, "one", "1")
	write(t, two, "two", "2")
	save(t, one)
	save(t, two)
	for name, want := range map[string]string{"base": "1", "one": "1", "two": "2"} {
		checkOf(t, s, unprotected("a", "go"), name, want)
	}
	checkOf(t, s, of("a", "go"), "one", "")
	// Who changes nothing stays with the protected one.
	if _, err := Clear(s.dir, "a", "p", "go"); err != nil {
		t.Fatal(err)
	}
	base = take(t, s, "a", "go")
	write(t, base, "base", "1")
	save(t, base)
	same := takeOf(t, s, unprotected("a", "go"))
	if got := save(t, same); !got.Unchanged {
		t.Errorf("%+v", got)
	}
	if all, err := Usages(s.dir); err != nil || len(all) != 1 || all[0].Key != of("a", "go") {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestEvictUnprotectedFirst fills the caches: those of protected branches stay as long as others can go.
func TestEvictUnprotectedFirst(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), 2*block)
	for _, k := range []Key{of("a", "go"), unprotected("a", "npm"), unprotected("b", "npm")} {
		l := takeOf(t, s, k)
		write(t, l, "f", "1")
		save(t, l)
	}
	checkOf(t, s, of("a", "go"), "f", "1")
	checkOf(t, s, unprotected("b", "npm"), "f", "1")
	checkOf(t, s, unprotected("a", "npm"), "f", "")
}

// TestForeignFiles opens a directory with what is not a store's.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"tenants/a/go/00000000000000000001-4096/f", "projects/stray", "projects/a/p/other/go/lock", "projects/a/p/protected/file"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir, plenty)
	if all, err := Usages(dir); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	checkOf(t, s, of("a", "go"), "f", "")
}
