package source

import (
	"context"
	"errors"
	"path"
	"strings"

	"atelier/internal/fault"
)

// ReadFile returns a file of a commit, whose id must be whole. A file that the commit does not have is a fault.NotFound error,
// one of more than limit bytes a fault.Limit error. A symbolic link is followed inside of the repository.
func (c *Client) ReadFile(ctx context.Context, url, commit, name string, limit int) ([]byte, error) {
	if err := c.check(ctx, url, Ref{Commit: commit}); err != nil {
		return nil, err
	}
	clean := path.Clean(name)
	if !wholeID(commit) || path.IsAbs(clean) || clean == "." || clean == ".." || strings.HasPrefix(clean, "../") || strings.ContainsAny(clean, "\n\x00") {
		return nil, fault.New(fault.Invalid, "the path %q is not that of a file inside of the repository", name)
	}
	var content []byte
	err := c.with(ctx, url, func(m *mirror) (err error) {
		content, err = m.readFile(ctx, strings.ToLower(commit), clean, limit)
		return err
	})
	return content, err
}

func (m *mirror) readFile(ctx context.Context, commit, name string, limit int) ([]byte, error) {
	if _, err := m.commit(ctx, commit, commit); errors.Is(err, errMissing) {
		return nil, notFound(m.url, Ref{Commit: commit})
	} else if err != nil {
		return nil, err
	}
	o, err := m.read(ctx, limit, commit+":"+name)
	switch {
	case err != nil:
		return nil, err
	case o.kind == "missing":
		return nil, fault.New(fault.NotFound, "there is no file %s in commit %s", name, commit)
	case o.id == "":
		return nil, fault.New(fault.NotFound, "the file %s in commit %s is a link that leads nowhere in the repository", name, commit)
	case o.kind != "blob":
		return nil, fault.New(fault.NotFound, "%s in commit %s is not a file", name, commit)
	case o.size > int64(limit):
		return nil, fault.New(fault.Limit, "the file %s in commit %s has %d bytes, at most %d are allowed", name, commit, o.size, limit)
	}
	return o.content, nil
}
