package mask

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// quoteStyle is how a program puts quotes around a text.
type quoteStyle struct {
	marks string // have a backslash before them
	short string // control characters with a letter, each before its letter
	code  string // the format of other control characters, which stay as they are without one
	ascii bool   // what is outside of ASCII is written like them, byte by byte
}

// quoteStyles are the styles of shells and of languages that show a text as it would stand in their source.
var quoteStyles = []quoteStyle{
	{marks: "\"$`\\"},                   // bash: declare -p, export -p
	{marks: " !\"$&'()*,;<>?[\\]^`{|}"}, // bash: printf %q
	{marks: `'\`, short: "\aa\bb\x1bE\ff\nn\rr\tt\vv", code: `\%03o`},              // bash: set -x, set
	{marks: `'\`, short: "\aa\bb\x1bE\ff\nn\rr\tt\vv", code: `\%03o`, ascii: true}, // the same without a locale, as in most builds
	{marks: `'\`, short: "\nn\rr\tt", code: `\x%02x`},                              // Python
	{marks: `\`, short: "\nn\rr\tt", code: `\x%02x`},                               // with the other quotes
	{marks: `'\`, short: "\nn\rr\tt", code: `\x%02x`, ascii: true},                 // and its bytes
	{marks: `\`, short: "\nn\rr\tt", code: `\x%02x`, ascii: true},
}

// form returns s as it stands between the quotes.
func (q quoteStyle) form(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch i := strings.IndexByte(q.short, c); {
		case strings.IndexByte(q.marks, c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		case i >= 0 && i%2 == 0:
			b.WriteByte('\\')
			b.WriteByte(q.short[i+1])
		case q.code != "" && (c < ' ' || c == '\x7f' || q.ascii && c >= utf8.RuneSelf):
			fmt.Fprintf(&b, q.code, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// markups are the ways to write a text in XML and HTML: Java and JavaScript, Python, Go, and where quotes are no matter.
var markups = []*strings.Replacer{
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;"),
	strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;"),
}

// quotedForms returns s as shells, languages and markup show it.
func quotedForms(s string) []pattern {
	patterns := []pattern{
		{text: strings.ReplaceAll(s, `'`, `'\''`)}, // shells
		{text: strings.ReplaceAll(s, `'`, `'"'"'`)},
		{text: strings.ReplaceAll(s, `'`, `''`)}, // SQL
		{text: strings.ReplaceAll(s, `"`, `""`)}, // SQL, CSV
	}
	for _, style := range quoteStyles {
		patterns = append(patterns, pattern{text: style.form(s)})
	}
	for _, quote := range []func(string) string{strconv.Quote, strconv.QuoteToASCII} { // Go
		text := quote(s)
		patterns = append(patterns, pattern{text: text[1 : len(text)-1]})
	}
	for _, m := range markups {
		patterns = append(patterns, pattern{text: m.Replace(s)})
	}
	return patterns
}
