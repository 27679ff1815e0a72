package report_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"atelier/internal/report"
)

// seed adds the files of a directory, whole and cut.
func seed(f *testing.F, pattern string) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
}

// FuzzJUnit: whatever a build leaves is either counted or refused with a short sentence.
func FuzzJUnit(f *testing.F) {
	seed(f, "testdata/junit/*")
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := report.ReadJUnit(bytes.NewReader(data))
		checkRefusal(t, err)
		if got.Succeeded < 0 || got.Failed < 0 || got.Errors < 0 || got.Skipped < 0 || got.Time < 0 || len(got.Bad) > got.Failed+got.Errors {
			t.Fatalf("%+v", got)
		}
		for _, name := range got.Bad {
			if !utf8.ValidString(name) {
				t.Fatalf("the name %q", name)
			}
		}
	})
}

// FuzzCoverage does the same for coverage: never is more covered than there is.
func FuzzCoverage(f *testing.F) {
	seed(f, "testdata/coverage/*")
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := report.ReadCoverage(bytes.NewReader(data))
		checkRefusal(t, err)
		for _, c := range []report.Counter{got.Lines, got.Branches, got.Statements} {
			if c.Covered < 0 || c.Covered > c.Total {
				t.Fatalf("%+v", got)
			}
		}
	})
}

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	if err != nil && len(err.Error()) > 500 {
		t.Fatalf("refused with %d bytes: %.600v", len(err.Error()), err)
	}
}
