package report_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/report"
)

func TestReadJUnit(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]report.Tests{
		"surefire.xml": {
			Succeeded: 2, Failed: 1, Errors: 1, Skipped: 1, Time: 1001500 * time.Millisecond,
			Bad: []string{"com.example.CartTest.totals", "com.example.CartTest.pays"},
		},
		"pytest.xml": {
			Succeeded: 1, Failed: 1, Errors: 1, Skipped: 1, Time: 3 * time.Millisecond, Bad: []string{"tests.test_cart.test_total", "tests.test_broken"},
		},
		"go-junit-report.xml": {Succeeded: 2, Failed: 1, Skipped: 1, Time: 4 * time.Millisecond, Bad: []string{"example.org/shop.TestTotal"}},
		"jest.xml": {
			Succeeded: 1, Failed: 1, Errors: 1, Skipped: 1, Time: 10 * time.Millisecond, Bad: []string{"cart totals", "Test suite failed to run"},
		},
		"node.xml":   {Succeeded: 2, Failed: 1, Skipped: 1, Time: 10 * time.Millisecond, Bad: []string{"test.pays"}},
		"nested.xml": {Succeeded: 1, Failed: 1, Skipped: 1, Time: 500 * time.Millisecond, Bad: []string{"inner.größe"}},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			f, err := os.Open(filepath.Join("testdata", "junit", file))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got, err := report.ReadJUnit(f)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "1.5": 1500 * time.Millisecond, "0.25s": 250 * time.Millisecond, "1,234.5": 1234500 * time.Millisecond, "1,234": 1234 * time.Second,
		"1,234,567": 1234567 * time.Second, "0,123": 123 * time.Millisecond, "2,5": 2500 * time.Millisecond, "1e3": 1000 * time.Second,
		"-1": 0, "NaN": 0, "Inf": 1000 * time.Hour, "1e300": 1000 * time.Hour, "soon": 0,
	} {
		got, err := report.ReadJUnit(strings.NewReader(`<testsuite><testcase name="a" time="` + text + `"/></testsuite>`))
		if err != nil || got.Time != want {
			t.Errorf("%q takes %s, want %s (%v)", text, got.Time, want, err)
		}
	}
}

// TestBadJUnit reads what is no report, and what was made to be hard to read.
func TestBadJUnit(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat("<testsuite>", n) + strings.Repeat("</testsuite>", n) }
	for name, c := range map[string]struct{ text, want string }{
		"nothing":           {"", "is empty"},
		"blanks":            {" \n", "is empty"},
		"a text":            {"no tests", "is empty"},
		"another report":    {"<assemblies/>", "begins with <assemblies>; the results of JUnit begin with <testsuites> or <testsuite>"},
		"cut off":           {"<testsuite>\n<testcase", "is not XML: line 2: unexpected EOF"},
		"not closed":        {"<testsuite>\n<testcase/>\n", "is not XML: line 3: unexpected EOF"},
		"a wrong end":       {"<testsuite></testsuites>", "is not XML: line 1: element <testsuite> closed by </testsuites>"},
		"an entity":         {`<!DOCTYPE t [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuite name="&b;"/>`, "is not XML: line 1: invalid character entity &b;"},
		"an entity outside": {`<!DOCTYPE t [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuite>&a;</testsuite>`, "is not XML: line 1: invalid character entity &a;"},
		"another encoding":  {`<?xml version="1.0" encoding="EBCDIC"?><testsuite/>`, `is written in "EBCDIC"; UTF-8 is read`},
		"levels":            {nested(101), "has more than 100 levels of elements"},
		"attributes":        {"<testsuite " + strings.Repeat(`a="" `, 1<<18) + "/>", "has an element with more than 1024 KiB of attributes"},
		"a hidden end":      {"<testsuite " + strings.Repeat(`a=">" `, 1<<18) + "/>", "has an element with more than 1024 KiB of attributes"},
		"size":              {"<testsuite>" + strings.Repeat(" ", report.MaxFile) + "</testsuite>", "has more than 32 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := report.ReadJUnit(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v, %v; want %s", got, err, c.want)
			}
		})
	}
	if _, err := report.ReadJUnit(strings.NewReader(nested(100))); err != nil {
		t.Errorf("100 levels: %v", err)
	}
	if got, err := report.ReadJUnit(strings.NewReader("\ufeff<?xml version='1.0'?><testsuite><testcase/></testsuite>")); err != nil || got.Succeeded != 1 {
		t.Errorf("with a byte order mark: %+v, %v", got, err)
	}
	output := "<testsuite><testcase><system-out><![CDATA[" + strings.Repeat(`a="<>" `, 1<<18) + "]]></system-out></testcase></testsuite>"
	if got, err := report.ReadJUnit(strings.NewReader(output)); err != nil || got.Succeeded != 1 {
		t.Errorf("large output: %+v, %v", got, err)
	}
}

// TestManyBad: of ten thousand failures the first names are kept, and short ones.
func TestManyBad(t *testing.T) {
	t.Parallel()
	test := `<testcase name="` + strings.Repeat("ü", 500) + `"><failure/></testcase>`
	got, err := report.ReadJUnit(strings.NewReader("<testsuite>" + strings.Repeat(test, 1000) + "</testsuite>"))
	if err != nil || got.Failed != 1000 || len(got.Bad) != 20 || len(got.Bad[0]) > 210 {
		t.Fatalf("%d failed, %d names, the first %q, %v", got.Failed, len(got.Bad), got.Bad[0], err)
	}
	sum := report.Tests{Bad: []string{"first"}}
	sum.Add(got)
	sum.Add(got)
	if sum.Failed != 2000 || sum.Total() != 2000 || len(sum.Bad) != 20 || sum.Bad[0] != "first" {
		t.Errorf("%d of %d failed, %d names", sum.Failed, sum.Total(), len(sum.Bad))
	}
}
