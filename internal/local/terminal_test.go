package local

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
)

// screen returns what a terminal shows that was sent a text.
func screen(t *testing.T, sent string) string {
	t.Helper()
	control := regexp.MustCompile(`^\x1b\[(\?7[lh]|J|(\d+)A)`)
	rows := []string{""}
	at := 0
	for sent != "" {
		if found := control.FindStringSubmatch(sent); found != nil {
			sent = sent[len(found[0]):]
			switch {
			case found[1] == "J":
				rows = append(rows[:at], "")
			case found[2] != "":
				up, _ := strconv.Atoi(found[2])
				if at -= up; at < 0 {
					t.Fatalf("the cursor leaves the screen by %d rows", -at)
				}
			}
			continue
		}
		switch c := sent[0]; c {
		case '\x1b':
			t.Fatalf("sent %.10q", sent)
		case '\r': // all that is overwritten is cleared first
		case '\n':
			if at++; at == len(rows) {
				rows = append(rows, "")
			}
		default:
			rows[at] += sent[:1]
		}
		sent = sent[1:]
	}
	return strings.Join(rows, "\n")
}

var begin = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func terminal(rows int, out io.Writer) *Terminal {
	return &Terminal{out: out, rows: func() int { return rows }, now: func() time.Time { return begin.Add(2500 * time.Millisecond) }, quit: make(chan struct{})}
}

func step(name string, state build.StepState, took time.Duration) Step {
	s := Step{Step: build.Step{Name: name, State: state, StartedAt: begin}}
	if took > 0 {
		s.FinishedAt = begin.Add(took)
	}
	return s
}

// TestTerminal follows a build and looks at the screen now and then.
func TestTerminal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	term := terminal(6, &out)
	want := func(text string) {
		t.Helper()
		if diff := cmp.Diff(text, screen(t, out.String())); diff != "" {
			t.Errorf("the screen (-want +got):\n%s", diff)
		}
	}
	output := func(text string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
	}
	fmt.Fprint(term, "[INFO] Build 1\n[WARN] build.yml:1:1: odd\n")
	want("[WARN] build.yml:1:1: odd\n")

	term.Begin(step("Code", build.StepRunning, 0))
	want("[WARN] build.yml:1:1: odd\n▸ Code  2s\n")
	if err := term.End(step("Code", build.StepSucceeded, 12*time.Millisecond), output("not shown\n")); err != nil {
		t.Error(err)
	}
	term.Begin(step("Test", build.StepRunning, 0))
	fmt.Fprint(term, "[INFO] [Test] : The step begins.\none\ntwo\nthree\nfour\nfi")
	want("[WARN] build.yml:1:1: odd\n✓ Code  12ms\n▸ Test  2s\n")
	term.tick()
	want("[WARN] build.yml:1:1: odd\n✓ Code  12ms\n▸ Test  2s\n  two\n  three\n  four\n  fi\n")
	fmt.Fprint(term, "ve\r\n\x1b[31mred\x1b[0m\n10%\r20%\r")
	term.tick()
	want("[WARN] build.yml:1:1: odd\n✓ Code  12ms\n▸ Test  2s\n  four\n  five\n  red\n  20%\n")

	ignored := step("Test", build.StepFailed, 61*time.Second)
	ignored.Ignored, ignored.ExitCode = true, 3
	if err := term.End(ignored, output("not shown\n")); err != nil {
		t.Error(err)
	}
	lint := step("Lint", build.StepRunning, 0)
	lint.Job = "app"
	term.Begin(lint)
	fmt.Fprint(term, "bad\n")
	term.tick()
	lint.State, lint.FinishedAt = build.StepFailed, begin.Add(2345*time.Millisecond)
	if err := term.End(lint, output("all of it\nbad\n")); err != nil {
		t.Error(err)
	}
	fmt.Fprint(term, "[ERROR] the same\n")
	term.Finish(Result{State: build.Failed, Error: `Step "Lint" failed.`})
	want("[WARN] build.yml:1:1: odd\n✓ Code  12ms\n! Test  1m1s  exit code 3, ignored\n✗ app: Lint  2.3s  failed\nall of it\nbad\nStep \"Lint\" failed.\n")
}

// A build that is interrupted leaves nothing that looks as if it still ran.
func TestTerminalInterrupted(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	term := terminal(24, &out)
	term.Begin(step("Wait", build.StepRunning, 0))
	fmt.Fprint(term, "waiting\n")
	term.tick()
	term.tick()
	failure := errors.New("no log")
	if err := term.End(step("Wait", build.StepAborted, time.Second), func(io.Writer) error { return failure }); !errors.Is(err, failure) {
		t.Error(err)
	}
	term.Finish(Result{State: build.Aborted, Error: build.StoppedMessage})
	if got := screen(t, out.String()); got != "✗ Wait  1s  stopped\nThe build was stopped.\n" {
		t.Errorf("the screen: %q", got)
	}
	if n := strings.Count(out.String(), "waiting"); n != 1 {
		t.Errorf("the same is drawn %d times", n)
	}
}

// What is wrong with a file is said where editors look for it, once.
func TestTerminalWithoutBuild(t *testing.T) {
	t.Parallel()
	for _, result := range []Result{{}, {State: build.Unschedulable, Error: "build.yml:1:1: odd"}} {
		var out strings.Builder
		terminal(24, &out).Finish(result)
		if out.String() != "" {
			t.Errorf("%+v: printed %q", result, out.String())
		}
	}
}

// A line without end takes no more memory than a line, and a progress bar goes on for ever.
func TestTerminalLongLine(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	term := terminal(1, &out)
	term.Begin(step("Long", build.StepRunning, 0))
	for i := range 10_000 {
		fmt.Fprintf(term, "%d%%\r", i)
	}
	if len(term.line) > longest || visible(string(term.line)) != "9999%" {
		t.Errorf("%d bytes are kept, %q is shown", len(term.line), visible(string(term.line)))
	}
	fmt.Fprint(term, "\n"+strings.Repeat("x", 10*longest))
	if len(term.line) > longest || len(term.lines) != 1 {
		t.Errorf("%d bytes and %d lines are kept", len(term.line), len(term.lines))
	}
	term.tick()
	if got := screen(t, out.String()); got != "▸ Long  2s\n" {
		t.Errorf("without room for output: %q", got)
	}
}
