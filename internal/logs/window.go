package logs

import (
	"bytes"
	"unicode/utf8"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// Window asks for some lines of a part of a log.
type Window struct {
	Start, End int64 // of the part, in bytes; an End of 0 is the present end of the log
	Lines      int   // at most; 0 for as many as one answer holds
	Last       bool  // the last lines of the part instead of the first
}

// Part is some text of a log and where it stands. The lines behind it are in a window that starts at its End, those before it
// in one that ends at its Start.
type Part struct {
	Text       []byte
	Start, End int64
}

// Window returns lines of a log. They are whole, except where the window cuts them, the last one of a log that grows, and one
// that is longer than 4 MiB, which comes in several parts. As in [Store.Read], no character is split at the end.
func (s *Store) Window(id build.RecordID, w Window, final bool) (Part, error) {
	if w.Start < 0 || w.End < 0 {
		return Part{}, fault.Field("start_offset and end_offset", "must be 0 or more, found %d and %d", w.Start, w.End)
	}
	if w.Last {
		return s.lastLines(id, w, final)
	}
	end := w.Start + maxChunk
	if w.End > 0 {
		end = min(end, w.End)
	}
	text, err := s.readAt(id, w.Start, end, final)
	if err != nil {
		return Part{}, err
	}
	text = text[:firstLines(text, w.Lines)]
	return Part{Text: text, Start: w.Start, End: w.Start + int64(len(text))}, nil
}

func (s *Store) lastLines(id build.RecordID, w Window, final bool) (Part, error) {
	size, err := s.Size(id)
	if err != nil {
		return Part{}, err
	}
	end := size
	if w.End > 0 {
		end = min(end, w.End)
	}
	start := max(w.Start, end-maxChunk)
	text, err := s.readAt(id, start, end, final)
	if err != nil {
		return Part{}, err
	}
	from := startOfLast(text, w.Lines)
	if from == 0 && start > w.Start {
		from = wholeLine(text)
	}
	return Part{Text: text[from:], Start: start + int64(from), End: start + int64(len(text))}, nil
}

// firstLines returns where the first n lines of text end; n = 0 stands for all.
func firstLines(text []byte, n int) int {
	at := 0
	for ; n > 0; n-- {
		i := bytes.IndexByte(text[at:], '\n')
		if i < 0 {
			return len(text)
		}
		if at += i + 1; n == 1 {
			return at
		}
	}
	return len(text)
}

// startOfLast returns where the last n lines of text begin; n = 0 stands for all.
func startOfLast(text []byte, n int) int {
	at := len(bytes.TrimSuffix(text, []byte("\n")))
	for ; n > 0; n-- {
		i := bytes.LastIndexByte(text[:at], '\n')
		if i < 0 {
			return 0
		}
		if at = i; n == 1 {
			return at + 1
		}
	}
	return 0
}

// wholeLine returns where the first line of text that is there from its beginning begins. In a single long line it is the first
// whole character.
func wholeLine(text []byte) int {
	if i := bytes.IndexByte(text, '\n'); i >= 0 && i+1 < len(text) {
		return i + 1
	}
	for i := range min(len(text), utf8.UTFMax) {
		if utf8.RuneStart(text[i]) {
			return i
		}
	}
	return 0
}
