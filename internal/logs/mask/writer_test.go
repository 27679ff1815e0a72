package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"
)

// naive hides every occurrence of every pattern, one after another.
func naive(secrets []string, text string) string {
	hidden := make([]bool, len(text))
	for _, p := range patternsOf(secrets) {
		for i, digit := range append(strings.Split(p.last, ""), "") {
			hideAll(hidden, text, p.text+digit)
			if i == 0 {
				hideAll(hidden, text, p.text+digit+p.padding)
			}
		}
	}
	var b strings.Builder
	for i := range hidden {
		switch {
		case !hidden[i]:
			b.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			b.WriteString(Mask)
		}
	}
	return b.String()
}

func hideAll(hidden []bool, text, secret string) {
	for at := 0; ; at++ {
		i := strings.Index(text[at:], secret)
		if i < 0 {
			return
		}
		at += i
		for j := range len(secret) {
			hidden[at+j] = true
		}
	}
}

var (
	manyMasks = regexp.MustCompile(`(\*{6})+`)
	longLine  = regexp.MustCompile(`[A-Za-z0-9+/_-]{60}[\r\n]`) // behind which more is hidden
)

// inPieces masks text, written in pieces that end at the given places.
func inPieces(t interface{ Fatal(...any) }, m *Masker, text string, cuts []int) string {
	var out bytes.Buffer
	w := m.Writer(&out)
	at := 0
	for _, cut := range append(cuts, len(text)) {
		if cut = min(cut, len(text)); cut < at {
			continue
		}
		if n, err := w.Write([]byte(text[at:cut])); n != cut-at || err != nil {
			t.Fatal(n, err)
		}
		at = cut
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Secrets and text of few letters, so that they meet, overlap and repeat in all ways.
func TestWriterAgainstNaive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secrets := rapid.SliceOfN(rapid.StringMatching(`[abYWJi\n+]{4,9}`), 1, 4).Draw(t, "secrets")
		m := New(secrets)
		fragment := rapid.OneOf(rapid.SampledFrom(secrets), rapid.StringMatching(`[abYWJi\n+ ]{0,7}`))
		text := strings.Join(rapid.SliceOfN(fragment, 0, 20).Draw(t, "text"), "")
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(text)), 0, 20).Draw(t, "cuts")
		whole := m.String(text)
		if pieces := inPieces(t, m, text, sorted(cuts)); pieces != whole {
			t.Fatalf("in pieces %q\nas one  %q", pieces, whole)
		}
		got := manyMasks.ReplaceAllString(whole, Mask)
		if want := naive(secrets, text); got != want && !longLine.MatchString(text) {
			t.Fatalf("secrets %q\ntext %q\ngot  %q\nwant %q", secrets, text, got, want)
		}
	})
}

func TestWrappedBase64InPieces(t *testing.T) {
	t.Parallel()
	columns := regexp.MustCompile(`.{76}`)
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[a-z]{4,200}`).Draw(t, "secret")
		before := rapid.StringMatching(`[^a-z]{0,99}`).Draw(t, "before")
		after := rapid.StringMatching(`[^a-z]{0,99}`).Draw(t, "after")
		encoding := rapid.SampledFrom([]*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding}).Draw(t, "encoding")
		text := columns.ReplaceAllString(encoding.EncodeToString([]byte(before+secret+after)), "$0\n")
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(text)), 0, 20).Draw(t, "cuts")
		m := New([]string{secret})
		whole := m.String(text)
		if n := strings.Count(whole, Mask); n != 1 {
			t.Fatalf("%d masks in\n%s", n, whole)
		}
		if pieces := inPieces(t, m, text, sorted(cuts)); pieces != whole {
			t.Fatalf("in pieces\n%s\nas one\n%s", pieces, whole)
		}
	})
}

func sorted(cuts []int) []int {
	for i := range cuts {
		if i > 0 {
			cuts[i] = max(cuts[i], cuts[i-1])
		}
	}
	return cuts
}

// printed returns the ways in which programs print a secret; in base64, with other text around it.
func printed(secret, before, after string) map[string]string {
	all := before + secret + after
	js, _ := json.Marshal(secret)
	plain := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(js))
	lower := regexp.MustCompile(`%[0-9A-F]{2}`).ReplaceAllStringFunc
	ascii := regexp.MustCompile(`[^\x00-\x7f]`).ReplaceAllStringFunc(plain, func(c string) string {
		var b strings.Builder
		for _, unit := range utf16.Encode([]rune(c)) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
		return b.String()
	})
	return map[string]string{
		"raw":         secret,
		"query":       url.QueryEscape(secret),
		"lower query": lower(url.QueryEscape(secret), strings.ToLower),
		"path":        url.PathEscape(secret),
		"lower path":  lower(url.PathEscape(secret), strings.ToLower),
		"json":        string(js[1 : len(js)-1]),
		"plain json":  plain[1 : len(plain)-1],
		"slash json":  strings.ReplaceAll(plain[1:len(plain)-1], "/", `\/`),
		"ascii json":  ascii[1 : len(ascii)-1],
		"shell":       strings.ReplaceAll(secret, `'`, `'\''`),
		"go":          strings.TrimSuffix(strings.TrimPrefix(strconv.Quote(secret), `"`), `"`),
		"html":        html.EscapeString(secret),
		"std":         base64.StdEncoding.EncodeToString([]byte(all)),
		"raw std":     base64.RawStdEncoding.EncodeToString([]byte(all)),
		"url":         base64.URLEncoding.EncodeToString([]byte(all)),
		"raw url":     base64.RawURLEncoding.EncodeToString([]byte(all)),
	}
}

// checkHidden fails when a form of the secret can be read in masked text.
func checkHidden(t interface{ Fatalf(string, ...any) }, secret, masked string) {
	for name, form := range printed(secret, "", "") {
		isBase64 := strings.HasSuffix(name, "std") || strings.HasSuffix(name, "url") // below
		if !isBase64 && strings.Contains(masked, form) {
			t.Fatalf("%s form %q of %q is left in %q", name, form, secret, masked)
		}
	}
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for skip := range 3 {
			// Drop the digits that hold bits of what may stand before and behind.
			digits := e.EncodeToString([]byte("\x00\x00"[:skip] + secret))
			core := digits[(skip*8+5)/6 : (skip+len(secret))*8/6]
			if strings.Contains(masked, core) {
				t.Fatalf("base64 digits %q of %q are left in %q", core, secret, masked)
			}
		}
	}
}

func hasMark(s string) bool { return strings.Contains(s, "*") }

func TestNoFormOfASecretIsLeft(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.OneOf(
			rapid.StringN(4, 40, -1),
			rapid.StringMatching(`[a-zé😀&<'"\\ /+=%:\n]{4,20}`),
			rapid.Custom(func(t *rapid.T) string {
				return string(rapid.SliceOfN(rapid.Byte(), 16, 100).Draw(t, "bytes"))
			}),
		).Filter(func(s string) bool { return hideable(s) && !hasMark(s) }).Draw(t, "secret")
		before := rapid.StringN(0, 9, -1).Draw(t, "before")
		after := rapid.StringN(0, 9, -1).Draw(t, "after")
		m := New([]string{secret})
		forms := printed(secret, before, after)
		for _, name := range slices.Sorted(maps.Keys(forms)) { // so that a failure can be repeated
			form := forms[name]
			text := before + form + after + form + form
			cuts := rapid.SliceOfN(rapid.IntRange(0, len(text)), 0, 6).Draw(t, "cuts")
			masked := inPieces(t, m, text, sorted(cuts))
			if !hasMark(masked) {
				t.Fatalf("%s: nothing masked in %q", name, masked)
			}
			checkHidden(t, secret, masked)
		}
	})
}

