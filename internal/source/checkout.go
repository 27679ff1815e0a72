package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"atelier/internal/fault"
)

// Checkout says what to put into a workspace. Its fields are those of a plan's checkout.
type Checkout struct {
	URL        string
	Branch     string
	Tag        string
	Commit     string // wins over Tag, which wins over Branch; with none of them it is the default branch
	Depth      int    // of the history; 0 for all of it
	Submodules bool   // of all levels
	LFS        bool
	Path       string // directory below the workspace; empty for the workspace itself
}

// Runner gives a checkout a place, and runs git there in the way that an executor runs things. A step can put anything into a workspace, also a
// repository with a configuration that git would obey. So git works in a new directory that no step can reach, and what it has made is put
// into the workspace afterwards.
type Runner interface {
	// Check refuses, with a fault.Invalid error, a directory below the workspace into which no repository can be put: one outside, to which a
	// link leads, and one that holds an entry named .git. "." is the workspace itself.
	Check(dir string) error

	// Git runs git in a directory below the new one, with the credentials of the server's user. It gets args without the program's name
	// and env in addition to what [Client.Environ] has; what env has counts. Both outputs go to out. An exit code other than 0 is not an error.
	Git(ctx context.Context, dir string, args, env []string, out io.Writer) (exitCode int, err error)

	// Place puts what is in the new directory into a directory below the workspace, which it makes with those that lead to it. It refuses
	// what Check refuses. Files that are there stay, except those that the repository has as well.
	Place(ctx context.Context, dir string) error
}

// Checkout puts a repository into a workspace, and prints what it does to out. What is wrong with the repository, or with the
// wish, is an error whose sentence may be shown; other errors are those of run and of out. After it the workspace has a
// detached HEAD and a remote named origin, and no credential.
func (c *Client) Checkout(ctx context.Context, run Runner, spec Checkout, out io.Writer) error {
	ref := Ref{Branch: spec.Branch, Tag: spec.Tag, Commit: spec.Commit}
	if err := c.check(ctx, spec.URL, ref); err != nil {
		return err
	}
	if spec.Path != "" && (path.IsAbs(spec.Path) || strings.ContainsFunc(spec.Path, func(r rune) bool { return r < ' ' }) ||
		slices.Contains(strings.Split(spec.Path, "/"), "..") || slices.Contains(strings.Split(spec.Path, "/"), ".git")) {
		return fault.New(fault.Invalid, "the path %q is not that of a directory below the workspace", spec.Path)
	}
	place := path.Clean("./" + spec.Path)
	if err := run.Check(place); err != nil {
		return err
	}
	way, err := c.openRoute()
	if err != nil {
		return err
	}
	defer way.close()
	k := &checkout{Checkout: spec, ref: ref, client: c, run: run, out: out, way: way}
	if err := k.do(ctx); err != nil {
		return err
	}
	return run.Place(ctx, place)
}

// checkout is one run of [Client.Checkout].
type checkout struct {
	Checkout
	ref    Ref
	client *Client
	run    Runner
	out    io.Writer
	way    route
}

func (k *checkout) do(ctx context.Context) error {
	format := "sha1"
	if len(k.Commit) == 64 {
		format = "sha256"
	}
	// No other command comes before: it would take the settings of a repository around this directory.
	if err := k.git(ctx, "", "init", "--quiet", "--template=", "--initial-branch=main", "--object-format="+format); err != nil {
		return err
	}
	if err := k.git(ctx, "", "remote", "add", "origin", k.URL); err != nil {
		return err
	}
	if k.LFS {
		if err := k.findLFS(ctx); err != nil {
			return err
		}
	}
	revision, err := k.fetch(ctx)
	if err != nil {
		return err
	}
	if err := k.git(ctx, "", "checkout", "--detach", "--force", revision, "--"); err != nil {
		return err
	}
	return k.contents(ctx, "", 0)
}

// fetch fetches what is to be checked out, and returns its name in the workspace.
func (k *checkout) fetch(ctx context.Context) (revision string, err error) {
	var refspec string
	switch {
	case k.Commit != "":
		return k.fetchCommit(ctx)
	case k.Tag != "":
		revision = "refs/tags/" + k.Tag
		refspec = "+" + revision + ":" + revision
	case k.Branch != "":
		revision = "refs/remotes/origin/" + k.Branch
		refspec = k.branchSpec()
	default:
		revision, refspec = "FETCH_HEAD", "HEAD"
	}
	said, exit, err := k.show(ctx, "", fetchArgs(k.Depth, refspec)...)
	switch {
	case err != nil:
		return "", err
	case exit != 0 && refused(said):
		return "", notFound(k.URL, k.ref)
	case exit != 0:
		return "", k.failed("fetch", said, exit)
	}
	return revision, nil
}

