package report_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/report"
)

func TestReadCoverage(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]report.Coverage{
		"jacoco.xml": {
			Lines: report.Counter{Covered: 8, Total: 10}, Branches: report.Counter{Covered: 3, Total: 4}, Statements: report.Counter{Covered: 21, Total: 30},
		},
		"cobertura.xml":              {Lines: report.Counter{Covered: 8, Total: 10}, Branches: report.Counter{Covered: 1, Total: 4}},
		"cobertura-without-sums.xml": {Lines: report.Counter{Covered: 2, Total: 3}, Branches: report.Counter{Covered: 1, Total: 2}},
		"go.out":                     {Statements: report.Counter{Covered: 5, Total: 6}},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			f, err := os.Open(filepath.Join("testdata", "coverage", file))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got, err := report.ReadCoverage(f)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestBadCoverage(t *testing.T) {
	t.Parallel()
	const none = "is no coverage report"
	for name, c := range map[string]struct{ text, want string }{
		"nothing":           {"", none},
		"a table":           {"GROUP,PACKAGE,CLASS\n", none},
		"a page":            {"<!DOCTYPE html><html><head><meta charset=utf-8></head>", none},
		"another XML":       {"<testsuite/>", none},
		"Clover":            {`<coverage generated="1"><project/></coverage>`, none},
		"no XML":            {"<<", none},
		"JaCoCo, cut off":   {`<report name="a"><counter type="LINE" missed="1" covered="2"/>`, "is not XML: line 1: unexpected EOF"},
		"JaCoCo, empty":     {`<report name="a"></report>`, "has no counters"},
		"JaCoCo, a word":    {`<report><counter type="LINE" missed="few" covered="2"/></report>`, `has "few" where a count stands`},
		"JaCoCo, negative":  {`<report><counter type="LINE" missed="-1" covered="2"/></report>`, `has "-1" where a count stands`},
		"Cobertura, a word": {`<coverage line-rate="1" lines-valid="many"/>`, `has "many" where a count stands`},
		"Cobertura, more":   {`<coverage line-rate="1" lines-valid="1" lines-covered="2"/>`, "has more lines that are covered than there are"},
		"Go, two numbers":   {"mode: set\na.go:1.1,2.2 1\n", "line 2 is not of the form"},
		"Go, a word":        {"mode: set\na.go:1.1,2.2 1 often\n", "line 2 is not of the form"},
		"Go, no place":      {"mode: set\na.go 1 1\n", "line 2 is not of the form"},
		"Go, a long line":   {"mode: set\n" + strings.Repeat("a", 1<<17), "has a line of more than 64 KiB"},
		"Go, size":          {"mode: set\n" + strings.Repeat("\n", report.MaxFile), "has more than 32 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := report.ReadCoverage(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, report.ErrNoCoverage) != (c.want == none) {
				t.Errorf("%+v, %v; want %s", got, err, c.want)
			}
		})
	}
}

// TestNoOverflow adds up counts that no code has.
func TestNoOverflow(t *testing.T) {
	t.Parallel()
	const most = "99999999999999999999999"
	got, err := report.ReadCoverage(strings.NewReader("<report>" + strings.Repeat(`<counter type="LINE" missed="`+most+`" covered="`+most+`"/>`, 1000) + "</report>"))
	if err != nil {
		t.Fatal(err)
	}
	sum := got
	for range 10_000 {
		sum.Add(got)
	}
	if c := sum.Lines; c.Total != 1<<53-1 || c.Ratio() > 1 || c.Ratio() < 0 {
		t.Errorf("the sum is %+v", c)
	}
}
