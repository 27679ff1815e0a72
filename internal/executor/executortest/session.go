package executortest

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"atelier/internal/executor"
	"atelier/internal/plan"
	"atelier/internal/source/sourcetest"
)

func testSession(t *testing.T, make Maker) {
	e := make(t, t.TempDir())

	t.Run("nothing is left of a closed build", func(t *testing.T) {
		t.Parallel()
		record := uuid.NewString()
		for range 2 {
			s, err := e.Open(t.Context(), executor.Build{Record: record})
			if err != nil {
				t.Fatal(err)
			}
			b := &bundle{executor: e, session: s, record: record, workspace: e.Workspace(record)}
			if got := b.must(t, `ls -A; ls -A "$HOME"`); got != "" {
				t.Errorf("the workspace is not empty: %q", got)
			}
			b.must(t, "mkdir -p a/b/c; echo x > a/b/c/file; chmod 0 a/b/c/file a/b/c; chmod 555 a/b a; touch \"$HOME/file\"; ln -s / root; ln -s \"$HOME\" home")
			for range 2 {
				if err := s.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	})

	t.Run("a closed build runs nothing", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		if err := b.session.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if result, err := b.session.Run(t.Context(), script("true"), io.Discard); err == nil && result.Succeeded() {
			t.Error("it ran")
		}
	})

	t.Run("an ended build runs nothing, and its files are there until it is closed", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		b.must(t, "echo kept > file")
		for range 2 {
			if err := b.session.End(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if result, err := b.session.Run(t.Context(), script("true"), io.Discard); err == nil && result.Succeeded() {
			t.Error("it ran")
		}
		there := func() (files []string) {
			_ = b.session.Walk(t.Context(), func(file string) error { files = append(files, file); return nil }) // no workspace, no files
			return files
		}
		if got := there(); !slices.Equal(got, []string{"file"}) {
			t.Errorf("in the workspace are %v", got)
		}
		if err := b.session.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := there(); got != nil {
			t.Errorf("after the build was closed there are %v", got)
		}
	})

	t.Run("builds side by side", func(t *testing.T) {
		t.Parallel()
		var wg sync.WaitGroup
		for range 8 {
			b := open(t, e, plan.Param{Name: "NAME", Value: uuid.NewString()})
			wg.Go(func() {
				for range 3 {
					result, err := b.session.Run(t.Context(), script(`test ! -e name || test "$(cat name)" = "$NAME"; echo "$NAME" > name; test "$(ls)" = name`), io.Discard)
					if err != nil || !result.Succeeded() {
						t.Error(result, err)
					}
				}
			})
		}
		wg.Wait()
	})

	t.Run("recovery leaves nothing to complain about", func(t *testing.T) {
		t.Parallel()
		if err := make(t, t.TempDir()).Recover(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func testCheckout(t *testing.T, make Maker) {
	repositories := t.TempDir()
	e := make(t, repositories)
	lib := sourcetest.New(t, repositories+"/lib")
	lib.Write("lib.txt", "library")
	lib.Commit("library")
	app := sourcetest.New(t, repositories+"/app")
	app.Write("app.txt", "one")
	app.Git("submodule", "--quiet", "add", "../lib", "lib")
	first := app.Commit("one")
	app.Git("tag", "v1")
	app.Write("app.txt", "two")
	app.Commit("two")

	check := func(t *testing.T, b *bundle, spec plan.Checkout) (executor.Result, string) {
		t.Helper()
		out := waitFor("")
		result, err := b.session.Run(t.Context(), plan.Step{Name: "checkout", Checkout: &spec}, out)
		if err != nil {
			t.Fatal(err)
		}
		return result, out.String()
	}
	must := func(t *testing.T, b *bundle, spec plan.Checkout) {
		t.Helper()
		if result, out := check(t, b, spec); !result.Succeeded() {
			t.Fatalf("%+v\n%s", result, out)
		}
	}

	t.Run("branch, tag, commit and path", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		must(t, b, plan.Checkout{URL: app.URL(), Branch: "main", Depth: 1})
		must(t, b, plan.Checkout{URL: app.URL(), Tag: "v1", Depth: 1, Path: "tag"})
		must(t, b, plan.Checkout{URL: app.URL(), Branch: "main", Commit: first, Depth: 1, Path: "by/commit"})
		if got := b.must(t, "cat app.txt tag/app.txt by/commit/app.txt; ls lib"); got != "twooneone" {
			t.Errorf("%q", got)
		}
	})

	t.Run("submodules", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		must(t, b, plan.Checkout{URL: app.URL(), Branch: "main", Depth: 1, Submodules: true})
		if got := b.must(t, "cat lib/lib.txt"); got != "library" {
			t.Errorf("%q", got)
		}
	})

	t.Run("the files belong to who runs the steps", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		must(t, b, plan.Checkout{URL: app.URL(), Branch: "main"})
		b.must(t, `test "$(ls -dn . | awk '{print $3}')" = "$(id -u)"; test -O app.txt; test -O .git/HEAD; echo more >> app.txt; git log --oneline | grep two; git diff --quiet && exit 1; rm -rf .git app.txt`)
	})

	t.Run("what is not there is a failure of the step, with a reason", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		result, out := check(t, b, plan.Checkout{URL: app.URL(), Branch: "missing", Depth: 1})
		if result.Succeeded() || result.Reason == "" {
			t.Errorf("%+v\n%s", result, out)
		}
	})

	t.Run("a link that a step made leads nowhere", func(t *testing.T) {
		t.Parallel()
		b, outside := open(t, e), t.TempDir()
		b.must(t, "ln -s "+outside+" out; ln -s . here; mkdir taken; touch taken/.git file")
		for _, path := range []string{"out", "out/below", "taken", "file", "file/below"} {
			if result, out := check(t, b, plan.Checkout{URL: app.URL(), Branch: "main", Depth: 1, Path: path}); result.Succeeded() || result.Reason == "" {
				t.Errorf("%s: %+v\n%s", path, result, out)
			}
		}
		if entries, _ := os.ReadDir(outside); len(entries) > 0 {
			t.Errorf("outside of the workspace there is now %v", entries)
		}
		must(t, b, plan.Checkout{URL: app.URL(), Branch: "main", Depth: 1, Path: "here/below"})
	})

	t.Run("a checkout is stopped like a script", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		step := plan.Step{Checkout: &plan.Checkout{URL: app.URL(), Branch: "main"}}
		if _, err := open(t, e).session.Run(ctx, step, io.Discard); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
