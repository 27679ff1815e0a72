package local

import (
	"context"
	"net/url"
	"os/exec"
	"slices"
	"strings"
)

// ownURL is the address that the task gives for its repository. It stands for the directory, whose true addresses may hold
// passwords.
const ownURL = "file:///working-directory"

// repository is what git knows of a directory. Of one that is no repository, or without git, that is nothing.
type repository struct {
	commit  string
	branch  string   // empty when none is checked out
	remotes []string // their addresses
}

func findRepository(ctx context.Context, dir string) repository {
	git := func(args ...string) string {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
		if err != nil {
			return ""
		}
		return string(out)
	}
	r := repository{
		commit: strings.TrimSpace(git("rev-parse", "--quiet", "--verify", "HEAD^{commit}")),
		branch: strings.TrimSpace(git("symbolic-ref", "--quiet", "--short", "HEAD")),
	}
	for setting := range strings.SplitSeq(git("config", "--null", "--get-regexp", `^remote\..*\.url$`), "\x00") {
		if _, address, ok := strings.Cut(setting, "\n"); ok {
			r.remotes = append(r.remotes, address)
		}
	}
	return r
}

// has reports whether an address is that of the repository.
func (r repository) has(address string) bool {
	return address == ownURL || slices.ContainsFunc(r.remotes, func(remote string) bool { return location(remote) == location(address) })
}

// location returns what the addresses of one repository have in common, however it is reached: host and path.
func location(address string) string {
	host, path := "", strings.TrimPrefix(address, "file://")
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		host, path = u.Hostname(), u.Path
	} else if h, p, ok := strings.Cut(path, ":"); ok && !strings.Contains(h, "/") { // user@host:path
		host, path = h[strings.LastIndex(h, "@")+1:], p
	}
	return strings.ToLower(host) + "/" + strings.TrimSuffix(strings.Trim(path, "/"), ".git")
}
