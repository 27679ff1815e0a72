package logs

import (
	"bytes"
	"fmt"

	"atelier/internal/logs/mask"
)

// Sizes of the pieces in which output is handled. They bound the memory that a log takes, and the time for which a step that
// prints much makes others wait.
const (
	pieceSize = 256 << 10
	writeSize = 512 << 10 // a piece of short lines grows by their time stamps
)

// Output takes what a step prints, as it comes: it needs not be lines, or text. It is used by one goroutine at a time.
//
// A line that the step has not ended, such as a prompt, is written at once, and the step may go on with it. When somebody else
// writes a line in between, the step's line is ended first, and what comes of it later becomes a line of its own.
type Output struct {
	masked *mask.Writer
	lines  *lines
}

func newOutput(l *Log, m *mask.Masker) *Output {
	w := &lines{log: l}
	return &Output{masked: m.Writer(w), lines: w}
}

// Write implements [io.Writer]. All of p is in the file when it returns, except at its end what may be the beginning of a
// secret. An error is an [ErrWrite].
func (o *Output) Write(p []byte) (int, error) {
	if o.lines.log.isFull() {
		return len(p), nil
	}
	for n := 0; n < len(p); n += pieceSize {
		if _, err := o.masked.Write(p[n:min(len(p), n+pieceSize)]); err != nil {
			return n, err
		}
	}
	return len(p), nil
}

// Close writes what was kept back and ends the line, at the end of the step.
func (o *Output) Close() error {
	if err := o.masked.Flush(); err != nil {
		return err
	}
	return o.lines.close()
}

// lines puts a time stamp before every line that is written to it.
type lines struct{ log *Log }

// Write adds text without secrets to the log.
func (w *lines) Write(text []byte) (int, error) {
	l := w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full {
		return len(text), nil
	}
	stamp := l.stamp.at(l.store.config.Now())
	l.buf = l.newLine(w)
	begun := l.begun && len(l.buf) == 0
	for rest := text; len(rest) > 0; {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line = rest[:i+1]
		}
		rest = rest[len(line):]
		if !l.fits(line, begun) {
			return len(text), l.cut(line, begun)
		}
		if !begun {
			l.buf = append(l.buf, stamp...)
		}
		l.buf = append(l.buf, line...)
		begun = line[len(line)-1] != '\n'
		if len(l.buf) >= writeSize || len(rest) == 0 {
			if err := l.write(w); err != nil {
				return 0, err
			}
			l.buf = l.buf[:0]
		}
	}
	return len(text), nil
}

// close ends the last line, if it is w's.
func (w *lines) close() error {
	l := w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writer != w {
		return nil
	}
	l.buf = l.newLine(nil)
	return l.write(nil)
}

// fits reports whether there is room for a line and its end behind the buffer.
func (l *Log) fits(line []byte, begun bool) bool {
	need := len(line)
	if !begun {
		need += stampLen
	}
	if line[len(line)-1] != '\n' {
		need++
	}
	return need <= l.room()-len(l.buf)
}

// cut writes as much of a line as there is room for, and says that this was all.
func (l *Log) cut(line []byte, begun bool) error {
	room := l.room() - len(l.buf) - 1 // for the end of the line
	if !begun && room > stampLen {
		l.buf = append(l.buf, l.stamp.text...)
		room -= stampLen
		begun = true
	}
	if begun {
		line = line[:min(len(line), max(0, room))]
		l.buf = append(l.buf, line[:len(line)-incomplete(line)]...)
		l.buf = append(l.buf, '\n')
	}
	l.buf = l.appendOwn(l.buf, "WARN", fmt.Sprintf("The log was cut at %d bytes. The build goes on.", l.store.config.Limit))
	l.full = true
	return l.write(nil)
}

func (l *Log) isFull() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.full
}
