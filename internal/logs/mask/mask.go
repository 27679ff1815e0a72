// Package mask keeps secrets out of logs. A [Masker] knows the secrets of one build; it replaces them in streams and texts, in
// the forms in which programs print them: as they are, line by line, in base64, in hexadecimal digits, escaped for URLs, JSON and XML,
// quoted for a shell, SQL or CSV.
//
// It guards against accidents, such as a command that prints its environment or a header that it sends. A build that wants to
// print a secret can always do it, for example backwards.
//
// The parts, one file each: forms.go, json.go, quote.go and dump.go list what a secret may look like, automaton.go finds all of that in linear time, wrap.go
// also where base64 is broken into lines, writer.go masks streams.
package mask

import (
	"io"
	"strings"
)

// Mask is what stands in the place of a secret.
const Mask = "******"

// MinSecret is how many characters a secret has at least. To hide a shorter one would make the text around it unreadable.
const MinSecret = 4

// Masker replaces secrets. It may be used by many goroutines. A nil Masker knows no secrets.
type Masker struct {
	automaton *automaton // nil when there is nothing to hide
}

// New returns a masker of the given secrets. Those that are shorter than [MinSecret] are not masked.
//
// The masker takes about 150 bytes of memory for each byte of the secrets, 800 where they have several lines, and 3 kB for those of at
// most 256 bytes, most of it for the encoded forms, which take at most 30 MB together. Beyond that, where no honest build gets, the longest secrets are masked only as they are.
func New(secrets []string) *Masker {
	patterns := patternsOf(secrets)
	if len(patterns) == 0 {
		return &Masker{}
	}
	return &Masker{automaton: newAutomaton(patterns)}
}

// String returns s without secrets.
func (m *Masker) String(s string) string {
	if m == nil || m.automaton == nil {
		return s
	}
	var b strings.Builder
	w := m.Writer(&b)
	_, _ = io.WriteString(w, s) // a Builder takes everything
	_ = w.Flush()
	return b.String()
}