func (k *checkout) branchSpec() string {
	return "+refs/heads/" + k.Branch + ":refs/remotes/origin/" + k.Branch
}

// everything is the depth that git takes for all of a history, also where it was cut off before.
const everything = 1<<31 - 1

func fetchArgs(depth int, refspecs ...string) []string {
	args := []string{"fetch", "--no-recurse-submodules"}
	if depth > 0 {
		args = append(args, fmt.Sprintf("--depth=%d", min(depth, everything)))
	}
	return append(append(args, "origin"), refspecs...)
}

// fetchCommit fetches one commit and returns its whole id. A server that does not give it out by its id is asked for the
// branch, then for more of the branch, and then for everything.
func (k *checkout) fetchCommit(ctx context.Context) (revision string, err error) {
	for i, args := range k.attempts() {
		if i > 0 {
			if _, err := fmt.Fprintf(k.out, "Commit %s was not among what the server gave; fetching more of the history.\n", k.Commit); err != nil {
				return "", err
			}
		}
		said, exit, err := k.show(ctx, "", args...)
		if err != nil {
			return "", err
		}
		if exit != 0 && !refused(said) {
			return "", k.failed("fetch", said, exit)
		}
		if i == 0 && exit == 0 && wholeID(k.Commit) {
			return strings.ToLower(k.Commit), nil // it is what was fetched
		}
		if revision, err := k.find(ctx); err != nil || revision != "" {
			return revision, err
		}
	}
	return "", notFound(k.URL, k.ref)
}

// attempts returns the fetches that may bring the commit, the cheapest first.
func (k *checkout) attempts() [][]string {
	var list [][]string
	if wholeID(k.Commit) {
		spec := "+" + k.Commit
		if k.Branch != "" {
			spec += ":refs/remotes/origin/" + k.Branch
		}
		list = append(list, fetchArgs(k.Depth, spec))
	}
	all := 0
	if k.Depth > 0 {
		all = everything
		if k.Branch != "" {
			list = append(list, fetchArgs(k.Depth, k.branchSpec()), fetchArgs(min(k.Depth, everything/20)*20, k.branchSpec()))
		}
	}
	return append(list, fetchArgs(all, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"))
}

// find returns the whole id of the commit if the workspace has it, and otherwise nothing. A branch or tag whose name looks like
// an id is not taken for it.
func (k *checkout) find(ctx context.Context) (id string, err error) {
	said, exit, err := k.capture(ctx, "", "rev-parse", "--verify", "--quiet", k.Commit+"^{commit}")
	if err != nil || exit != 0 {
		return "", err
	}
	id = strings.TrimSpace(said)
	if !wholeID(id) || !strings.HasPrefix(id, strings.ToLower(k.Commit)) {
		return "", nil
	}
	return id, nil
}

// git runs a command that has to succeed and shows what it prints.
func (k *checkout) git(ctx context.Context, dir string, args ...string) error {
	said, exit, err := k.show(ctx, dir, args...)
	if err == nil && exit != 0 {
		err = k.failed(args[0], said, exit)
	}
	return err
}

// show runs a command, shows what it prints, and returns the end of it.
func (k *checkout) show(ctx context.Context, dir string, args ...string) (said string, exit int, err error) {
	printed := &tail{limit: 16 << 10}
	lines := &clean{out: io.MultiWriter(k.out, printed)}
	exit, err = k.start(ctx, dir, args, lines)
	if flushed := lines.Flush(); err == nil {
		err = flushed
	}
	return printed.String(), exit, err
}

// capture runs a command and returns what it prints, all of it.
func (k *checkout) capture(ctx context.Context, dir string, args ...string) (said string, exit int, err error) {
	printed := &head{limit: 1 << 20}
	exit, err = k.start(ctx, dir, args, printed)
	if errors.Is(err, errTooMuch) {
		err = fault.New(fault.Limit, "git %s printed more than %d bytes about %s", args[0], printed.limit, k.URL)
	}
	return printed.String(), exit, err
}

func (k *checkout) start(ctx context.Context, dir string, args []string, out io.Writer) (exit int, err error) {
	env := append(k.client.policy.promptless(), k.client.extraEnviron(k.way)...)
	return k.run.Git(ctx, dir, append(slices.Clone(settings), args...), env, out)
}

// failed is the error of a git command that did not succeed.
func (k *checkout) failed(what, said string, exit int) error {
	subject := "the repository " + k.URL
	if what == "submodule" || what == "lfs" {
		subject = "what git " + what + " fetches for " + subject
	}
	if why := k.way.failure(subject); why != nil {
		return why
	}
	cause := fmt.Errorf("git %s: exit code %d", what, exit)
	if explained := k.client.explain(subject, said, cause); explained != nil {
		return explained
	}
	return fault.Wrap(cause, fault.Unavailable, "git %s ended with exit code %d", what, exit)
}
