package source

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"atelier/internal/fault"
)

// Ref names a commit. Commit wins over Tag, which wins over Branch; with none of them it is the tip of the repository's
// default branch.
type Ref struct {
	Branch string
	Tag    string
	Commit string // whole, or at least 7 digits of it
}

// Commit is what a record keeps of a commit.
type Commit struct {
	ID      string // whole
	Branch  string // as asked for; of the default branch, its name
	Message string // without line ends at the end, valid UTF-8, at most 4 KiB
	Time    time.Time
}

const (
	maxCommit  = 256 << 10 // of a commit object that is looked at
	maxMessage = 4 << 10
)

// Resolve returns the commit that a ref stands for now. If the repository was read but has no such ref, the error is a
// fault.NotFound one; if it could not be read, the error's kind is another.
func (c *Client) Resolve(ctx context.Context, url string, ref Ref) (Commit, error) {
	if err := c.check(ctx, url, ref); err != nil {
		return Commit{}, err
	}
	branch, want, id := ref.Branch, ref.Commit, ref.Commit
	if ref.Commit == "" {
		var err error
		if branch, want, id, err = c.lookUp(ctx, url, ref); err != nil {
			return Commit{}, err
		}
	}
	var found Commit
	err := c.with(ctx, url, func(m *mirror) (err error) {
		found, err = m.commit(ctx, want, id)
		if errors.Is(err, errMissing) {
			err = notFound(url, ref)
		}
		return err
	})
	found.Branch = branch
	return found, err
}

// check refuses what the policy does not allow.
func (c *Client) check(ctx context.Context, url string, ref Ref) error {
	if err := c.checkURL(ctx, url); err != nil {
		return err
	}
	for _, name := range []string{ref.Branch, ref.Tag} {
		if name != "" {
			if err := c.policy.CheckRef(name); err != nil {
				return err
			}
		}
	}
	if ref.Commit != "" {
		return c.policy.CheckCommit(ref.Commit)
	}
	return nil
}

func (c *Client) checkURL(ctx context.Context, url string) error {
	if err := c.policy.CheckURL(url); err != nil {
		return err
	}
	return c.judge(ctx, url)
}

// notFound is the error for a ref that a repository does not have.
func notFound(url string, ref Ref) error {
	what := "default branch with a commit"
	switch {
	case ref.Commit != "":
		what = "commit " + ref.Commit + ", or more than one of them"
		if wholeID(ref.Commit) {
			what = "commit " + ref.Commit
		}
	case ref.Tag != "":
		what = "tag " + ref.Tag + " of a commit"
	case ref.Branch != "":
		what = "branch " + ref.Branch
	}
	return fault.New(fault.NotFound, "the repository %s was read, but it has no %s", url, what)
}

// lookUp asks the remote repository for a branch, a tag or the default branch. It returns the branch's name, and the ids of
// the object to fetch and of the commit, which differ for an annotated tag.
func (c *Client) lookUp(ctx context.Context, url string, ref Ref) (branch, want, id string, err error) {
	name := "HEAD"
	switch {
	case ref.Tag != "":
		name = "refs/tags/" + ref.Tag
	case ref.Branch != "":
		name = "refs/heads/" + ref.Branch
	}
	out, err := c.git(ctx, command{url: url, args: []string{"ls-remote", "--symref", "--", url, name, name + "^{}"}})
	if err != nil {
		return "", "", "", c.unreadable(url, err)
	}
	branch = ref.Branch
	for line := range strings.Lines(string(out)) {
		value, of, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		switch {
		case of == name && strings.HasPrefix(value, "ref: "):
			if target, ok := strings.CutPrefix(value, "ref: refs/heads/"); ok && name == "HEAD" {
				branch = target
			}
		case of == name:
			want, id = value, value
		case of == name+"^{}":
			id = value
		}
	}
	if !wholeID(id) || commitID.FindString(id) == "" {
		return "", "", "", notFound(url, ref)
	}
	return branch, want, id, nil
}

// maxHeads bounds what a repository may say of its branches, in bytes.
const maxHeads = 16 << 20

// Branches returns the commits of all branches of a repository, and the name of the default branch; empty when it has none.
func (c *Client) Branches(ctx context.Context, url string) (heads map[string]string, standard string, err error) {
	if err := c.checkURL(ctx, url); err != nil {
		return nil, "", err
	}
	out, err := c.git(ctx, command{url: url, args: []string{"ls-remote", "--symref", "--", url, "HEAD", "refs/heads/*"}, limit: maxHeads})
	if err != nil {
		return nil, "", c.unreadable(url, err)
	}
	heads = make(map[string]string)
	for line := range strings.Lines(string(out)) {
		value, of, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if target, ok := strings.CutPrefix(value, "ref: refs/heads/"); ok && of == "HEAD" {
			standard = target
		} else if name, ok := strings.CutPrefix(of, "refs/heads/"); ok && wholeID(value) {
			heads[name] = value
		}
	}
	return heads, standard, nil
}

// parseCommit reads a commit object.
func parseCommit(id string, content []byte) Commit {
	found := Commit{ID: id}
	head, message, _ := bytes.Cut(content, []byte("\n\n"))
	for line := range bytes.Lines(head) {
		if rest, ok := bytes.CutPrefix(line, []byte("committer ")); ok {
			words := strings.Fields(string(rest[bytes.LastIndexByte(rest, '>')+1:]))
			if len(words) > 0 {
				seconds, _ := strconv.ParseInt(words[0], 10, 64)
				found.Time = time.Unix(seconds, 0).UTC()
			}
			break
		}
	}
	text := strings.ToValidUTF8(string(message[:min(len(message), maxMessage)]), "")
	found.Message = strings.TrimSpace(strings.ReplaceAll(text, "\x00", ""))
	return found
}
