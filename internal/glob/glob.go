// Package glob matches the files of a workspace against the patterns of build files.
//
// A pattern is a path below the workspace. In a segment of it, * stands for any characters, also none, and ? for exactly one; a
// segment ** stands for any number of directories, also none. Upper and lower case are the same.
package glob

import (
	"strings"
	"unicode/utf8"

	"atelier/internal/fault"
)

// maxPattern is how long a pattern may be, in bytes.
const maxPattern = 4096

// anyDirs is the segment that stands for any number of directories.
const anyDirs = "**"

// Pattern is a pattern that was understood. The zero value matches nothing.
type Pattern struct{ segments []string }

// Parse reads a pattern. The error is a fault.Invalid with a sentence to put behind the name of the argument.
func Parse(text string) (Pattern, error) {
	refuse := func(why string) error { return fault.New(fault.Invalid, "%s, found %q", why, shorten(text)) }
	switch {
	case len(text) > maxPattern:
		return Pattern{}, fault.New(fault.Invalid, "has %d bytes, at most %d are allowed", len(text), maxPattern)
	case !utf8.ValidString(text) || strings.Contains(text, "\x00"):
		return Pattern{}, refuse("must be a text without zero bytes")
	case strings.HasPrefix(text, "/"):
		return Pattern{}, refuse("must be relative to the workspace, without a slash at its beginning")
	case strings.HasSuffix(text, "/"):
		return Pattern{}, refuse("must name files; a directory and all below it is written with ** behind the slash")
	}
	var p Pattern
	for s := range strings.SplitSeq(text, "/") {
		switch {
		case s == "..":
			return Pattern{}, refuse("must not lead out of the workspace with ..")
		case s == "" || s == ".":
		case s == anyDirs && len(p.segments) > 0 && p.segments[len(p.segments)-1] == anyDirs: // the same as one
		default:
			p.segments = append(p.segments, fold(s))
		}
	}
	if len(p.segments) == 0 {
		return Pattern{}, refuse("must name files")
	}
	if p.segments[len(p.segments)-1] == anyDirs {
		p.segments = append(p.segments, "*") // the files of those directories
	}
	return p, nil
}

// Match reports whether the pattern matches a file, whose path is relative to the workspace, clean, and has slashes. Nothing of a
// repository's own directory .git at the root matches.
func (p Pattern) Match(path string) bool {
	if path == "" || path == ".git" || strings.HasPrefix(path, ".git/") {
		return false
	}
	return match(p.segments, strings.Split(path, "/"), anyDirs, matchSegment)
}

// matchSegment matches the name of a file or directory.
func matchSegment(pattern, name string) bool {
	return match([]rune(pattern), []rune(fold(name)), '*', func(p, c rune) bool { return p == '?' || p == c })
}

// match matches a sequence in which any stands for any number of elements. After a mismatch it lets the last any take one more; what
// earlier ones took need not be tried again, so the time is at most the product of both lengths.
func match[T comparable](pattern, path []T, anyNumber T, one func(pattern, element T) bool) bool {
	p, i := 0, 0
	last, taken := -1, 0 // the last any, and how far it goes
	for i < len(path) {
		switch {
		case p < len(pattern) && pattern[p] == anyNumber:
			last, taken = p, i
			p++
		case p < len(pattern) && one(pattern[p], path[i]):
			p, i = p+1, i+1
		case last >= 0:
			taken++
			p, i = last+1, taken
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == anyNumber {
		p++
	}
	return p == len(pattern)
}

// fold removes the difference of case.
func fold(s string) string { return strings.ToLower(strings.ToUpper(s)) }

func shorten(s string) string {
	const longest = 80
	if r := []rune(s); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return s
}
