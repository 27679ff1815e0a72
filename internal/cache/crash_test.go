package cache

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// crashVariable names the directory of a store to the process that is to be killed.
const crashVariable = "ATELIER_TEST_CACHE"

// TestKilled kills a process again and again while it saves and evicts, and checks that every cache is then as one build left it.
func TestKilled(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(crashVariable); dir != "" {
		saveForever(t, dir)
	}
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	dir := t.TempDir()
	for range 20 {
		child := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestKilled$")
		child.Env = append(os.Environ(), crashVariable+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatal(line, err) // it has saved something
		}
		time.Sleep(rand.N(20 * time.Millisecond)) // any moment will do
		if err := child.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = child.Wait()
		checkWhole(t, dir)
	}
}

// saveForever saves caches whose files all hold the same number, which is also how many there are.
func saveForever(t *testing.T, dir string) {
	s := open(t, dir, 40*block)
	for i := 0; ; i++ {
		l := take(t, s, "a", []string{"go", "npm", "pip"}[i%3])
		remove(t, l, "")
		n := 10 + rand.IntN(10)
		for f := range n {
			write(t, l, fmt.Sprintf("d%d/%d", f%3, f), strconv.Itoa(n))
		}
		save(t, l)
		fmt.Println("saved")
	}
}

func checkWhole(t *testing.T, dir string) {
	t.Helper()
	s := open(t, dir, 40*block)
	all, err := Usages(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range all {
		l := take(t, s, u.Tenant, u.Tool)
		got := contents(t, l.Dir())
		for name, text := range got {
			if text != strconv.Itoa(len(got)) {
				t.Errorf("%s: %s holds %q, and there are %d files", u.Tool, name, text, len(got))
			}
		}
		if int64(len(got))*block != u.Bytes {
			t.Errorf("%s: %d files, but it is to have %d bytes", u.Tool, len(got), u.Bytes)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"layers", "old"} {
		if left, err := os.ReadDir(filepath.Join(dir, name)); err != nil || len(left) > 0 {
			t.Errorf("%s: %v, %v", name, left, err)
		}
	}
}

// TestLeftBehind checks what a store finds that was killed between two of its steps.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(t *testing.T, s *Store, l *Layer, before generation){
		"a half layer": func(t *testing.T, s *Store, l *Layer, before generation) { write(t, l, "file", "half") },
		"a half removal": func(t *testing.T, s *Store, l *Layer, before generation) {
			if err := os.MkdirAll(filepath.Join(s.dir, "old", "x", "y"), 0o500); err != nil {
				t.Fatal(err)
			}
		},
		"a generation that was replaced": func(t *testing.T, s *Store, l *Layer, before generation) {
			older := filepath.Join(filepath.Dir(before.path), fmt.Sprintf("%020d-%d", before.number-1, block))
			if err := os.Rename(l.Dir(), older); err != nil {
				t.Fatal(err)
			}
		},
		"something else": func(t *testing.T, s *Store, l *Layer, before generation) {
			if err := os.WriteFile(filepath.Join(filepath.Dir(before.path), "README"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir(), plenty)
			l := take(t, s, "a", "go")
			write(t, l, "file", "whole")
			save(t, l)
			before, err := current(s.dir, of("a", "go"))
			if err != nil {
				t.Fatal(err)
			}
			leave(t, s, take(t, s, "a", "go"), before)
			again := open(t, s.dir, plenty)
			check(t, again, "a", "go", map[string]string{"file": "whole"})
			entries, err := filepath.Glob(filepath.Join(filepath.Dir(before.path), "0*"))
			if err != nil || len(entries) != 1 || !strings.HasSuffix(entries[0], filepath.Base(before.path)) {
				t.Error(entries, err)
			}
		})
	}
}

func BenchmarkTake(b *testing.B) {
	for _, mode := range []os.FileMode{0o444, 0o644} {
		b.Run(mode.String(), func(b *testing.B) {
			s, err := Open(b.TempDir(), plenty)
			if err != nil {
				b.Fatal(err)
			}
			l, err := s.Take(b.Context(), of("a", "go"))
			if err != nil {
				b.Fatal(err)
			}
			const files, size = 5000, 20 << 10
			for i := range files {
				dir := filepath.Join(l.Dir(), strconv.Itoa(i%200))
				if err := os.MkdirAll(dir, 0o700); err != nil {
					b.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), make([]byte, size), mode); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := l.Save(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(files * size)
			for b.Loop() {
				l, err := s.Take(b.Context(), of("a", "go"))
				if err != nil {
					b.Fatal(err)
				}
				if err := l.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
