package plan

import (
	"regexp"
	"strings"
)

// reference is how a parameter is referred to. Everything else that begins with a dollar is the shell's.
var reference = regexp.MustCompile(`\$\{([A-Za-z0-9_]{1,128})\}`)

// replaceReferences replaces each ${name} that value knows, in one pass: what it puts in is not looked at again. A reference
// behind another dollar is the shell's too.
func replaceReferences(text string, value func(name string) (string, bool)) string {
	if !strings.Contains(text, "${") {
		return text
	}
	var b strings.Builder
	end := 0
	for _, m := range reference.FindAllStringSubmatchIndex(text, -1) {
		if m[0] > 0 && text[m[0]-1] == '$' {
			continue
		}
		if v, ok := value(text[m[2]:m[3]]); ok {
			b.WriteString(text[end:m[0]])
			b.WriteString(v)
			end = m[1]
		}
	}
	b.WriteString(text[end:])
	return b.String()
}

// placeholder is a name that is valid nearly everywhere.
const placeholder = "x1x"

// withPlaceholders returns a text to be checked, with a placeholder for each reference that stays. What stands around them is
// checked as it is, since a chosen value may have a reference in it to escape the check.
func withPlaceholders(text string) string { return reference.ReplaceAllString(text, placeholder) }

// addressWithPlaceholders is withPlaceholders for an address, whose scheme and host a reference at its beginning stands for.
func addressWithPlaceholders(text string) string {
	if at := reference.FindStringIndex(text); at != nil && at[0] == 0 {
		text = "https://" + placeholder + text[at[1]:]
	}
	return withPlaceholders(text)
}

// unresolved reports whether a text still has a reference.
func unresolved(text string) bool { return reference.MatchString(text) }
