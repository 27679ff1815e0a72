package report

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits of one file.
const (
	MaxFile   = 32 << 20 // bytes
	maxMarkup = 1 << 20  // bytes between < and >, because the attributes of an element are held together
	maxLevels = 100
)

var (
	errFile   = fmt.Errorf("has more than %d MiB", MaxFile>>20)
	errMarkup = fmt.Errorf("has an element with more than %d KiB of attributes", maxMarkup>>10)
	errLevels = fmt.Errorf("has more than %d levels of elements", maxLevels)
)

// elements reads the elements of an XML file. Texts, and entities that the file defines, mean nothing in any report.
type elements struct {
	decoder *xml.Decoder
	names   []string // of the open elements, the outermost first
}

func newElements(r io.Reader) *elements {
	d := xml.NewDecoder(bufio.NewReader(&guard{sized: sized{r: r}}))
	d.CharsetReader = charset
	return &elements{decoder: d}
}

// next returns the next start or end of an element; io.EOF when the outermost one is closed and nothing follows.
func (e *elements) next() (xml.Token, error) {
	for {
		token, err := e.decoder.Token()
		if err != nil {
			return nil, explain(err, len(e.names))
		}
		switch t := token.(type) {
		case xml.StartElement:
			if len(e.names) == maxLevels {
				return nil, errLevels
			}
			e.names = append(e.names, t.Name.Local)
			return t, nil
		case xml.EndElement:
			e.names = e.names[:len(e.names)-1]
			return t, nil
		}
	}
}

// explain puts an error of the decoder into words, with the line where it knows one.
func explain(err error, open int) error {
	var syntax *xml.SyntaxError
	switch {
	case errors.Is(err, io.EOF) && open == 0:
		return io.EOF
	case errors.As(err, &syntax):
		return fmt.Errorf("is not XML: line %d: %s", syntax.Line, shorten(syntax.Msg))
	default:
		return err
	}
}

// root returns the outermost element. An empty file has none: io.EOF.
func (e *elements) root() (xml.StartElement, error) {
	token, err := e.next()
	if err != nil {
		return xml.StartElement{}, err
	}
	start, _ := token.(xml.StartElement) // nothing else comes first
	return start, nil
}

// each calls do with every element below the root, until the root is closed. When do is called, names ends with the element's own.
func (e *elements) each(do func(xml.StartElement) error) error {
	for len(e.names) > 0 {
		token, err := e.next()
		if err != nil {
			return err
		}
		if start, ok := token.(xml.StartElement); ok {
			if err := do(start); err != nil {
				return err
			}
		}
	}
	return nil
}

// parent returns the name of the element that is n levels above the present one; empty when there is none.
func (e *elements) parent(n int) string {
	if i := len(e.names) - 1 - n; i >= 0 {
		return e.names[i]
	}
	return ""
}

// attribute returns an attribute of an element, empty when it has none of the name.
func attribute(start xml.StartElement, name string) string {
	for _, a := range start.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// charset reads the other encodings that test tools still write. What they have beyond Latin 1 only shows in names.
func charset(label string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "latin1", "windows-1252", "cp1252":
		return &latin1{r: bufio.NewReader(r)}, nil
	default:
		return nil, fmt.Errorf("is written in %.40q; UTF-8 is read", label)
	}
}

// latin1 makes UTF-8 of ISO 8859-1.
type latin1 struct {
	r    *bufio.Reader
	rest byte // the second byte of a character of which the first was read; 0 for none
}

// ReadByte implements [io.ByteReader], by which the decoder reads.
func (l *latin1) ReadByte() (byte, error) {
	if b := l.rest; b != 0 {
		l.rest = 0
		return b, nil
	}
	b, err := l.r.ReadByte()
	if err == nil && b >= 0x80 {
		b, l.rest = 0xc0|b>>6, 0x80|b&0x3f
	}
	return b, err
}

// Read implements [io.Reader].
func (l *latin1) Read(p []byte) (int, error) {
	for i := range p {
		b, err := l.ReadByte()
		if err != nil {
			return i, err
		}
		p[i] = b
	}
	return len(p), nil
}
