package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"atelier/internal/fault"
)

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"https://example.org/team/app.git",
		"https://example.org:8443/team/app",
		"http://10.0.0.1/app.git",
		"http://[::1]:3000/app.git",
		"https://example.org/团队/app.git",
		"https://example.org/my%20team/app.git",
		"ssh://git@example.org/team/app.git",
		"ssh://git@example.org:2222/~user/app.git",
		"ssh://example.org/app.git",
		"ssh://git@[::1]/app.git",
		"git@example.org:team/app.git",
		"git@example.org:app",
		"git@[::1]:app.git",
		"git@my_host.internal:app.git",
	} {
		if err := (Policy{}).CheckURL(url); err != nil {
			t.Errorf("CheckURL(%q) = %v, want none", url, err)
		}
	}
	for _, test := range []struct{ url, says string }{
		{"", "is empty"},
		{"-uexample", "hyphen"},
		{"--upload-pack=touch x", "hyphen"},
		{"https://example.org/" + strings.Repeat("a", MaxURL), "at most 2048"},
		{"https://example.org/a b", "space"},
		{"https://example.org/a\nb", "control"},
		{"https://example.org/a\x00b", "control"},
		{"https://example.org/a\u202eb", "control"},
		{"https://example.org/a%0ab", "encoded control"},
		{"https://example.org/a%00b", "encoded control"},
		{"https://example.org/a%5cb", "backslash"},
		{`https://example.org\@evil.org/a`, "backslash"},
		{"https://user:secret@example.org/a", "credentials of the server"},
		{"https://token@example.org/a", "credentials of the server"},
		{"https://@example.org/a", "credentials of the server"},
		{"ssh://git:secret@example.org/a", "credentials of the server"},
		{"https://example.org/a?private_token=secret", "after ?"},
		{"https://example.org/a#b", "after ?"},
		{"https://example.org/a#", "after ?"},
		{"https://example.org", "no path"},
		{"https://example.org/", "no path"},
		{"https:///a", "no host"},
		{"https://example.org:99999/a", "port"},
		{"https://example.org:x/a", "well-formed"},
		{"https://exa$mple.org/a", "no host"},
		{"ssh://-oProxyCommand=x/a", "no host"},
		{"ssh://git@-oProxyCommand=x/a", "no host"},
		{"ssh://-l@example.org/a", "user name"},
		{"ssh://%2doProxyCommand=x/a", "well-formed"},
		{"git@-oProxyCommand=x:a", "no host"},
		{"-l@example.org:a", "hyphen"},
		{"git@example.org:-a", "hyphen"},
		{"git@example.org:", "no path"},
		{"git@:a", "no host"},
		{"example.org:a", "not the address of a remote repository"},
		{"ext::sh -c touch", "space"},
		{"ext::sh", "remote helper"},
		{"fd::17", "remote helper"},
		{"ext::ssh://git@example.org/a", "another transport"},
		{"git://example.org/a", "another transport"},
		{"ftp://example.org/a", "another transport"},
		{"git+ssh://example.org/a", "another transport"},
		{"HTTPS://example.org/a", "another transport"},
		{"/etc", "not the address of a remote repository"},
		{"../a", "not the address of a remote repository"},
		{".", "not the address of a remote repository"},
		{"C:/a", "not the address of a remote repository"},
		{"file:///etc", "operator has not allowed"},
	} {
		err := (Policy{}).CheckURL(test.url)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("CheckURL(%q) = %v, want a fault that says %q", test.url, err, test.says)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error of %q tells the secret: %v", test.url, err)
		}
	}
}

func TestCheckFileURL(t *testing.T) {
	t.Parallel()
	root, outside := t.TempDir(), t.TempDir()
	for _, dir := range []string{root + "/app", root + "/my app", root + "-not"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"inside": root + "/app", "escape": outside, "up": ".."} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	linked := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(root, linked); err != nil {
		t.Fatal(err)
	}
	p := Policy{FileRoots: []string{linked, "/does/not/exist"}}
	for _, good := range []string{root + "/app", root + "/inside", linked + "/app", root + "/my%20app", root + "/app/../app"} {
		if err := p.CheckURL("file://" + good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	var same string
	for _, bad := range []string{
		root, root + "/", root + "/..", root + "/../" + filepath.Base(outside), root + "/escape", root + "/up", root + "/inside/../..",
		root + "-not", outside, "/etc", root + "/missing", "/missing", "localhost" + root + "/app", "user@" + root + "/app", "", root + "/%2e%2e/",
	} {
		err := p.CheckURL("file://" + bad)
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want a fault", bad, err)
			continue
		}
		if same == "" {
			same = err.Error()
		}
		if err.Error() != same || strings.Contains(same, root) {
			t.Errorf("%s: the error tells what exists: %v", bad, err)
		}
	}
}

// What a strange address must never be, when it is accepted: an option, a helper's, with a password, or in need of quotes.
func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{"https://example.org/a", "git@example.org:a", "ssh://git@[::1]:22/a", "ext::sh", "-x", "https://u:p@h/a", "file:///etc", "a@b::c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		if err := (Policy{}).CheckURL(address); err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%q: %v is not a fault", address, err)
			}
			return
		}
		scheme, rest, isURL := strings.Cut(address, "://")
		if !isURL {
			scheme, rest = "ssh", address
		}
		authority, _, _ := strings.Cut(rest, "/")
		user, host, hasUser := strings.Cut(authority, "@")
		if !hasUser {
			host = user
		}
		switch {
		case scheme != "https" && scheme != "http" && scheme != "ssh":
			t.Errorf("%q: scheme %q", address, scheme)
		case strings.HasPrefix(address, "-") || strings.HasPrefix(user, "-") || strings.HasPrefix(host, "-"):
			t.Errorf("%q looks like an option", address)
		case hasUser && (scheme != "ssh" || strings.Contains(user, ":")):
			t.Errorf("%q holds a credential", address)
		case len(address) > MaxURL || strings.ContainsFunc(address, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }):
			t.Errorf("%q is not plain", address)
		}
	})
}
