package source

import (
	"os/exec"
	"strings"
	"testing"

	"atelier/internal/fault"
)

func TestCheckRef(t *testing.T) {
	t.Parallel()
	good := []string{"main", "feature/a-b", "v1.0", "release/2022.09", "功能/中文", "a@b", "@a", "a.b", "x.locked", "#1", "a!b", "HEAD/x", "a{b}", "refs/heads/main"}
	bad := []string{
		"", "-x", "@", "HEAD", ".a", "a/.b", "a.lock", "a.lock/b", "a..b", "a b", "a\tb", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b", `a\b`, "a\x7fb",
		"/a", "a/", "a//b", "a.", "a@{b", "\xff", "a\nb", strings.Repeat("a", MaxRef+1),
	}
	for _, name := range good {
		if err := (Policy{}).CheckRef(name); err != nil {
			t.Errorf("CheckRef(%q) = %v, want none", name, err)
		}
		if !gitAccepts(t, name) {
			t.Errorf("git does not accept %q", name)
		}
	}
	for _, name := range bad {
		if err := (Policy{}).CheckRef(name); !fault.Is(err, fault.Invalid) {
			t.Errorf("CheckRef(%q) = %v, want a fault", name, err)
		}
	}
}

// gitAccepts reports whether name can be the name of a branch, by git itself.
func gitAccepts(t *testing.T, name string) bool {
	t.Helper()
	cmd := exec.Command("git", "check-ref-format", "--branch", name)
	cmd.Dir = t.TempDir() // in a repository git would look at its branches
	return cmd.Run() == nil
}

func TestCheckCommit(t *testing.T) {
	t.Parallel()
	for id, ok := range map[string]bool{
		"0123abc": true, strings.Repeat("a", 40): true, strings.Repeat("B", 64): true, "ABCDEF0": true,
		"": false, "012345": false, strings.Repeat("a", 41): false, strings.Repeat("a", 63): false, "0123abg": false, "-123abc": false, "0123abc\n": false,
	} {
		if err := (Policy{}).CheckCommit(id); (err == nil) != ok || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("CheckCommit(%q) = %v", id, err)
		}
	}
}

// Every name that is accepted must satisfy git. A process for each input would be slow, so only a sample is shown to it.
func FuzzCheckRef(f *testing.F) {
	for _, seed := range []string{"main", "a/b", "a..b", "@{", "-", "a.lock/b", "é", "HEAD", "@"} {
		f.Add(seed)
	}
	asked := 0
	f.Fuzz(func(t *testing.T, name string) {
		if err := (Policy{}).CheckRef(name); err != nil {
			return
		}
		if strings.HasPrefix(name, "-") || strings.ContainsAny(name, " \n\x00:*") {
			t.Errorf("%q was accepted", name)
		}
		if asked++; (asked < 100 || asked%50 == 0) && !gitAccepts(t, name) {
			t.Errorf("git does not accept %q", name)
		}
	})
}
