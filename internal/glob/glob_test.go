package glob_test

import (
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"atelier/internal/fault"
	"atelier/internal/glob"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern string
		matches string // paths with blanks between them
		not     string
	}{
		{"*.class", "A.class .class a.b.class", "x/A.class A.class.old class"},
		{"**/*.class", "A.class x/A.class x/y/.class", "A.classes x/y"},
		{"**/target/*.?ar", "target/app.jar a/target/app.war a/b/target/.zar", "target/app.ar target/x/app.jar xtarget/app.jar app.jar"},
		{"a/**", "a/aa a/b/bb a/.hidden", "a b/a ab/x"},
		{"**", "x x/y .hidden x/.git/config .gitignore", ".git/config .git"},
		{"**/config", "config x/config x/.git/config", ".git/config"},
		{".git/*", "", ".git/config"},
		{"out/*.TXT", "out/a.txt OUT/A.Txt", "out/txt"},
		{"STRASSE/ÄÖ?", "strasse/äöü Strasse/ÄÖ€", "strasse/äö strasse/äöüx"},
		{"./out//./x", "out/x", "out"},
		{"out", "out Out", "out/x"},
		{"a**b", "ab axxb", "a/b ax/b"},
		{"*", "x .x", "x/y"},
		{"a/**/**/b", "a/b a/x/b a/x/y/b", "a/bb"},
		{"**/a/**/b/*", "a/b/x a/b/b/x q/a/q/q/b/x a/b/a/b/x", "a/x b/a/x"},
		{"[ab]{1}+(x)", "[ab]{1}+(x)", "a ax"},
		{`a\*`, `a\b`, "a*"},
	}
	for _, tt := range tests {
		t.Run(tt.pattern, func(t *testing.T) {
			t.Parallel()
			p, err := glob.Parse(tt.pattern)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range strings.Fields(tt.matches) {
				if !p.Match(name) {
					t.Errorf("does not match %s", name)
				}
			}
			for _, name := range append(strings.Fields(tt.not), "") {
				if p.Match(name) {
					t.Errorf("matches %q", name)
				}
			}
		})
	}
	if (glob.Pattern{}).Match("x") {
		t.Error("nothing matches x")
	}
	newline, err := glob.Parse("a?b")
	if err != nil || !newline.Match("a\nb") || !newline.Match("a\xffb") {
		t.Error("a line end and a byte that is no character are one character each", err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"/etc/passwd":             "must be relative to the workspace",
		"../x":                    "must not lead out of the workspace with ..",
		"a/../../b":               "must not lead out",
		"a/..":                    "must not lead out",
		"":                        `must name files, found ""`,
		".":                       "must name files",
		"out/":                    "must name files; a directory and all below it is written with **",
		"a\x00":                   "must be a text without zero bytes",
		"\xff":                    "must be a text",
		strings.Repeat("x", 5000): "has 5000 bytes, at most 4096 are allowed",
	} {
		if _, err := glob.Parse(text); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if _, err := glob.Parse("..a/b../..."); err != nil { // they only have dots in their names
		t.Error(err)
	}
}

// TestTime: no pattern makes a match take long.
func TestTime(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	for pattern, name := range map[string]string{
		strings.Repeat("*a", 1000):         strings.Repeat("a", 4000) + "b",
		strings.Repeat("**/a/", 800) + "b": strings.Repeat("a/", 2000) + "c",
	} {
		p, err := glob.Parse(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if p.Match(name) {
			t.Errorf("%.20s… matches", pattern)
		}
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
}

// FuzzMatch compares with a regular expression that says the same.
func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{{"**/target/*.?ar", "a/target/x.jar"}, {"a/**", "a/b/c"}, {"**/**/x?", "xy"}, {"a**b/*", "aab/c"}, {"*", ".git"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		p, err := glob.Parse(pattern)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if name == "" || path.Clean("/" + name)[1:] != name || !isASCII(pattern+name) {
			p.Match(name) // which must come to an end
			return
		}
		want := expression(pattern).MatchString(name) && name != ".git" && !strings.HasPrefix(name, ".git/")
		if got := p.Match(name); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, name, got, want)
		}
	})
}

// expression translates a pattern of ASCII characters.
func expression(pattern string) *regexp.Regexp {
	var b strings.Builder
	segments := strings.Split(path.Clean(pattern), "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "**" && last:
			b.WriteString(`([^/]+/)*[^/]+`)
		case s == "**":
			b.WriteString(`([^/]+/)*`)
		default:
			r := regexp.QuoteMeta(s)
			r = strings.ReplaceAll(r, `\*`, `[^/]*`)
			r = strings.ReplaceAll(r, `\?`, `[^/]`)
			b.WriteString(r)
			if !last {
				b.WriteString("/")
			}
		}
	}
	return regexp.MustCompile(`(?is)^` + b.String() + `$`)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
