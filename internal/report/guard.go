package report

import (
	"bytes"
	"io"
)

// sized hands a file on that is not too large.
type sized struct {
	r     io.Reader
	total int
}

// Read implements [io.Reader].
func (s *sized) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if s.total += n; s.total > MaxFile {
		return 0, errFile
	}
	return n, err
}

// guard hands an XML file on as long as it keeps to the limits. The decoder holds all attributes of an element at once, each in many times
// its bytes, so the length of what stands between < and > has to be looked at before it does. Control characters, which XML forbids and
// the colours of captured output consist of, become blanks.
type guard struct {
	sized
	place place
	size  int    // of the markup so far
	quote byte   // that is open in it, 0 for none
	seen  []byte // the beginning of the markup, or the last bytes of a comment or a section
}

type place int

const (
	inText place = iota
	inMarkup
	inComment
	inSection // <![CDATA[ … ]]>
)

// Read implements [io.Reader].
func (g *guard) Read(p []byte) (int, error) {
	n, err := g.sized.Read(p)
	for i, b := range p[:n] {
		if b < ' ' && b != '\t' && b != '\n' && b != '\r' {
			p[i] = ' '
		}
		g.take(b)
		if g.size > maxMarkup {
			return 0, errMarkup
		}
	}
	return n, err
}

func (g *guard) take(b byte) {
	switch g.place {
	case inText:
		if b == '<' {
			g.place, g.size, g.quote, g.seen = inMarkup, 1, 0, append(g.seen[:0], b)
		}
	case inMarkup:
		g.markup(b)
	case inComment, inSection:
		end := "-->"
		if g.place == inSection {
			end = "]]>"
		}
		if g.seen = append(g.seen, b); len(g.seen) > len(end) {
			copy(g.seen, g.seen[1:])
			g.seen = g.seen[:len(end)]
		}
		if string(g.seen) == end {
			g.place = inText
		}
	}
}

func (g *guard) markup(b byte) {
	const comment, section = "<!--", "<![CDATA["
	g.size++
	if len(g.seen) < len(section) {
		g.seen = append(g.seen, b)
	}
	switch {
	case g.quote != 0:
		if b == g.quote {
			g.quote = 0
		}
	case g.size == len(comment) && string(g.seen) == comment:
		g.place, g.size, g.seen = inComment, 0, g.seen[:0]
	case g.size == len(section) && string(g.seen) == section:
		g.place, g.size, g.seen = inSection, 0, g.seen[:0]
	case b == '>':
		g.place, g.size = inText, 0
	case (b == '"' || b == '\'') && !bytes.HasPrefix(g.seen, []byte("<?")):
		g.quote = b
	}
}
