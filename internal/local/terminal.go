package local

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"atelier/internal/build"
)

// Terminal shows a line for each step, and below the one that runs the end of its output. Of a step that has failed all output
// stays.
type Terminal struct {
	out  io.Writer
	rows func() int
	now  func() time.Time

	quit  chan struct{}
	clock sync.WaitGroup

	mu    sync.Mutex
	step  *Step    // that runs
	lines []string // the last of its output
	line  []byte   // that has no end yet
	drawn string   // what is on the screen to be drawn anew
}

// Sizes of what is shown of a step that runs.
const (
	mostLines = 10
	longest   = 4 << 10 // of a line, in bytes
	redraw    = 100 * time.Millisecond
)

// NewTerminal returns a display on a terminal with so many rows. It must be finished.
func NewTerminal(out io.Writer, rows func() int) *Terminal {
	t := &Terminal{out: out, rows: rows, now: time.Now, quit: make(chan struct{})}
	t.clock.Go(func() {
		ticker := time.NewTicker(redraw)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				t.tick()
			case <-t.quit:
				return
			}
		}
	})
	return t
}

// Write implements [Display]. The next tick shows what belongs to a step. Of the rest only warnings matter: the lines of the steps
// and Finish say all else.
func (t *Terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.step != nil {
		t.keep(p)
		return len(p), nil
	}
	for line := range bytes.Lines(p) {
		if bytes.HasPrefix(line, []byte("[WARN] ")) {
			if _, err := t.out.Write(line); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

// keep adds to the output of the step that runs.
func (t *Terminal) keep(p []byte) {
	for piece := range bytes.Lines(p) {
		t.line = append(t.line, piece...)
		if piece[len(piece)-1] == '\n' {
			t.keepLine(string(t.line))
			t.line = t.line[:0]
			continue
		}
		if len(t.line) > longest { // a progress bar goes on behind its last carriage return
			begin := bytes.LastIndexByte(t.line[:len(t.line)-1], '\r') + 1
			t.line = slices.Clone(t.line[begin:min(len(t.line), begin+longest)])
		}
	}
}

// keepLine keeps a line of the output, unless it is about the begin or the end of a step or a job.
func (t *Terminal) keepLine(line string) {
	if !strings.HasPrefix(line, "[INFO] [") {
		t.lines = append(t.lines, line)
		t.lines = t.lines[max(0, len(t.lines)-mostLines):]
	}
}

// Begin implements [Display].
func (t *Terminal) Begin(step Step) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.step, t.lines, t.line = &step, nil, nil
	t.draw()
}

// End implements [Display].
func (t *Terminal) End(step Step, output func(io.Writer) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.step = nil
	mark, note := "✓", ""
	switch {
	case step.Ignored:
		mark, note = "!", fmt.Sprintf("  exit code %d, ignored", step.ExitCode)
	case step.State == build.StepAborted:
		mark, note = "✗", "  stopped"
	case step.State != build.StepSucceeded:
		mark, note = "✗", "  failed"
	}
	t.print(fmt.Sprintf("%s %s  %s%s\n", mark, step.title(), took(step.RunTime(t.now())), note))
	if mark != "✗" {
		return nil
	}
	return output(t.out)
}

// Finish says how the build ended. It must be called once, after everything else.
func (t *Terminal) Finish(result Result) {
	close(t.quit)
	t.clock.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.step = nil
	switch result.State {
	case build.Succeeded:
		t.print("The build succeeded.\n")
	case build.Unschedulable, "": // why is said elsewhere
		t.print("")
	default:
		t.print(result.Error + "\n")
	}
}

// tick shows what has come since the last time.
func (t *Terminal) tick() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.step != nil {
		t.draw()
	}
}

// draw shows the step that runs. The terminal cuts what is too long for a line, since it alone knows how wide characters are.
func (t *Terminal) draw() {
	lines := []string{fmt.Sprintf("▸ %s  %s", t.step.title(), t.step.RunTime(t.now()).Truncate(time.Second))}
	output := t.lines
	if len(t.line) > 0 {
		output = append(slices.Clone(output), string(t.line))
	}
	room := min(mostLines, max(0, t.rows()-2)) // the last row is the cursor's
	for _, line := range output[max(0, len(output)-room):] {
		lines = append(lines, "  "+visible(line))
	}
	text := "\x1b[?7l" + strings.Join(lines, "\n") + "\n\x1b[?7h"
	if text != t.drawn {
		t.print(text)
		t.drawn = text
	}
}

// print writes in the place of what is drawn anew.
func (t *Terminal) print(text string) {
	if rows := strings.Count(t.drawn, "\n"); rows > 0 {
		text = fmt.Sprintf("\x1b[%dA\r\x1b[J", rows) + text
	}
	t.drawn = ""
	_, _ = io.WriteString(t.out, text) // what is wrong with it shows when the log is written
}

// took shows a duration with as many digits as people want.
func took(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

var escapes = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)?`)

// visible returns a line as a terminal would leave it, without what moves the cursor or changes colours.
func visible(line string) string {
	text := strings.TrimRight(line, "\r\n")
	text = text[strings.LastIndexByte(text, '\r')+1:]
	text = escapes.ReplaceAllString(strings.ToValidUTF8(text, "�"), "")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\t' {
			return -1
		}
		return r
	}, text)
}
