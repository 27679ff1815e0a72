// Package sourcetest makes git repositories for tests.
package sourcetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Repository is a repository with a work tree on the machine of the test.
type Repository struct {
	t   testing.TB
	Dir string
}

// Time is when every commit was made.
var Time = time.Date(2022, 9, 9, 6, 31, 50, 0, time.UTC)

// New makes an empty repository in dir, whose default branch is main. Options of git init may be given.
func New(t testing.TB, dir string, options ...string) *Repository {
	t.Helper()
	r := Open(t, dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.Git(append([]string{"init", "--quiet", "--initial-branch=main"}, options...)...)
	return r
}

// Open returns the repository in dir, where there may be none yet.
func Open(t testing.TB, dir string) *Repository { return &Repository{t: t, Dir: dir} }

// URL returns the repository's file:// address.
func (r *Repository) URL() string { return "file://" + r.Dir }

// Environ returns an environment in which git depends on nothing that is set up on the machine. Its home is the given directory.
func Environ(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C.UTF-8",
		"GIT_AUTHOR_NAME=A U Thor", "GIT_AUTHOR_EMAIL=author@example.org", "GIT_AUTHOR_DATE=" + Time.Format(time.RFC3339),
		"GIT_COMMITTER_NAME=C O Mitter", "GIT_COMMITTER_EMAIL=committer@example.org", "GIT_COMMITTER_DATE=" + Time.Format(time.RFC3339),
	}
}

// Git runs git in the repository and returns what it prints, without the last line's end.
func (r *Repository) Git(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", append([]string{"-c", "protocol.file.allow=always", "-c", "gc.auto=0", "-c", "maintenance.auto=false"}, args...)...)
	cmd.Dir, cmd.Env = r.Dir, Environ(os.DevNull)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// Write writes a file into the work tree.
func (r *Repository) Write(name, content string) {
	r.t.Helper()
	file := filepath.Join(r.Dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// Commit commits the whole work tree, changed or not, and returns the commit's id.
func (r *Repository) Commit(message string) string {
	r.t.Helper()
	r.Git("add", "--all")
	r.Git("commit", "--quiet", "--allow-empty", "--message", message)
	return r.Git("rev-parse", "HEAD")
}
