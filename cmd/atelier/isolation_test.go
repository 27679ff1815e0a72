package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestSecretsArePrivate checks that steps do not see the files of settings that may hold secrets.
func TestSecretsArePrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var files []string
	for name, content := range map[string]string{"atelier.yml": "smtp-password-file: " + dir + "/mail\n", "mail": "secret\n"} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	parser, _, err := newParser(stdio{Out: io.Discard, Err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"serve", "--config", dir + "/atelier.yml", "--private", "/srv/other", "--smtp-server", "localhost:25", "--smtp-from", "a@example.org"}); err != nil {
		t.Fatal(err)
	}
	commands := parser.Model.Target.Addr().Interface().(*cli)
	config, err := commands.Serve.config(stdio{Err: io.Discard}, commands.Config)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "/srv/other") {
		if !slices.Contains(config.Isolation.Private, file) {
			t.Errorf("%s is not hidden, only %q", file, config.Isolation.Private)
		}
	}
}
