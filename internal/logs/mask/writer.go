package mask

import "io"

// Writer replaces secrets in a stream, however the stream is cut into writes. It keeps back only bytes that may turn out to
// belong to a secret, and passes on the rest in one write for each that it gets. It is used by one goroutine at a time.
//
// All occurrences of all patterns are hidden, also where they overlap; those that overlap become one [Mask].
type Writer struct {
	automaton *automaton // nil when there is nothing to hide
	w         io.Writer
	held      []byte // the end of the stream: what may be part of a secret
	out       []byte // reused; nothing in it between calls

	state int32  // the longest end of the stream that begins a pattern
	wrap  wrap   // the same across line breaks
	hide  []span // found and not yet written, in order; indices into held
	run   int    // how many base64 digits in a row stand before held, at most minColumns
}

// span is a part of the data at hand.
type span struct{ start, end int }

// Writer returns a writer that passes on to w what is written to it, without secrets.
func (m *Masker) Writer(w io.Writer) *Writer {
	if m == nil {
		return &Writer{w: w}
	}
	return &Writer{automaton: m.automaton, w: w}
}

// Write implements [io.Writer]. What it does not keep back has been written when it returns.
func (w *Writer) Write(p []byte) (int, error) {
	if w.automaton == nil {
		return w.w.Write(p)
	}
	data, searched := p, 0
	if len(w.held) > 0 {
		searched = len(w.held)
		w.held = append(w.held, p...)
		data = w.held
	}
	w.search(data, searched)
	keep := len(data) - w.automaton.depth(w.state)
	if w.wrap.active() {
		keep = min(keep, w.wrap.start)
	}
	if err := w.release(data, keep); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what was kept back, at the end of the stream. The beginning of a secret is none.
func (w *Writer) Flush() error {
	if w.automaton == nil {
		return nil
	}
	err := w.release(w.held, len(w.held))
	w.state, w.wrap, w.run = 0, wrap{}, 0
	return err
}

// search looks for patterns in the data from at on; what stands before has been searched.
func (w *Writer) search(data []byte, at int) {
	a, state := w.automaton, w.state
	for at < len(data) {
		if begin := at - a.depth(state); begin >= at-1 && !w.wrap.active() {
			if next := a.filter.skip(data, begin); next > begin {
				state, at = 0, next
				continue
			}
		}
		c := data[at]
		if isBreak(c) {
			w.lineBreak(data, at, state)
		} else if w.wrap.active() {
			w.followWrap(data, at)
		}
		state = a.next(state, c)
		at++
		if n := int(a.nodes[state].match); n > 0 {
			w.found(span{at - n, at})
		}
	}
	w.state = state
}

// found notes an occurrence. None that comes later ends before this one does.
func (w *Writer) found(s span) {
	last := len(w.hide) - 1
	for ; last >= 0 && w.hide[last].end > s.start; last-- {
		s.start = min(s.start, w.hide[last].start)
	}
	w.hide = append(w.hide[:last+1], s)
}

// release writes the data up to keep, and holds the rest. Nothing that begins before keep will be found any more.
func (w *Writer) release(data []byte, keep int) error {
	w.out = w.out[:0]
	done, hidden := 0, 0
	for ; hidden < len(w.hide) && w.hide[hidden].end <= keep; hidden++ {
		w.out = append(w.out, data[done:w.hide[hidden].start]...)
		w.out = append(w.out, Mask...)
		done = w.hide[hidden].end
	}
	open := w.hide[hidden:]
	end := keep
	if len(open) > 0 {
		end = min(keep, open[0].start) // the rest before keep is hidden; the mask follows when it is known where that ends
	}
	out := data[done:end]
	if len(w.out) > 0 {
		w.out = append(w.out, out...)
		out = w.out
	}
	var err error
	if len(out) > 0 {
		_, err = w.w.Write(out)
	}
	w.forget(data, keep, open)
	return err
}

// forget drops the data before keep, which has been written or is hidden.
func (w *Writer) forget(data []byte, keep int, open []span) {
	w.run = digitsBefore(data, keep, w.run)
	w.wrap.shift(keep)
	w.held = append(w.held[:0], data[keep:]...)
	w.hide = append(w.hide[:0], open...)
	for i, s := range w.hide {
		w.hide[i] = span{max(0, s.start-keep), s.end - keep}
	}
}
