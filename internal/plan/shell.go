package plan

import (
	"errors"
	"io"
	"runtime"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// parseShell parses a script. Its depth is bounded: the parser recurses, and what it makes of a script is walked recursively, so that a script of
// nothing but opening brackets would need more stack than a program may have.
func parseShell(script string) (*syntax.File, error) {
	return syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(&shallowReader{text: script}, "")
}

// errNested is the error of a script whose commands stand too deep in each other.
var errNested = errors.New("the commands are nested too deep")

// shallowReader hands out a script in small parts, as long as the parser that asks for them does not stand too deep in its own recursion.
type shallowReader struct{ text string }

const (
	maxFrames   = 4000 // of the stack; a level of commands takes about ten
	readAtATime = 256  // bytes
)

// Read implements [io.Reader].
func (r *shallowReader) Read(p []byte) (int, error) {
	var frame [1]uintptr
	if runtime.Callers(maxFrames, frame[:]) > 0 {
		return 0, errNested
	}
	if r.text == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), readAtATime)], r.text)
	r.text = r.text[n:]
	return n, nil
}

// literal returns the text of a word that has no expansions; false for any other one.
func literal(w *syntax.Word) (string, bool) {
	var b strings.Builder
	var add func(parts []syntax.WordPart) bool
	add = func(parts []syntax.WordPart) bool {
		for _, part := range parts {
			switch p := part.(type) {
			case *syntax.Lit:
				b.WriteString(strings.ReplaceAll(p.Value, `\`, ""))
			case *syntax.SglQuoted:
				b.WriteString(p.Value)
			case *syntax.DblQuoted:
				if !add(p.Parts) {
					return false
				}
			default:
				return false
			}
		}
		return true
	}
	ok := w != nil && add(w.Parts)
	return b.String(), ok
}
