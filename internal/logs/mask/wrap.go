package mask

import "strings"

// Tools break base64 into lines, 76 digits each or 64, and a secret may stand across a break. So after a line that looks like
// it, a second search goes on as if the break were not there, until it has nothing left from before the break.

// minColumns is how long a line of base64 digits must be to count as broken by a tool. Without it, a digit at the end of any
// line could be the beginning of a secret, and would have to be kept back; and so would any number of empty lines behind it.
const minColumns = 60

// wrap is a search across line breaks.
type wrap struct {
	state  int32 // the longest end of the stream without its breaks that begins a pattern which may have some; 0: not active
	start  int   // where that begins
	breaks []int // where they stand, in order
}

func (s *wrap) active() bool { return s.state != 0 }

// lineBreak begins a search across the break at at, when something has begun there, or has the present one cross it. The state
// is the one before the break.
func (w *Writer) lineBreak(data []byte, at int, state int32) {
	s := &w.wrap
	if !s.active() {
		state = w.automaton.wrapping(state)
		if state == 0 || digitsBefore(data, at, w.run) < minColumns {
			return
		}
		*s = wrap{state: state, start: at - w.automaton.depth(state), breaks: s.breaks[:0]}
	} else if crlf := data[at] == '\n' && data[at-1] == '\r'; !crlf && digitsBefore(data, at, w.run) < minColumns {
		s.state = 0
		return
	}
	s.breaks = append(s.breaks, at)
}

// followWrap goes on with the search, by the byte at at.
func (w *Writer) followWrap(data []byte, at int) {
	a, s := w.automaton, &w.wrap
	before := a.depth(s.state) + 1
	s.state = a.wrapping(a.next(s.state, data[at]))
	for drop := before - a.depth(s.state); drop > 0 || s.start < at && isBreak(data[s.start]); s.start++ {
		if !isBreak(data[s.start]) {
			drop--
		}
	}
	if s.start > s.breaks[len(s.breaks)-1] {
		s.state = 0 // the other search sees all of it
		return
	}
	if n := int(a.nodes[s.state].wrapMatch); n > 0 {
		start := at + 1 - n
		for i := len(s.breaks) - 1; i >= 0 && s.breaks[i] >= start; i-- {
			start--
		}
		w.found(span{start, at + 1})
	}
}

// shift moves the search to where the data is after its first n bytes were dropped.
func (s *wrap) shift(n int) {
	s.start -= n
	for i := range s.breaks {
		s.breaks[i] -= n
	}
}

// digitsBefore counts the base64 digits in a row that end before at, of which there are run more before the data.
func digitsBefore(data []byte, at, run int) int {
	n := 0
	for n < minColumns && n < at && isDigit(data[at-n-1]) {
		n++
	}
	if n == at {
		n += run
	}
	return min(n, minColumns)
}

func isBreak(c byte) bool { return c == '\n' || c == '\r' }

func isDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("+/-_", c) >= 0
}
