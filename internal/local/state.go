package local

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"atelier/internal/artifact"
	"atelier/internal/dirtree"
	"atelier/internal/logs"
	"atelier/internal/secret"
	"atelier/internal/source"
	"atelier/internal/store"
)

// state is what a server keeps in its data directory, in a temporary one.
type state struct {
	dir       string
	db        *store.Store
	logs      *logs.Store
	artifacts *artifact.Store
	sealer    *secret.Sealer
	git       *source.Client
}

func openState(ctx context.Context) (_ *state, err error) {
	s := &state{}
	if s.dir, err = os.MkdirTemp("", "atelier-exec-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.remove())
		}
	}()
	if s.db, err = store.Open(ctx, "sqlite:"+s.path("atelier.db")); err != nil {
		return nil, err
	}
	if s.logs, err = logs.Open(s.path("logs"), logs.Config{}); err != nil {
		return nil, err
	}
	bucket, err := artifact.OpenDir(s.path("artifacts"))
	if err != nil {
		return nil, err
	}
	s.artifacts = artifact.New(bucket, s.db, artifact.Config{})
	if s.sealer, err = secret.Open(s.path("secret.key")); err != nil {
		return nil, err
	}
	s.git, err = source.New(source.Config{
		Policy:  source.Policy{FileRoots: []string{"/"}}, // the user may read them anyway
		Dir:     s.path("repositories"),
		Environ: os.Environ(),
	})
	return s, err
}

func (s *state) path(name string) string { return filepath.Join(s.dir, name) }

// remove closes everything and leaves nothing.
func (s *state) remove() error {
	var errs []error
	if s.artifacts != nil {
		errs = append(errs, s.artifacts.Close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(append(errs, dirtree.RemoveAll(context.Background(), s.dir))...)
}
