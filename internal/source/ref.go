package source

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"atelier/internal/fault"
)

// MaxRef is the longest name of a branch or a tag that is accepted, in bytes.
const MaxRef = 255

// CheckRef returns nil for a name that a branch or a tag can have by the rules of git, and otherwise a fault.Invalid error.
func (Policy) CheckRef(name string) error {
	if why := badRef(name); why != "" {
		return fault.New(fault.Invalid, "branch or tag name %s", why)
	}
	return nil
}

func badRef(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > MaxRef:
		return "has more than 255 bytes"
	case !utf8.ValidString(name):
		return "is not UTF-8"
	case name[0] == '-':
		return "must not begin with a hyphen"
	case name == "@" || name == "HEAD":
		return "must not be @ or HEAD"
	case strings.Contains(name, "..") || strings.Contains(name, "@{"):
		return "must not contain .. or @{"
	case strings.HasSuffix(name, "."):
		return "must not end with a dot"
	case strings.ContainsAny(name, " ~^:?*[\\\x7f") || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }):
		return `must not contain a space, a control character or any of ~ ^ : ? * [ \`
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "":
			return "must not begin or end with a slash, nor contain two in a row"
		case part[0] == '.':
			return "must not have a part that begins with a dot"
		case strings.HasSuffix(part, ".lock"):
			return "must not have a part that ends with .lock"
		}
	}
	return ""
}

var commitID = regexp.MustCompile(`^([0-9a-fA-F]{7,40}|[0-9a-fA-F]{64})$`)

// CheckCommit returns nil for a commit id, whole or abbreviated, and otherwise a fault.Invalid error.
func (Policy) CheckCommit(id string) error {
	if !commitID.MatchString(id) {
		return fault.New(fault.Invalid, "commit id must be 7 to 40, or 64, hexadecimal digits")
	}
	return nil
}

// wholeID reports whether a valid commit id is not abbreviated.
func wholeID(id string) bool { return len(id) == 40 || len(id) == 64 }
