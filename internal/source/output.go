package source

import (
	"bytes"
	"errors"
	"io"
	"regexp"
)

// errTooMuch is the error of a command that printed more than its limit; what it printed up to there is returned with it.
var errTooMuch = errors.New("the output is too large")

// head keeps the beginning of what is written, and refuses more.
type head struct {
	bytes.Buffer
	limit int
}

func (h *head) Write(p []byte) (int, error) {
	room := h.limit - h.Len()
	if len(p) <= room {
		return h.Buffer.Write(p)
	}
	n, _ := h.Buffer.Write(p[:room])
	return n, errTooMuch
}

// tail keeps the end of what is written.
type tail struct {
	text  []byte
	limit int
}

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if extra := len(t.text) - t.limit; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.text) }

// clean passes whole lines on, without the credentials that may stand in them.
type clean struct {
	out  io.Writer
	line []byte
}

// maxLine is how much of a line waits for its end.
const maxLine = 64 << 10

func (c *clean) Write(p []byte) (int, error) {
	c.line = append(c.line, p...)
	end := bytes.LastIndexAny(c.line, "\n\r") + 1
	if end == 0 && len(c.line) > maxLine {
		end = len(c.line)
	}
	if end == 0 {
		return len(p), nil
	}
	_, err := io.WriteString(c.out, withoutCredentials(string(c.line[:end])))
	c.line = append(c.line[:0], c.line[end:]...)
	return len(p), err
}

// Flush passes on what is not a whole line.
func (c *clean) Flush() error {
	if len(c.line) == 0 {
		return nil
	}
	_, err := io.WriteString(c.out, withoutCredentials(string(c.line)))
	c.line = nil
	return err
}

var userInfo = regexp.MustCompile(`(https?://)[^/@\s]+@`)

// withoutCredentials hides what stands before the host of web addresses in a text of git: the server's configuration may have
// put a token there.
func withoutCredentials(text string) string { return userInfo.ReplaceAllString(text, "$1***@") }
