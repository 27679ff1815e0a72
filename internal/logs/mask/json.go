package mask

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonStyle is how an encoder writes strings in JSON. Quotes, backslashes and control characters are escaped in all styles.
type jsonStyle struct {
	hex     string // characters that are written as \uXXXX although they need not be
	slash   bool   // a slash is written as \/
	ascii   bool   // everything outside of ASCII is written as \uXXXX
	control bool   // backspace and form feed are written as \uXXXX
	upper   bool   // hexadecimal digits are upper case
}

// jsonStyles are the styles of usual encoders. Of most secrets they all make the same.
var jsonStyles = []jsonStyle{
	{},                                 // JavaScript, Rust, Ruby
	{hex: "\u2028\u2029"},              // Go without care for HTML
	{hex: "<>&\u2028\u2029"},           // Go
	{hex: "<>&='\u2028\u2029"},         // Gson
	{hex: "\x7f"},                      // jq
	{slash: true},                      // Cocoa
	{slash: true, hex: "\u2028\u2029"}, // PHP that keeps characters
	{ascii: true},                      // Python
	{ascii: true, slash: true},         // PHP
	{ascii: true, upper: true},         // Jackson
	{control: true},                    // Go before 1.22
	{hex: "<>&", control: true},        // the same with care for HTML
	{hex: "\"&'+<>`\x7f", ascii: true, upper: true}, // .NET
}

// jsonShort are the characters with a short escape, each before its letter.
const jsonShort = "\"\"\\\\\bb\ff\nn\rr\tt"

// form returns s as it stands between the quotes of a JSON string. What is no UTF-8 stands there as U+FFFD, which Go and others
// escape always.
func (j jsonStyle) form(s string) string {
	var b strings.Builder
	for i, c := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		short := -1
		if c < utf8.RuneSelf {
			short = strings.IndexByte(jsonShort, byte(c))
		}
		switch {
		case strings.ContainsRune(j.hex, c), c == utf8.RuneError && size == 1, j.ascii && c >= utf8.RuneSelf, j.control && (c == '\b' || c == '\f'):
			j.escape(&b, c)
		case short >= 0 && short%2 == 0:
			b.WriteByte('\\')
			b.WriteByte(jsonShort[short+1])
		case c < ' ':
			j.escape(&b, c)
		case c == '/' && j.slash:
			b.WriteString(`\/`)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// escape writes a character as \uXXXX, one outside of the basic plane as two.
func (j jsonStyle) escape(b *strings.Builder, c rune) {
	digits := "0123456789abcdef"
	if j.upper {
		digits = "0123456789ABCDEF"
	}
	for _, unit := range utf16.AppendRune(nil, c) {
		b.WriteString(`\u`)
		for shift := 12; shift >= 0; shift -= 4 {
			b.WriteByte(digits[unit>>shift&15])
		}
	}
}
