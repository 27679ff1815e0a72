package mask

import (
	"encoding/base64"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// In all four kinds of base64, at every place in a group, and wherever the stream is cut, nothing of a secret is left but the
// bits that share a digit with what stands before it.
func TestBase64AtEveryOffsetAndSplit(t *testing.T) {
	t.Parallel()
	const secret = "~?>pass/wörd<?~"
	m := New([]string{secret})
	encodings := []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding}
	for kind, e := range encodings {
		for before := range 7 {
			for after := range 4 {
				text := e.EncodeToString([]byte(strings.Repeat(".", before) + secret + strings.Repeat(".", after)))
				whole := m.String(text)
				checkHidden(t, secret, whole)
				if want := text[:(before*8+5)/6] + Mask; !strings.HasPrefix(whole, want) {
					t.Fatalf("encoding %d, %d bytes before, %d behind: %q became %q", kind, before, after, text, whole)
				}
				for cut := range len(text) {
					if got := inPieces(t, m, text, []int{cut}); got != whole {
						t.Fatalf("%q cut at %d became %q, as one %q", text, cut, got, whole)
					}
				}
			}
		}
	}
}

// Of a secret of several lines each line is hidden by itself, in every form, and so is the whole of it.
func TestLinesOfASecret(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.StringMatching(`[a-zé&<"\\/+=%][a-zé&<"\\/+=% ]{2,18}[a-zé&<"\\/+=%]`), 2, 5).Draw(t, "lines")
		lineEnd := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")
		secret := strings.Join(lines, lineEnd)
		m := New([]string{secret})
		for _, part := range append(lines, secret) {
			for name, form := range printed(part, "", "") {
				text := "<" + form + ">"
				cuts := rapid.SliceOfN(rapid.IntRange(0, len(text)), 0, 6).Draw(t, "cuts")
				masked := inPieces(t, m, text, sorted(cuts))
				if !hasMark(masked) {
					t.Fatalf("%s: nothing masked in %q", name, masked)
				}
				for _, line := range lines {
					checkHidden(t, line, masked)
				}
			}
		}
	})
}
