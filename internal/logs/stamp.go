package logs

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// stampLen is the length of a time stamp with the space behind it. It is the same in all zones.
const stampLen = len("[2006/01/02 15:04:05.000 GMT+08:00] ")

const millisAt = len("[2006/01/02 15:04:05.")

// stamp is the time stamp of a line. What is before the milliseconds, and the zone, is made once a second.
type stamp struct {
	zone   *time.Location
	second int64
	text   []byte
}

// at returns the stamp of a moment, which is good until the next call.
func (s *stamp) at(t time.Time) []byte {
	if second := t.Unix(); second != s.second || s.text == nil {
		t := t.In(s.zone)
		_, offset := t.Zone()
		sign := '+'
		if offset < 0 {
			sign, offset = '-', -offset
		}
		s.second = second
		s.text = t.AppendFormat(s.text[:0], "[2006/01/02 15:04:05.000 GMT")
		s.text = fmt.Appendf(s.text, "%c%02d:%02d] ", sign, offset/3600, offset/60%60)
	}
	millis := t.Nanosecond() / 1e6
	s.text[millisAt] = byte('0' + millis/100)
	s.text[millisAt+1] = byte('0' + millis/10%10)
	s.text[millisAt+2] = byte('0' + millis%10)
	return s.text
}

// WithoutStamps returns a writer that passes a log on without its time stamps. What is written to it first must begin where a
// line does.
func WithoutStamps(w io.Writer) io.Writer { return &stampless{w: w, rest: stampLen} }

type stampless struct {
	w    io.Writer
	rest int // of the line's stamp, which has not come yet
	buf  []byte
}

// Write implements [io.Writer].
func (s *stampless) Write(p []byte) (int, error) {
	s.buf = s.buf[:0]
	for rest := p; len(rest) > 0; {
		n := min(s.rest, len(rest))
		s.rest -= n
		rest = rest[n:]
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			end = len(rest)
		} else {
			s.rest = stampLen
		}
		s.buf = append(s.buf, rest[:end]...)
		rest = rest[end:]
	}
	if len(s.buf) == 0 {
		return len(p), nil
	}
	if _, err := s.w.Write(s.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}
