package logs

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// debugMark begins a line that the level INFO leaves out, behind its time stamp. Commands print such lines too.
var debugMark = []byte("[DEBUG]")

// WithoutDebug returns what r has, without the lines of the level DEBUG. It must begin where a line does.
func WithoutDebug(r io.Reader) io.Reader {
	return &levelReader{r: bufio.NewReaderSize(r, 64<<10), atLine: true}
}

type levelReader struct {
	r      *bufio.Reader
	piece  []byte // of a line: what is still to be given out
	atLine bool   // the next piece begins a line
	drop   bool   // this line is left out
}

// Read implements [io.Reader]. It fills p as far as it can, so that many short lines do not become many short reads.
func (l *levelReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(l.piece) == 0 {
			if err := l.fill(); err != nil {
				if n > 0 {
					return n, nil
				}
				return 0, err
			}
		}
		c := copy(p[n:], l.piece)
		l.piece = l.piece[c:]
		n += c
	}
	return n, nil
}

// fill gets the next piece of a line, which is empty when the line is left out.
func (l *levelReader) fill() error {
	if l.atLine {
		head, _ := l.r.Peek(stampLen + len(debugMark))
		l.drop = len(head) > stampLen && bytes.HasPrefix(head[stampLen:], debugMark)
	}
	piece, err := l.r.ReadSlice('\n')
	l.atLine = err == nil
	if errors.Is(err, bufio.ErrBufferFull) || len(piece) > 0 {
		err = nil // an end after something comes again
	}
	if !l.drop {
		l.piece = piece
	}
	return err
}