func TestTextWithoutSecretsPassesUnchanged(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secrets := rapid.SliceOfN(rapid.StringMatching(`[a-zA-Z0-9]{12,30}`), 1, 5).Draw(t, "secrets")
		text := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		// Beginnings of secrets keep the search busy; the mark makes sure that they do not become whole ones.
		text += secrets[0][:11] + "-" + text + secrets[0][1:]
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(text)), 0, 6).Draw(t, "cuts")
		if got := inPieces(t, New(secrets), text, sorted(cuts)); got != text && naive(secrets, text) == text {
			t.Fatalf("%q became %q", text, got)
		}
	})
}

// What is kept back is bounded by the secrets, not by the text.
func TestLittleIsKeptBack(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("a", 300)
	m := New([]string{secret, "aaaa"})
	encoded := base64.StdEncoding.EncodeToString([]byte(secret))
	most := 2 * len(encoded)
	for name, text := range map[string]string{
		"secrets":             secret,
		"almost secrets":      secret[1:] + "b",
		"base64":              encoded,
		"empty lines":         encoded[:76] + strings.Repeat("\n", 5000),
		"empty lines, CRLF":   encoded[:76] + strings.Repeat("\r\n", 5000),
		"carriage returns":    encoded[:76] + strings.Repeat("\r", 5000),
		"wrapped base64":      encoded[:76] + "\n" + encoded[76:152] + "\r\n",
		"short wrapped lines": encoded[:76] + strings.Repeat("\nYWFh", 500),
	} {
		w := m.Writer(io.Discard)
		for range 50 {
			if _, err := io.WriteString(w, text); err != nil {
				t.Fatal(err)
			}
			if len(w.held) > most || len(w.wrap.breaks) > most {
				t.Errorf("%s: %d bytes are held", name, len(w.held))
				break
			}
		}
	}
}

func FuzzWriter(f *testing.F) {
	f.Add("hunter2", "ab", "cd hunter2", 3, 7)
	f.Add("a'b\"c<d\n", "\x00", "%61'b", 1, 2)
	f.Add("aaaab", "aaa", "aaaaaaaaaab", 5, 9)
	f.Add(strings.Repeat("key ", 40), "x", "\n", 80, 82)
	f.Fuzz(func(t *testing.T, secret, before, after string, first, second int) {
		if !hideable(secret) || hasMark(secret) || len(secret) > 1000 {
			t.Skip()
		}
		m := New([]string{secret})
		for _, form := range printed(secret, before, after) {
			text := before + form + after
			cuts := sorted([]int{abs(first) % (len(text) + 1), abs(second) % (len(text) + 1)})
			masked := inPieces(t, m, text, cuts)
			if masked != m.String(text) {
				t.Fatalf("cut at %v: %q\nwhole: %q", cuts, masked, m.String(text))
			}
			checkHidden(t, secret, masked)
		}
	})
}

func abs(n int) int { return max(n, -(n + 1)) }
