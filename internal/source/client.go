package source

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"sync"
	"time"

	"atelier/internal/dialer"
	"atelier/internal/orphan"
)

// Config is what a [Client] is made of.
type Config struct {
	Policy Policy

	// Dir is a directory for mirrors of repositories, absolute and used by this client alone. It is a cache: what an earlier
	// client left in it is removed, and what of its git commands still runs is ended.
	Dir string

	// Environ is the environment of the server, from which git gets what credentials, proxies and certificates need.
	Environ []string

	// Dialer judges and makes the connections to repositories. Without one git connects by itself, to wherever it is told.
	Dialer *dialer.Dialer
}

// Client asks repositories, and puts them into workspaces. It may be used by many goroutines.
type Client struct {
	*shared
	credential Credential // none when it is empty
}

// shared is what a client has in common with those that [Client.With] makes of it.
type shared struct {
	policy   Policy
	dir      string
	dialer   *dialer.Dialer
	environ  func() []string
	upstream func() dialer.Upstream // the operator's proxies

	mu      sync.Mutex
	mirrors map[mirrorKey]*mirror
	counter int // of mirrors ever made, and of uses
}

// mirrorKey is what a mirror is found by. A credential is part of it: nobody reads what others had to prove themselves for.
type mirrorKey struct {
	url        string
	credential Credential
}

// New returns a client. It starts no process, and works without git as long as nobody asks for a repository.
func New(config Config) (*Client, error) {
	c := &Client{shared: &shared{policy: config.Policy, dir: config.Dir, dialer: config.Dialer, mirrors: make(map[mirrorKey]*mirror)}}
	c.environ = sync.OnceValue(func() []string { return c.gitEnviron(config.Environ) })
	c.upstream = sync.OnceValue(func() dialer.Upstream { return operatorProxy(config.Environ, c.gitSetting(c.environ(), "http.proxy")) })
	if err := c.endOrphans(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of mirrors: %w", err)
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, fmt.Errorf("list old mirrors: %w", err)
	}
	for _, e := range entries {
		if !mirrorName.MatchString(e.Name()) {
			continue
		}
		if err := os.RemoveAll(c.dir + "/" + e.Name()); err != nil {
			return nil, fmt.Errorf("remove an old mirror: %w", err)
		}
	}
	return c, nil
}

// marker is the variable by which the git commands of a client that was killed are found. One may wait for ever for a host that
// does not answer.
const marker = "ATELIER_REPOSITORIES"

func (c *Client) endOrphans() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	mine := func(pid int) bool { return orphan.HasVariable(pid, marker+"="+c.dir) }
	if err := orphan.End(ctx, mine, 0); err != nil {
		return fmt.Errorf("end the git commands that were left behind: %w", err)
	}
	return nil
}

var mirrorName = regexp.MustCompile(`^mirror-[0-9]+\.git$`)

// Policy returns what the client accepts.
func (c *Client) Policy() Policy { return c.policy }

// Environ returns the environment for git commands of a checkout that run on the server's machine, as the server's user.
func (c *Client) Environ() []string { return c.environ() }

// enter waits for the mirror of an address, makes one if there is none, and holds it until leave is called.
func (c *Client) enter(ctx context.Context, url string) (*mirror, error) {
	key := mirrorKey{url, c.credential}
	c.mu.Lock()
	m := c.mirrors[key]
	var evicted *mirror
	if m == nil {
		evicted = c.evict()
		m = &mirror{client: c, url: url, turn: make(chan struct{}, 1)}
		c.mirrors[key] = m
	}
	m.users++
	c.counter++
	m.used = c.counter
	c.mu.Unlock()
	if evicted != nil {
		evicted.discard()
	}
	select {
	case m.turn <- struct{}{}:
		return m, nil
	case <-ctx.Done():
		c.forget(m)
		return nil, context.Cause(ctx)
	}
}

func (c *Client) leave(m *mirror) {
	<-m.turn
	c.forget(m)
}

func (c *Client) forget(m *mirror) {
	c.mu.Lock()
	m.users--
	c.mu.Unlock()
}

// evict takes the mirror that nobody has used for the longest time out of the map when that is full. It returns nil when there
// is room, and also when all are in use: then there is one too many for a while.
func (c *Client) evict() *mirror {
	if len(c.mirrors) < maxMirrors {
		return nil
	}
	var oldest *mirror
	for _, m := range c.mirrors {
		if m.users == 0 && (oldest == nil || m.used < oldest.used) {
			oldest = m
		}
	}
	if oldest != nil {
		delete(c.mirrors, mirrorKey{oldest.url, oldest.client.credential})
	}
	return oldest
}

// newDir returns the name of a directory that no mirror has had.
func (c *Client) newDir() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counter++
	return fmt.Sprintf("%s/mirror-%d.git", c.dir, c.counter)
}
