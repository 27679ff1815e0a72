package local

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"atelier/internal/fault"
	"atelier/internal/source"
)

// sources is the directory in the place of repositories. It implements [engine.Sources].
type sources struct {
	dir        string
	repository repository
}

// Resolve returns the commit that the directory is at, whichever was asked for: its code is what is built.
func (s sources) Resolve(context.Context, string, source.Ref) (source.Commit, error) {
	return source.Commit{ID: s.repository.commit, Branch: s.repository.branch}, nil
}

// ReadFile returns a file as it is now. It may be a pipe, which nobody may ever write to.
func (s sources) ReadFile(ctx context.Context, _, _, name string, limit int) ([]byte, error) {
	type content struct {
		data []byte
		err  error
	}
	read := make(chan content, 1)
	go func() {
		data, err := s.readFile(name, limit)
		read <- content{data, err}
	}()
	select {
	case c := <-read:
		return c.data, c.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (s sources) readFile(name string, limit int) ([]byte, error) {
	file := filepath.FromSlash(name)
	if !filepath.IsAbs(file) {
		file = filepath.Join(s.dir, file)
	}
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "%s: there is no such file", name)
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: cannot be opened: %v", name, errors.Unwrap(err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	switch {
	case err != nil:
		return nil, fault.New(fault.Invalid, "%s: cannot be read: %v", name, errors.Unwrap(err))
	case len(data) > limit:
		return nil, fault.New(fault.Limit, "%s: is longer than %d bytes, which a build file may have", name, limit)
	}
	return data, nil
}
