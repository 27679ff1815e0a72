package mask

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxPatternBytes bounds the encoded forms that a masker looks for.
const maxPatternBytes = 1 << 20

// pattern is a text to hide, and what of the text behind it to hide with it.
type pattern struct {
	text    string
	last    string // one of these digits
	padding string // and this behind the first of them
	wraps   bool   // line breaks may stand anywhere in it, as base64 tools put them
}

// patternsOf returns everything that has to be hidden to hide the secrets, each text once.
func patternsOf(secrets []string) []pattern {
	var patterns []pattern
	known := make(map[pattern]bool)
	size := 0
	add := func(p pattern) {
		if !known[p] {
			known[p] = true
			patterns = append(patterns, p)
			size += len(p.text)
		}
	}
	texts := Texts(secrets)
	for _, t := range texts {
		add(pattern{text: t})
	}
	size = 0
	for _, t := range texts {
		for _, p := range encodings(t) {
			if size+len(p.text) <= maxPatternBytes {
				add(p)
			}
		}
	}
	return patterns
}

// Texts returns what to hide of secrets as they are: each and, of those with several lines, every line, since programs print a
// key line by line, or one line of it in an error. White space around them is no part of the secret, unless hardly anything else is. The shortest come first.
func Texts(secrets []string) []string {
	var texts []string
	for _, s := range secrets {
		if t := strings.TrimSpace(s); hideable(t) {
			s = t
		}
		if hideable(s) {
			texts = append(texts, s)
		}
		for line := range strings.Lines(s) {
			if t := strings.TrimSpace(line); hideable(t) {
				texts = append(texts, t)
			}
		}
	}
	slices.SortFunc(texts, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
	return slices.Compact(texts)
}

func hideable(s string) bool { return utf8.RuneCountInString(s) >= MinSecret }

// encodings returns the forms of s other than s itself. Many of them are equal, or equal to s, as long as it is made of letters.
func encodings(s string) []pattern {
	patterns := base64Forms(s, standardAlphabet, urlAlphabet)
	for _, kept := range urlKept {
		upper := urlForm(s, kept, "0123456789ABCDEF")
		lower := urlForm(s, kept, "0123456789abcdef")
		for _, form := range []string{upper, lower} {
			patterns = append(patterns, pattern{text: form}, pattern{text: strings.ReplaceAll(form, "%20", "+")})
		}
	}
	for _, style := range jsonStyles {
		once := style.form(s)
		patterns = append(patterns, pattern{text: once}, pattern{text: style.form(once)}) // JSON within JSON
	}
	patterns = append(patterns, pattern{text: strings.ToUpper(s)}, pattern{text: strings.ToLower(s)})
	patterns = append(patterns, quotedForms(s)...)
	if len(s) > maxRareBytes {
		return patterns
	}
	patterns = append(patterns, hexForms(s)...)
	patterns = append(patterns, base64Forms(utf16Bytes(s), standardAlphabet)...) // PowerShell
	return append(patterns, base64Twice(s)...)
}

// maxRareBytes is how long a text is at most that is also found in the forms which are rare and of which there are many: hexadecimal
// digits, base64 twice, and base64 of UTF-16. Tokens, passwords and the lines of keys are shorter.
const maxRareBytes = 256

// urlKept are the marks that URL encoders leave as they are, besides letters, digits and -_. : RFC 3986 and query strings,
// forms, JavaScript, Python, and Go's encoders of paths and of user names.
var urlKept = []string{"~", "*", "~!*'()", "~/", "~$&+:=@", "~$&+,;="}

func urlForm(s, kept, digits string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.", c) >= 0 || strings.IndexByte(kept, c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

const (
	standardAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	urlAlphabet      = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
)

// base64Forms returns what a text that contains s has in common when it is encoded in base64, whatever stands around s. Three
// bytes become four digits, so it depends on the place of s: after 0, 1 or 2 bytes of a group. A digit before s that has a few
// bits of its first byte is left out, since it may have as many values as the text before it; a digit behind it is taken in.
func base64Forms(s string, alphabets ...string) []pattern {
	var patterns []pattern
	for before := range 3 {
		first := (before*8 + 5) / 6
		whole := (before + len(s)) * 8 / 6 // digits that have no bits of what follows
		for _, alphabet := range alphabets {
			encoded := base64.NewEncoding(alphabet).EncodeToString([]byte("\x00\x00"[:before] + s))
			p := pattern{text: encoded[first:whole], wraps: true}
			if rest := encoded[whole:]; rest != "" {
				lowest := strings.IndexByte(alphabet, rest[0]) // the bits behind s are zero
				values := 4                                    // or any other two
				if rest[1:] == "==" {
					values = 16 // four
				}
				p.last, p.padding = alphabet[lowest:lowest+values], rest[1:]
			}
			patterns = append(patterns, p)
		}
	}
	return patterns
}

// base64Twice returns what base64Forms does for s in base64, at each place of the first encoding. Both have the standard alphabet,
// and the first one has no line breaks, as in the secrets of Kubernetes and the credentials of registries.
func base64Twice(s string) []pattern {
	patterns := base64Forms(base64.StdEncoding.EncodeToString([]byte(s)), standardAlphabet)
	for _, once := range base64Forms(s, standardAlphabet) {
		patterns = append(patterns, base64Forms(once.text, standardAlphabet)...)
	}
	return patterns
}

// utf16Bytes returns s in UTF-16, little end first.
func utf16Bytes(s string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		b = append(b, byte(unit), byte(unit>>8))
	}
	return string(b)
}
