package executortest

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"atelier/internal/executor"
)

// awaitFile is a command that ends when a file appears in the workspace.
func awaitFile(name string) string { return "while ! [ -e '" + name + "' ]; do sleep 0.01; done" }

// mustRun runs a script that has to succeed and writes what it prints to out.
func (b *bundle) mustRun(t *testing.T, out io.Writer, command string) {
	t.Helper()
	result, err := b.session.Run(t.Context(), script(command), out)
	if err != nil || !result.Succeeded() {
		t.Errorf("%s: %+v, %v", command, result, err)
	}
}

// clock is a shell function that keeps changing the file beat in the workspace, whatever asks it to end.
const clock = "clock() { trap '' TERM HUP INT PIPE; n=0; while :; do n=$((n+1)); echo $n > \"$WORKSPACE/beat\"; sleep 0.01; done; }\n"

// started is a command that ends when the clock goes.
const started = "while ! [ -s \"$WORKSPACE/beat\" ]; do sleep 0.01; done"

// stopped fails the test if something still changes the file beat.
func (b *bundle) stopped(t *testing.T) {
	t.Helper()
	if result, out := b.run(t, "before=$(cat beat); sleep 0.2; after=$(cat beat); echo \"$before $after\"; test \"$before\" = \"$after\""); !result.Succeeded() {
		t.Errorf("a process lives on: its clock went from %s", out)
	}
}

// ways are the ways in which a process can try to outlive its step.
var ways = map[string]string{
	"a background process":                "clock & " + started,
	"one without output":                  "clock > /dev/null 2>&1 < /dev/null & " + started,
	"a session of its own":                "export -f clock 2>/dev/null; setsid sh -c '" + clock + "clock' & " + started,
	"a daemon, forked twice":              "(setsid sh -c '(" + clock + "clock) &' &) ; " + started,
	"a daemon without the environment":    "(setsid env -i WORKSPACE=\"$WORKSPACE\" PATH=\"$PATH\" sh -c '(" + clock + "clock) &' &) ; " + started,
	"a stopped process":                   "clock & " + started + "; kill -STOP $!",
	"a chain of sessions, never the same": "cat > hop <<'END'\necho $$ > \"$WORKSPACE/beat\"\nsleep 0.005\nsetsid sh \"$0\" &\nEND\ntrap '' TERM; setsid sh hop & " + started,
	"many":                                "i=0; while [ $i -lt 50 ]; do clock & i=$((i+1)); done; " + started,
}

func testProcesses(t *testing.T, make Maker) {
	e := make(t, t.TempDir())
	for name, command := range ways {
		t.Run(name+" ends with its step", func(t *testing.T) {
			t.Parallel()
			b := open(t, e)
			if result, out := b.run(t, clock+command+"\nexit 4"); result.ExitCode != 4 || result.Reason != "" {
				t.Errorf("%+v\n%s", result, out)
			}
			b.stopped(t)
		})
	}

	t.Run("a step that kills its parent harms only its build", func(t *testing.T) {
		t.Parallel()
		b, other := open(t, e), open(t, e)
		// Where the parent cannot be killed, such as the first process of a container, or somebody else's, the step goes on.
		result, err := b.session.Run(t.Context(), script(clock+"clock & (setsid sh -c '"+clock+"clock' &); "+started+"; kill -KILL $PPID || :; sleep 0.2; exit 9"), io.Discard)
		if err != nil && !errors.Is(err, executor.ErrLost) || err == nil && result.ExitCode != 9 {
			t.Errorf("%+v, %v", result, err)
		}
		other.must(t, "true")
		if err := b.session.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func testStop(t *testing.T, make Maker) {
	e := make(t, t.TempDir())
	reason := errors.New("somebody asked")

	// stop runs a script, cancels it when it has printed "ready", and returns what it printed.
	stop := func(t *testing.T, b *bundle, command string) string {
		t.Helper()
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		out := waitFor("ready\n")
		go func() {
			select {
			case <-out.seen:
				cancel(reason)
			case <-ctx.Done():
			}
		}()
		if result, err := b.session.Run(ctx, script(command), out); !errors.Is(err, reason) {
			t.Errorf("%+v, %v, want %v\n%s", result, err, reason, out)
		}
		return out.String()
	}

	for name, command := range ways {
		t.Run(name+" ends with its context", func(t *testing.T) {
			t.Parallel()
			b := open(t, e)
			stop(t, b, clock+command+"\necho ready; wait; sleep 1000")
			b.stopped(t)
		})
	}

	t.Run("they are asked first, all of them", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		polite := "cat > polite <<'END'\ntrap 'echo \"$1 says bye\"; exit 0' TERM\ntouch \"$1\"\nwhile :; do sleep 0.01; done\nEND\n"
		got := stop(t, b, polite+"setsid sh polite one & sh polite two & "+awaitFile("one")+"; "+awaitFile("two")+"; echo ready; wait")
		if !strings.Contains(got, "one says bye\n") || !strings.Contains(got, "two says bye\n") {
			t.Errorf("%q", got)
		}
	})

	t.Run("a shell does not go on when its child is stopped", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		stop(t, b, "echo ready; sleep 1000 || true; touch went-on; sleep 1000")
		b.must(t, "! test -e went-on")
	})

	t.Run("a step that prints forever", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := b.session.Run(ctx, script("yes"), new(counter)); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if got := b.must(t, "echo alone"); got != "alone\n" {
			t.Errorf("%.100q", got)
		}
	})

	t.Run("before it starts", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(reason)
		if _, err := b.session.Run(ctx, script("touch ran"), io.Discard); !errors.Is(err, reason) {
			t.Error(err)
		}
		b.must(t, "! test -e ran")
	})

	t.Run("at any moment", func(t *testing.T) {
		t.Parallel()
		b := open(t, e)
		for i := range 30 {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Duration(i)*300*time.Microsecond, reason)
			result, err := b.session.Run(ctx, script("echo a; exit 3"), io.Discard)
			cancel()
			if !errors.Is(err, reason) && (err != nil || result.ExitCode != 3) {
				t.Errorf("%+v, %v", result, err)
			}
		}
		b.must(t, "true")
	})
}
