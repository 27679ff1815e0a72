package mask

import (
	"encoding/hex"
	"strings"
)

// dumpWidth is how many bytes stand in one line of what xxd, hexdump and od print.
const dumpWidth = 16

// hexForms returns s in hexadecimal digits, as programs print bytes.
func hexForms(s string) []pattern {
	lower := hex.EncodeToString([]byte(s))
	patterns := []pattern{
		{text: lower, wraps: true}, // xxd -p breaks lines
		{text: strings.ToUpper(lower), wraps: true},
		{text: grouped(s, 1, 0, `\x`)},
	}
	for _, between := range []string{" ", ":"} {
		text := grouped(s, 1, 0, between)
		patterns = append(patterns, pattern{text: text}, pattern{text: strings.ToUpper(text)})
	}
	for before := range 2 { // xxd groups two bytes
		patterns = append(patterns, pattern{text: grouped(s, 2, before, " ")})
	}
	return append(patterns, dumpLines(s)...)
}

// grouped returns s in hexadecimal digits, with a text between groups of some bytes. Of the first group, some bytes stand before s.
func grouped(s string, group, before int, between string) string {
	var b strings.Builder
	for i := range len(s) {
		if i > 0 && (before+i)%group == 0 {
			b.WriteString(between)
		}
		b.WriteString(hex.EncodeToString([]byte{s[i]}))
	}
	return b.String()
}

// dumpLines returns the lines in which xxd, hexdump -C and od -tx1 print a text of several lines that is s, or s and a line feed.
// Beside the digits stands the text. Where more stands before s the lines are others, and are not found.
func dumpLines(s string) []pattern {
	if len(s) <= dumpWidth { // the digits and the text are found each by itself
		return nil
	}
	var patterns []pattern
	for _, whole := range []string{s, s + "\n"} {
		for at := 0; at < len(s); at += dumpWidth {
			line := whole[at:min(at+dumpWidth, len(whole))]
			if !hideable(line) {
				continue
			}
			pairs, bytes := grouped(line, 2, 0, " "), grouped(line, 1, 0, " ")
			halves := bytes
			if len(line) > dumpWidth/2 {
				halves = grouped(line[:dumpWidth/2], 1, 0, " ") + "  " + grouped(line[dumpWidth/2:], 1, 0, " ")
			}
			patterns = append(patterns,
				pattern{text: padded(pairs, len("0000 ")*dumpWidth/2+1) + shownInDump(line)},
				pattern{text: padded(halves, len("00 ")*dumpWidth+2) + "|" + shownInDump(line) + "|"},
				pattern{text: bytes},
			)
		}
	}
	return patterns
}

// padded returns s with spaces behind it up to a width.
func padded(s string, width int) string { return s + strings.Repeat(" ", max(0, width-len(s))) }

// shownInDump returns what stands beside the digits: printable characters as they are, a dot for each other byte.
func shownInDump(line string) string {
	shown := []byte(line)
	for i, c := range shown {
		if c < ' ' || c > '~' {
			shown[i] = '.'
		}
	}
	return string(shown)
}
