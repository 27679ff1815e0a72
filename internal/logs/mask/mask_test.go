package mask_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf16"

	"atelier/internal/logs/mask"
)

func TestString(t *testing.T) {
	t.Parallel()
	const key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\nx8dG\nzz\n-----END KEY-----\n"
	tests := []struct {
		name    string
		secrets []string
		text    string
		want    string
	}{
		{"no secrets", nil, "hello", "hello"},
		{"no occurrence", []string{"hunter2"}, "hunter1 unter2 hunter", "hunter1 unter2 hunter"},
		{"alone", []string{"hunter2"}, "hunter2", "******"},
		{"inside", []string{"hunter2"}, "a hunter2 b", "a ****** b"},
		{"side by side", []string{"hunter2"}, "hunter2hunter2", "************"},
		{"overlapping itself", []string{"abcab"}, "-abcabcab-", "-******-"},
		{"overlapping another", []string{"abcdef", "efghij"}, "-abcdefghij-", "-******-"},
		{"reaching back over a mask", []string{"abcd", "efgh", "dxefghy"}, "abcdxefghy", "******"},
		{"the longest wins", []string{"abcd", "abcdefgh"}, "abcdefgh abcdefg", "****** ******efg"},
		{"one inside another", []string{"cdef", "abcdefgh"}, "abcdefgh abcdefg", "****** ab******g"},
		{"its beginning at the end", []string{"hunter2"}, "hunter", "hunter"},
		{"its beginning before it", []string{"aaab1"}, "aaaaab1", "aa******"},
		{"too short to hide", []string{"abc", "", "éàü"}, "abc éàü", "abc éàü"},
		{"four characters of many bytes", []string{"éàüö"}, "éàüö", "******"},
		{"zero bytes and no UTF-8", []string{"\x00\xff\xfe\x00"}, "a\x00\xff\xfe\x00\xff", "a******\xff"},
		{"several lines at once", []string{key}, "key:\n" + key + "done", "key:\n******\ndone"},
		{"several lines with carriage returns", []string{key}, strings.ReplaceAll(key, "\n", "\r\n"), "******\r\n******\r\n******\r\nzz\r\n******\r\n"},
		{"one of several lines", []string{key}, "bad line: MIIEpAIBAAKCAQEA", "bad line: ******"},
		{"white space around it stays", []string{" hunter2\n"}, "a hunter2\nb", "a ******\nb"},
		{"but not when it is the secret", []string{"  \n  a"}, "[  \n  a]", "[******]"},
		{"base64", []string{"hunter2"}, "Basic aHVudGVyMg==", "Basic ******"},
		{"base64 without padding", []string{"hunter2"}, "Basic aHVudGVyMg.", "Basic ******."},
		{"base64 with a line feed", []string{"hunter2"}, "aHVudGVyMgo=", "******o="},
		{"base64 of a part", []string{"hunter2"}, "bWU6aHVudGVyMg==", "bWU6******"},
		{"base64, URL alphabet", []string{"~~~~>>>>"}, "fn5-fj4-Pj4= fn5-fj4-Pj4", "****** ******"},
		{"query", []string{"a b&c=d/é"}, "?q=a+b%26c%3Dd%2F%C3%A9&r", "?q=******&r"},
		{"query, lower case", []string{"a b&c=d/é"}, "?q=a+b%26c%3dd%2f%c3%a9&r", "?q=******&r"},
		{"path", []string{"a b&c=d/é"}, "/a%20b&c=d%2F%C3%A9/r", "/******/r"},
		{"JSON", []string{`a"b\c<d`}, `{"x":"a\"b\\c\u003cd"}`, `{"x":"******"}`},
		{"JSON without care for HTML", []string{`a"b\c<d`}, `{"x":"a\"b\\c<d"}`, `{"x":"******"}`},
		{"JSON of several lines", []string{"ab\ncd\tef"}, `"ab\ncd\tef"`, `"******"`},
		{"JSON with escaped slashes", []string{"ab/cd\n"}, `"ab\/cd\n"`, `"******\n"`},
		{"JSON of Python", []string{"wörd/😀"}, `"w\u00f6rd/\ud83d\ude00"`, `"******"`},
		{"JSON of PHP that keeps characters", []string{"w\u2028ö/x"}, `"w\u2028ö\/x"`, `"******"`},
		{"JSON of PHP", []string{"wörd/😀"}, `"w\u00f6rd\/\ud83d\ude00"`, `"******"`},
		{"JSON of Jackson", []string{"wörd/😀"}, `"w\u00F6rd/\uD83D\uDE00"`, `"******"`},
		{"JSON of Gson", []string{"a='b'&c"}, `"a\u003d\u0027b\u0027\u0026c"`, `"******"`},
		{"JSON of .NET", []string{`a"b'c+é`}, `"a\u0022b\u0027c\u002B\u00E9"`, `"******"`},
		{"JSON of JavaScript", []string{"a\u2028b\b\fc"}, "\"a\u2028b\\b\\fc\"", `"******"`},
		{"JSON of jq", []string{"ab\x7fcd"}, `"ab\u007fcd"`, `"******"`},
		{"JSON with a control character", []string{"ab\x01cd"}, `"ab\u0001cd"`, `"******"`},
		{"shell", []string{"it's me"}, `+ echo 'it'\''s me'`, `+ echo '******'`},
		{"shell, the other way", []string{"it's me"}, `+ echo 'it'"'"'s me'`, `+ echo '******'`},
		{"shell, double quotes", []string{"a\"b$c`d\\"}, "declare -x T=\"a\\\"b\\$c\\`d\\\\\"", `declare -x T="******"`},
		{"shell, backslashes", []string{`it's (me)`}, `it\'s\ \(me\)`, `******`},
		{"shell without a locale", []string{"wörd's\x1b\n"}, `+ echo $'w\303\266rd\'s\E\n'`, `+ echo $'******\n'`},
		{"Python", []string{`a"b'c\d`}, `'a"b\'c\\d'`, `'******'`},
		{"Python, bytes", []string{"wörd"}, `b'w\xc3\xb6rd'`, `b'******'`},
		{"Go", []string{"wörd\u200b\x00"}, `"wörd\u200b\x00"`, `"******"`},
		{"hexadecimal", []string{"hunter2"}, "key=68756e74657232.", "key=******."},
		{"hexadecimal, upper case", []string{"hunter2"}, "68756E74657232", "******"},
		{"hexadecimal over two lines", []string{"hunter2"}, strings.Repeat("2e", 28) + "6875\n6e74657232", strings.Repeat("2e", 28) + "******"},
		{"hexadecimal with colons", []string{"hunter2"}, "68:75:6e:74:65:72:32", "******"},
		{"hexadecimal escapes", []string{"hunter2"}, `\x68\x75\x6e\x74\x65\x72\x32`, `\x******`},
		{"xxd", []string{"hunter2"}, "00000000: 6875 6e74 6572 320a                      hunter2.", "00000000: ******0a                      ******."},
		{"xxd at an odd place", []string{"hunter2"}, "00000000: 2e68 756e 7465 7232                      .hunter2", "00000000: 2e******                      .******"},
		{"JSON within JSON", []string{`a"b\c<d`}, `{"x":"{\"y\":\"a\\\"b\\\\c\\u003cd\"}"}`, `{"x":"{\"y\":\"******\"}"}`},
		{"SQL", []string{"it's me"}, `VALUES ('it''s me')`, `VALUES ('******')`},
		{"CSV", []string{`a"b,c`}, `1,"a""b,c",2`, `1,"******",2`},
		{"upper case", []string{"Hunter-two"}, "HUNTER-TWO", "******"},
		{"lower case", []string{"Hunter-two"}, "hunter-two", "******"},
		{"base64 twice", []string{"hunter2"}, "YUhWdWRHVnlNZz09", "******"},
		{"XML", []string{`a<b>&"c'`}, `<x y="a&lt;b&gt;&amp;&quot;c&apos;">a&lt;b&gt;&amp;"c'</x>`, `<x y="******">******</x>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := mask.New(tt.secrets).String(tt.text); got != tt.want {
				t.Errorf("%q became %q, want %q", tt.text, got, tt.want)
			}
		})
	}
	if got := (*mask.Masker)(nil).String("hunter2"); got != "hunter2" {
		t.Errorf("a nil masker made %q", got)
	}
}

// What the standard library makes of a secret is masked, whichever of its encoders did it.
func TestEncoders(t *testing.T) {
	t.Parallel()
	secret := "p$ss /wörd+\"<q>\"~'(!*)&=:@;,%\\end"
	m := mask.New([]string{secret})
	js, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	utf16le := func(s string) (b []byte) {
		for _, unit := range utf16.Encode([]rune(s)) {
			b = append(b, byte(unit), byte(unit>>8))
		}
		return b
	}
	userinfo := (&url.URL{Scheme: "https", Host: "h", User: url.UserPassword("u", secret)}).String()
	for name, got := range map[string][2]string{
		"query":    {m.String(url.QueryEscape(secret)), mask.Mask},
		"path":     {m.String(url.PathEscape(secret)), mask.Mask},
		"userinfo": {m.String(userinfo), "https://u:" + mask.Mask + "@h"},
		"json":     {m.String(string(js)), `"` + mask.Mask + `"`},
		"std":      {m.String(base64.StdEncoding.EncodeToString([]byte(secret))), mask.Mask},
		"raw std":  {m.String(base64.RawStdEncoding.EncodeToString([]byte(secret))), mask.Mask},
		"url":      {m.String(base64.URLEncoding.EncodeToString([]byte(secret))), mask.Mask},
		"utf-16":   {m.String(base64.StdEncoding.EncodeToString(utf16le(secret))), mask.Mask},
		"hex":      {m.String(hex.EncodeToString([]byte(secret))), mask.Mask},
		"raw url":  {m.String(base64.RawURLEncoding.EncodeToString([]byte(secret))), mask.Mask},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %q, want %q", name, got[0], got[1])
		}
	}
}

// TestBase64Twice encodes a text around a secret twice. What is left of the secret is less than one of its bytes at each end.
func TestBase64Twice(t *testing.T) {
	t.Parallel()
	const secret = "correct horse battery"
	m := mask.New([]string{secret})
	for before := range 6 {
		for after := range 3 {
			text := "user:."[:before] + secret + ",;."[:after]
			twice := base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(text))))
			masked := m.String(twice)
			if left := strings.TrimSuffix(masked, strings.Repeat("=", 2)); !strings.Contains(masked, mask.Mask) || len(left) > len(mask.Mask)+20 {
				t.Errorf("%q became %q", text, masked)
			}
		}
	}
}

// TestDumps has a value of several lines printed by the programs themselves.
func TestDumps(t *testing.T) {
	t.Parallel()
	const secret = "super-secret-value-of-42-characters-at-all"
	m := mask.New([]string{secret})
	for _, command := range []string{"xxd", "xxd -p", "xxd -p -u", "hexdump -C", "od -An -tx1", "od -tx1"} {
		words := strings.Fields(command)
		if _, err := exec.LookPath(words[0]); err != nil {
			continue // a machine has some of them
		}
		for _, input := range []string{secret, secret + "\n"} {
			dump := exec.CommandContext(t.Context(), words[0], words[1:]...)
			dump.Stdin = strings.NewReader(input)
			out, err := dump.Output()
			if err != nil {
				t.Fatal(err)
			}
			masked := m.String(string(out))
			for _, piece := range []string{"super-", "secret", "value", "-of-42-", "characters", "7375 7065", "73 75 70", "737570", "7661 6c75", "76 61 6c", "63 68 61 72"} {
				if strings.Contains(masked, piece) {
					t.Errorf("%s shows %s:\n%s", command, piece, masked)
				}
			}
		}
	}
}

// broken puts a break behind every width bytes of s.
func broken(s string, width int, lineBreak string) string {
	var b strings.Builder
	for len(s) > width {
		b.WriteString(s[:width] + lineBreak)
		s = s[width:]
	}
	return b.String() + s + lineBreak
}

// A secret is found wherever it stands in encoded text and wherever the lines are broken. From the first digit that has bits of
// nothing else to the last one that has any of its own, it becomes one mask.
func TestWrappedBase64(t *testing.T) {
	t.Parallel()
	short := "correct-horse"
	long := strings.Repeat("battery,~~~?>>;", 40)
	m := mask.New([]string{short, long})
	for _, secret := range []string{short, long} {
		for before := range 140 { // every place in a line
			text := strings.Repeat("..", before)[:before] + secret + strings.Repeat(",;", 50)
			first, end := (before*8+5)/6, ((before+len(secret))*8+5)/6
			for _, lineBreak := range []string{"\n", "\r\n"} {
				for width, encoding := range map[int]*base64.Encoding{64: base64.StdEncoding, 76: base64.URLEncoding} {
					in := broken(encoding.EncodeToString([]byte(text)), width, lineBreak)
					start := first + first/width*len(lineBreak)
					want := in[:start] + mask.Mask + in[end+(end-1)/width*len(lineBreak):]
					if got := m.String(in); got != want {
						t.Fatalf("%d bytes before it, width %d, break %q:\n%s\nbecame\n%s\nwant\n%s", before, width, lineBreak, in, got, want)
					}
				}
			}
		}
	}
}

// A secret is found too when it looks like a part of a longer one that does not follow.
func TestWrappedBase64OfOneInsideAnother(t *testing.T) {
	t.Parallel()
	m := mask.New([]string{"correct-horse", "is it not a correct-horse-battery-staple?"})
	in := broken(base64.StdEncoding.EncodeToString([]byte(strings.Repeat(".", 36)+"is it not a correct-horse-battery")), 76, "\n")
	if got := m.String(in); strings.Count(got, mask.Mask) != 1 {
		t.Errorf("\n%s\nbecame\n%s", in, got)
	}
}

// recorder keeps the writes that it gets.
type recorder struct {
	writes []string
	err    error
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	r.writes = append(r.writes, string(p))
	return len(p), nil
}

func TestWriterKeepsBackOnlyWhatMayBeSecret(t *testing.T) {
	t.Parallel()
	steps := []struct{ write, want string }{
		{"Password: ", "Password: "},
		{"hunter2", ""}, // the longer one may follow
		{"\n", "******\n"},
		{"x hun", "x "},
		{"ger\n", "hunger\n"},
		{"hunter2-an", ""},
		{"d-more\n", "******\n"},
		{"hunter2-and-", ""},
		{"less\n", "******-and-less\n"},
		{"an ordinary line that ends in a digit a\n", "an ordinary line that ends in a digit a\n"},
		{"hunt", ""},
	}
	m := mask.New([]string{"hunter2", "hunter2-and-more"})
	var out recorder
	w := m.Writer(&out)
	for _, step := range steps {
		out.writes = nil
		if _, err := io.WriteString(w, step.write); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(out.writes, "|"); got != step.want {
			t.Errorf("after %q: %q, want %q", step.write, got, step.want)
		}
	}
	out.writes = nil
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(out.writes, "|"); got != "hunt" {
		t.Errorf("at the end: %q, want what was kept back", got)
	}
	if err := w.Flush(); err != nil || len(out.writes) != 1 {
		t.Errorf("flushed twice: %q, %v", out.writes, err)
	}
}

func TestWriterPassesOnWholeWrites(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat("clean line\n", 500), strings.Repeat("line with hunter2 in it\n", 500)} {
		var out recorder
		w := mask.New([]string{"hunter2"}).Writer(&out)
		if n, err := io.WriteString(w, text); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
		if len(out.writes) != 1 {
			t.Errorf("one write became %d", len(out.writes))
		}
	}
}

func TestWriterReturnsErrors(t *testing.T) {
	t.Parallel()
	full := errors.New("disk full")
	w := mask.New([]string{"hunter2"}).Writer(&recorder{err: full})
	if _, err := io.WriteString(w, "hunt"); err != nil {
		t.Errorf("nothing was passed on, but: %v", err)
	}
	if err := w.Flush(); !errors.Is(err, full) {
		t.Errorf("flush: %v", err)
	}
	if n, err := io.WriteString(w, "hello"); n != 0 || !errors.Is(err, full) {
		t.Errorf("write: %d, %v", n, err)
	}
}

func TestHugeSecrets(t *testing.T) {
	t.Parallel()
	var secrets []string
	for i := range 200 { // more than the encoded forms are kept of
		secrets = append(secrets, strings.Repeat(string(rune('a'+i%26)), 8000)+string(rune('0'+i%10)))
	}
	m := mask.New(append(secrets, "hunter2"))
	text := "<" + secrets[7] + "> aHVudGVyMg=="
	if got := m.String(text); got != "<******> ******" {
		t.Errorf("got %q", got)
	}
}
