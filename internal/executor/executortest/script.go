package executortest

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

func testScript(t *testing.T, make Maker) {
	e := make(t, t.TempDir())

	t.Run("exit codes", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		for command, want := range map[string]int{
			"":                             0,
			"true":                         0,
			"exit 3":                       3,
			"exit 255":                     255,
			"false\necho not reached":      1,
			"echo a\n(exit 7)\nexit 0":     7,
			"false || true":                0,
			"no-such-command-of-this-test": 127,
			"kill -KILL $$":                128 + 9,
			"kill -TERM $$":                128 + 15,
		} {
			result, out := b.run(t, command)
			if result.ExitCode != want || result.Succeeded() != (want == 0) || strings.Contains(out, "not reached") {
				t.Errorf("%q: %+v, want %d\n%s", command, result, want, out)
			}
			if bySignal := strings.HasPrefix(command, "kill"); (result.Reason != "") != bySignal {
				t.Errorf("%q: the reason is %q", command, result.Reason)
			}
		}
	})

	t.Run("it runs in the workspace, which starts empty and stays from step to step", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		if got := b.must(t, `pwd; echo "$WORKSPACE"; ls -A`); got != b.workspace+"\n"+b.workspace+"\n" {
			t.Errorf("%q, want twice %s", got, b.workspace)
		}
		b.must(t, "echo kept > file; mkdir dir; cd dir; export LOST=1; lost=1")
		if got := b.must(t, `pwd; cat file; echo "$LOST$lost"`); got != b.workspace+"\nkept\n\n" {
			t.Errorf("%q", got)
		}
	})

	t.Run("environment", func(t *testing.T) {
		t.Parallel()
		long := strings.Repeat("x", 100<<10)
		b := open(t, e, plan.Param{Name: "TEXT", Value: "a 'quoted'\n\"line\" $HOME ünï"}, plan.Param{Name: "EMPTY"},
			plan.Param{Name: "LONG", Value: long}, plan.Param{Name: "TWICE", Value: "first"}, plan.Param{Name: "TWICE", Value: "last"})
		if got := b.must(t, `printf '%s|%s|%s|%s' "$TEXT" "${EMPTY-unset}" "$TWICE" "$CI"`); got != "a 'quoted'\n\"line\" $HOME ünï||last|true" {
			t.Errorf("%q", got)
		}
		if got := b.must(t, `printf '%s' "$LONG"`); got != long {
			t.Errorf("the long value has %d bytes", len(got))
		}
		b.must(t, `cd "$HOME" && echo x > file && cd "${TMPDIR:-/tmp}" && echo x > file && rm file; case "$HOME" in "$WORKSPACE"*) exit 1;; esac`)
	})

	t.Run("environment that the kernel cannot take", func(t *testing.T) {
		t.Parallel()
		for _, p := range []plan.Param{{Name: "NUL", Value: "a\x00b"}, {Name: "A=B"}, {Name: ""}, {Name: "N\x00"}, {Name: "LONG", Value: strings.Repeat("x", 200<<10)}} {
			s, err := e.Open(t.Context(), executor.Build{Record: "7d3f3a43-0000-4000-8000-000000000000", Env: []plan.Param{p}})
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%.20q: %v, want a fault", p.Name+"="+p.Value, err)
			}
			if s != nil {
				_ = s.Close(t.Context())
			}
		}
	})

	t.Run("nothing can be read from the standard input", func(t *testing.T) {
		t.Parallel()
		if got := open(t, e).must(t, "cat; if read line; then echo read; fi; echo over"); got != "over\n" {
			t.Errorf("%q", got)
		}
	})

	t.Run("a script may be long and hold anything", func(t *testing.T) {
		t.Parallel()
		text := strings.Repeat("日本語 ünï '\"$ \\ ", 20<<10)
		if got := open(t, e).must(t, "cat <<'END'\n"+text+"\nEND\n"); got != text+"\n" {
			t.Errorf("%d bytes were printed, want %d", len(got), len(text)+1)
		}
	})

	t.Run("a step that has nothing to run", func(t *testing.T) {
		t.Parallel()
		if _, err := open(t, e).session.Run(t.Context(), plan.Step{}, io.Discard); err == nil {
			t.Error("no error")
		}
	})

	t.Run("a step that removes the workspace", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		b.must(t, `rm -rf "$WORKSPACE" || rm -rf "$WORKSPACE"/*`) // a mount cannot be removed
		if _, err := b.session.Run(t.Context(), script("true"), io.Discard); err != nil {
			t.Errorf("a failure of the step was taken for one of the executor: %v", err)
		}
	})
}

func testOutput(t *testing.T, make Maker) {
	e := make(t, t.TempDir())

	t.Run("both outputs in order", func(t *testing.T) {
		t.Parallel()
		var want strings.Builder
		for i := range 50 {
			want.WriteString(strings.Repeat("o", i) + "\n" + strings.Repeat("e", i) + "\n")
		}
		got := open(t, e).must(t, "o= e= i=0\nwhile [ $i -lt 50 ]; do echo \"$o\"; echo \"$e\" >&2; o=o$o e=e$e i=$((i+1)); done")
		if got != want.String() {
			t.Errorf("%q", got)
		}
	})

	t.Run("bytes of all kinds", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		var want []byte
		for i := range 256 {
			want = append(want, byte(i))
		}
		b.must(t, `i=0; while [ $i -lt 256 ]; do printf "\\$(printf %o $i)"; i=$((i+1)); done > bytes`)
		if got := b.must(t, "cat bytes"); !bytes.Equal([]byte(got), want) {
			t.Errorf("%q", got)
		}
	})

	t.Run("a line of a megabyte", func(t *testing.T) {
		t.Parallel()
		if got := open(t, e).must(t, "head -c 1048576 /dev/zero | tr '\\0' x; echo end"); len(got) != 1<<20+4 || !strings.HasSuffix(got, "xend\n") {
			t.Errorf("%d bytes", len(got))
		}
	})

	t.Run("a lot, at once and from many", func(t *testing.T) {
		t.Parallel()
		b, n := open(t, e), new(counter)
		b.mustRun(t, n, "for i in 1 2 3 4; do head -c 10000000 /dev/zero & done; wait")
		if n.n != 40_000_000 {
			t.Errorf("%d bytes", n.n)
		}
	})

	t.Run("nothing comes after the end", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		for range 20 {
			if got := b.must(t, "(while :; do echo noise; done) & echo said"); !strings.Contains(got, "said") {
				t.Errorf("%.100q", got)
			}
			if got := b.must(t, "echo alone"); got != "alone\n" {
				t.Fatalf("%.100q", got)
			}
		}
	})

	t.Run("a step may close its output and live on", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		if result, out := b.run(t, "exec >&- 2>&-; cd; cd \"$WORKSPACE\"; touch done; exit 5"); result.ExitCode != 5 || out != "" {
			t.Errorf("%+v %q", result, out)
		}
		b.must(t, "test -e done")
	})

	t.Run("a writer that fails ends the step", func(t *testing.T) {
		t.Parallel()
		b, full := open(t, e), errors.New("full")
		if _, err := b.session.Run(t.Context(), script("trap '' PIPE TERM; while :; do echo y || :; done"), failing{full}); !errors.Is(err, full) {
			t.Errorf("%v, want %v", err, full)
		}
		if got := b.must(t, "echo alone"); got != "alone\n" {
			t.Errorf("%.100q", got)
		}
	})
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
