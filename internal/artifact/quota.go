package artifact

import (
	"io"
	"sync"

	"atelier/internal/build"
)

// quota counts what uploads under way have written. What the database says comes later, when they are published.
type quota struct {
	mu       sync.Mutex
	projects map[build.ProjectID]int64
	builds   map[build.RecordID]int64
}

// add counts n bytes more, or less, and returns what is under way then.
func (q *quota) add(a build.Artifact, n int64) build.ArtifactUsage {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.projects == nil {
		q.projects, q.builds = make(map[build.ProjectID]int64), make(map[build.RecordID]int64)
	}
	q.projects[a.ProjectID] += n
	q.builds[a.RecordID] += n
	u := build.ArtifactUsage{Project: q.projects[a.ProjectID], Build: q.builds[a.RecordID]}
	if u.Project == 0 {
		delete(q.projects, a.ProjectID)
	}
	if u.Build == 0 {
		delete(q.builds, a.RecordID)
	}
	return u
}

// counter is the content of an upload. Reading it ends with an error at a limit, which uploads at the same time reach together.
type counter struct {
	store    *Store
	artifact build.Artifact // with the size of what was read
	used     build.ArtifactUsage
	r        io.Reader
}

// Read implements [io.Reader].
func (c *counter) Read(p []byte) (int, error) {
	n, err := roomy{c.store.config.Room, c.r}.Read(p)
	c.artifact.Size += int64(n)
	underWay := c.store.quota.add(c.artifact, int64(n))
	others := build.ArtifactUsage{
		Project: c.used.Project + underWay.Project - c.artifact.Size,
		Build:   c.used.Build + underWay.Build - c.artifact.Size,
	}
	if full := c.store.config.Limits.Check(c.artifact, others); full != nil {
		return 0, full
	}
	return n, err
}

// done says that the upload is no longer under way.
func (c *counter) done() { c.store.quota.add(c.artifact, -c.artifact.Size) }

// roomy reads as long as there is room for what was read.
type roomy struct {
	room func(bytes int64) error
	r    io.Reader
}

// Read implements [io.Reader].
func (r roomy) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if full := r.room(int64(n)); full != nil {
		return 0, full
	}
	return n, err
}
