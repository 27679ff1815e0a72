package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what the program says into the documents")

// TestReference checks that the configuration reference has every setting, as the program describes it.
func TestReference(t *testing.T) {
	const file = "../../docs/configuration.md"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), "-update` -->\n")
	_, after, end := strings.Cut(rest, "<!-- end -->")
	if !ok || !end {
		t.Fatalf("%s has no place for the settings", file)
	}
	want := before + "-update` -->\n" + settings(t) + "<!-- end -->" + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("%s is out of date; run go test ./cmd/atelier -run Reference -update\n%s", file, diff)
	}
}

// settings returns the table of the server's settings.
func settings(t *testing.T) string {
	t.Helper()
	parser, _, err := newParser(stdio{os.Stdin, os.Stdout, os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| flag | variable | default | |\n| --- | --- | --- | --- |\n")
	for _, command := range parser.Model.Children {
		if command.Name != "serve" {
			continue
		}
		for _, f := range command.Flags {
			if f.Name != "help" {
				fmt.Fprintf(&b, "| `--%s` | `%s` | %s | %s |\n", f.Name, strings.Join(f.Envs, " "), shownDefault(f), f.Help)
			}
		}
	}
	return b.String()
}

func shownDefault(f *kong.Flag) string {
	if f.Default == "" {
		return ""
	}
	return "`" + f.Default + "`"
}
