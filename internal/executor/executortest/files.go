package executortest

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"atelier/internal/fault"
)

// found returns all files of a build's workspace.
func (b *bundle) found(t *testing.T) []string {
	t.Helper()
	var files []string
	err := b.session.Walk(t.Context(), func(file string) error {
		files = append(files, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func wantInvalid(t *testing.T, what string, err error) {
	t.Helper()
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("%s: %v", what, err)
	}
}

func testFiles(t *testing.T, make Maker) {
	e := make(t, t.TempDir())
	write := func(b *bundle, file, content string) error {
		return b.session.WriteFile(context.Background(), file, strings.NewReader(content))
	}

	t.Run("what a step wrote is found and read", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		b.must(t, `mkdir -p out/sub empty .hidden; printf 'one\r\n' > out/a; head -c 3000000 /dev/zero > out/sub/large; : > out/none
			echo x > "out/with  blanks and
line"; echo x > out/ä; echo x > .hidden/x; ln out/a hard; mkdir $'latin\xe4'; echo x > $'latin\xe4/\xff'`)
		want := []string{".hidden/x", "hard", "latin\xe4/\xff", "out/a", "out/none", "out/sub/large", "out/with  blanks and\nline", "out/ä"}
		if got := b.found(t); !slices.Equal(got, want) {
			t.Errorf("found %q, want %q", got, want)
		}
		for file, size := range map[string]int64{"out/a": 5, "out/none": 0, "out/sub/large": 3_000_000, want[2]: 2, want[6]: 2} {
			r, err := b.session.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, r); n != size || err != nil {
				t.Errorf("%q has %d bytes, %v", file, n, err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	})

	t.Run("what is written is there for the next step", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		b.must(t, "mkdir old; echo long content > old/file")
		for file, content := range map[string]string{"app": "1", "a/b/c": "2", "old/file": "3", "new\nline": "4"} {
			if err := write(b, file, content); err != nil {
				t.Fatal(err)
			}
		}
		if got := b.must(t, `cat app a/b/c old/file new?line; find . -type f | wc -l; rm -r *`); strings.Join(strings.Fields(got), " ") != "12345" {
			t.Errorf("%q", got)
		}
	})

	t.Run("links that lead out", func(t *testing.T) {
		t.Parallel()
		b, outside := open(t, e), t.TempDir()
		secret := filepath.Join(outside, "secret")
		if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
		b.must(t, `echo x > file; mkdir dir; echo y > dir/y; ln -s file inside; ln -s dir/../dir/y up; ln -s dir linked; ln -s loop loop; ln -s nothing dangling
			ln -s `+secret+` absolute; ln -s `+outside+` out; ln -s ../../../../../../../../etc/passwd relative; ln -s "$PWD/file" whole`)
		if got, want := b.found(t), []string{"dir/y", "file", "inside", "up"}; !slices.Equal(got, want) {
			t.Errorf("found %q, want %q", got, want)
		}
		for _, file := range []string{"absolute", "out/secret", "relative", "dangling", "loop", "../x", secret, ""} {
			if r, err := b.session.ReadFile(file); err == nil {
				r.Close()
				t.Errorf("%s was read", file)
			} else {
				wantInvalid(t, file, err)
			}
		}
		for _, file := range []string{"out/new", "out/below/new", "../new", outside + "/new", "file/x", ""} {
			wantInvalid(t, file, write(b, file, "x"))
		}
		if err := write(b, "absolute", "mine"); err != nil { // replaces the link
			t.Error(err)
		}
		if got := b.must(t, "cat absolute; test ! -L absolute"); got != "mine" {
			t.Errorf("%q", got)
		}
		if content, err := os.ReadFile(secret); string(content) != "secret" || err != nil {
			t.Errorf("outside of the workspace there is now %q, %v", content, err)
		}
		if entries, _ := os.ReadDir(outside); len(entries) != 1 {
			t.Errorf("outside of the workspace there is now %v", entries)
		}
	})

	t.Run("what is no file", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		b.must(t, "mkdir -p dir/below; mkfifo pipe; echo x > dir/below/x")
		if got, want := b.found(t), []string{"dir/below/x"}; !slices.Equal(got, want) {
			t.Errorf("found %q, want %q", got, want)
		}
		for _, file := range []string{"dir", "pipe", "missing", "dir/below/x/y", "."} {
			_, err := b.session.ReadFile(file)
			wantInvalid(t, file, err)
		}
		wantInvalid(t, "a directory is in the way", write(b, "dir", "x"))
		wantInvalid(t, "a directory is in the way", write(b, "dir/below", "x"))
		if err := write(b, "pipe", "x"); err != nil {
			t.Error(err)
		}
		b.must(t, "test -f pipe; test -f dir/below/x; test -z \"$(find . -name '.atelier*')\"")
	})

	t.Run("a write that fails changes nothing", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		b.must(t, "echo old > file")
		sorry := errors.New("sorry")
		half := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(sorry))
		if err := b.session.WriteFile(t.Context(), "file", half); !errors.Is(err, sorry) {
			t.Error(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(sorry)
		if err := b.session.WriteFile(ctx, "file", strings.NewReader("new")); !errors.Is(err, sorry) {
			t.Error(err)
		}
		if err := b.session.Walk(ctx, func(string) error { return nil }); !errors.Is(err, sorry) {
			t.Error(err)
		}
		if err := b.session.Walk(t.Context(), func(string) error { return sorry }); !errors.Is(err, sorry) {
			t.Error(err)
		}
		if got := b.must(t, "cat file; ls -A"); got != "old\nfile\n" {
			t.Errorf("%q", got)
		}
	})

	t.Run("without a workspace", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		// An executor whose steps cannot remove the workspace has an empty one here.
		gone := strings.TrimSpace(b.must(t, `cd /; rmdir "$WORKSPACE" 2> /dev/null && ln -s /etc "$WORKSPACE" && echo gone || true`)) == "gone"
		err := b.session.Walk(t.Context(), errors.New)
		if gone {
			wantInvalid(t, "walk", err)
			wantInvalid(t, "write", write(b, "x", "x"))
			_, err := b.session.ReadFile("passwd")
			wantInvalid(t, "read", err)
		} else if err != nil {
			t.Error(err)
		}
	})
}
