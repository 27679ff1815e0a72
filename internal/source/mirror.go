package source

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Limits that keep the mirrors small. A mirror holds the commits that builds asked for, as a rule without their history, so it
// is cheaper to begin anew now and then than to clean up.
const (
	maxMirrors = 100
	maxFetches = 200 // of one mirror, before it begins anew
	maxKnown   = 50  // commits of one mirror that are remembered
)

// mirror is a bare repository with parts of a remote one. Except for turn and what Client guards, only its holder uses it.
//
// It is no partial clone, although most of the files are never looked at. In one, git fetches what it finds missing by starting
// itself again, and a server that leaves things out on purpose makes versions before 2.44 do so without end.
type mirror struct {
	client *Client
	url    string
	turn   chan struct{}

	users int // guarded by Client.mu, like used
	used  int

	dir     string            // empty until something is fetched
	fetches int               // into dir
	known   map[string]Commit // commits that are in dir
}

// with lets f use the mirror of an address. A mirror is a cache: whatever seems wrong with it, a new one puts right.
func (c *Client) with(ctx context.Context, url string, f func(*mirror) error) error {
	m, err := c.enter(ctx, url)
	if err != nil {
		return err
	}
	defer c.leave(m)
	err = f(m)
	var failed *gitError
	if errors.As(err, &failed) && c.explain("", failed.Error(), err) == nil {
		m.discard()
		err = f(m)
	}
	return c.unreadable(url, err)
}

// discard removes the mirror's directory; the next fetch makes another one.
func (m *mirror) discard() {
	if m.dir != "" {
		_ = os.RemoveAll(m.dir) // what cannot be removed now is removed by the next client
	}
	m.dir, m.fetches, m.known = "", 0, nil
}

// commit returns a commit by its id, which may be abbreviated. It fetches the commit if the mirror does not hold it, by want,
// which is the same id or that of a tag that leads to it. If the repository has no such commit, the error is errMissing.
func (m *mirror) commit(ctx context.Context, want, id string) (Commit, error) {
	id = strings.ToLower(id)
	if found, ok := m.known[id]; ok {
		return found, nil
	}
	if m.fetches >= maxFetches {
		m.discard()
	}
	if wholeID(id) {
		if err := m.fetchOne(ctx, strings.ToLower(want)); err != nil {
			return Commit{}, err
		}
	}
	found, err := m.show(ctx, id)
	if errors.Is(err, errMissing) {
		if err = m.fetchAll(ctx, id); err == nil {
			found, err = m.show(ctx, id)
		}
	}
	if err != nil {
		return Commit{}, err
	}
	if m.known == nil || len(m.known) >= maxKnown {
		m.known = make(map[string]Commit)
	}
	m.known[found.ID] = found
	return found, nil
}

// show reads a commit from the mirror; errMissing if it is not there.
func (m *mirror) show(ctx context.Context, id string) (Commit, error) {
	o, err := m.read(ctx, maxCommit, id+"^{commit}")
	if err != nil {
		return Commit{}, err
	}
	if o.kind != "commit" {
		return Commit{}, errMissing
	}
	return parseCommit(o.id, o.content), nil
}

// fetchOne fetches one commit without its history, or everything if the server does not give out commits by their id.
func (m *mirror) fetchOne(ctx context.Context, id string) error {
	err := m.fetch(ctx, id, "--depth=1", m.url, "+"+id+":refs/atelier/last")
	var failed *gitError
	if errors.As(err, &failed) && refused(failed.stderr) {
		return m.fetchAll(ctx, id)
	}
	return err
}

// fetchAll fetches all branches and tags with their history.
func (m *mirror) fetchAll(ctx context.Context, id string) error {
	var args []string
	if m.dir != "" {
		if _, err := os.Stat(m.dir + "/shallow"); err == nil {
			args = append(args, "--unshallow")
		}
	}
	// Where git looks for no name: a branch may look like an abbreviated id.
	return m.fetch(ctx, id, append(args, "--prune", m.url, "+refs/heads/*:refs/atelier/heads/*", "+refs/tags/*:refs/atelier/tags/*")...)
}

// fetch makes the mirror if necessary, for ids of the kind of the given one, and fetches.
func (m *mirror) fetch(ctx context.Context, id string, args ...string) error {
	if m.dir == "" {
		format := "sha1"
		if len(id) == 64 {
			format = "sha256"
		}
		dir := m.client.newDir()
		if _, err := m.client.git(ctx, command{args: []string{"init", "--quiet", "--bare", "--template=", "--object-format=" + format, dir}}); err != nil {
			return err
		}
		m.dir = dir
	}
	m.fetches++
	_, err := m.git(ctx, command{url: m.url, args: append([]string{"fetch", "--quiet", "--no-tags", "--no-write-fetch-head"}, args...)})
	return err
}

// git runs a command in the mirror.
func (m *mirror) git(ctx context.Context, cmd command) ([]byte, error) {
	cmd.args = append([]string{"--git-dir=" + m.dir}, cmd.args...)
	return m.client.git(ctx, cmd)
}

// object is an object of git.
type object struct {
	id, kind string // without an id there is no such object, and kind is a word about why
	size     int64
	content  []byte // the beginning, if it is larger than asked for
}

var (
	errMissing = errors.New("the object is not in the mirror")
	errOutput  = errors.New("git cat-file: unexpected output")
)

// read reads the object that a name stands for, at least limit bytes of it.
func (m *mirror) read(ctx context.Context, limit int, name string) (object, error) {
	if m.dir == "" {
		return object{kind: "missing"}, nil
	}
	const header = 8 << 10
	out, err := m.git(ctx, command{
		args:  []string{"cat-file", "--batch", "--follow-symlinks"},
		stdin: name + "\n",
		limit: limit + header,
	})
	if err != nil && !errors.Is(err, errTooMuch) {
		return object{}, err
	}
	line, content, ok := bytes.Cut(out, []byte("\n"))
	if !ok {
		return object{}, errOutput
	}
	words := strings.Fields(string(line))
	if len(words) < 2 {
		return object{}, errOutput
	}
	if len(words) != 3 || !commitID.MatchString(words[0]) {
		if len(words) == 2 && slices.Contains([]string{"symlink", "dangling", "loop", "notdir"}, words[0]) {
			return object{kind: words[0]}, nil
		}
		return object{kind: "missing"}, nil
	}
	size, err := strconv.ParseInt(words[2], 10, 64)
	if err != nil || size < 0 {
		return object{}, errOutput
	}
	return object{id: words[0], kind: words[1], size: size, content: content[:min(int64(len(content)), size)]}, nil
}
