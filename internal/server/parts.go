package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"atelier/internal/disk"
	"atelier/internal/endpoint"
	"atelier/internal/fault"
	"atelier/internal/iam"
	"atelier/internal/secret"
	"atelier/internal/store"
)

// Parts are the database and what works on it alone. The administration commands need no more.
type Parts struct {
	Store     *store.Store
	Sealer    *secret.Sealer
	IAM       *iam.Service
	Endpoints *endpoint.Service
}

// OpenAdmin opens the database and the key that seals secrets in it for administration, also beside a running server. It makes
// neither: both must be there, and belong to each other and to the data directory, if that is there.
func OpenAdmin(ctx context.Context, c Config) (Parts, error) {
	d, err := readDataDir(c.DataDir)
	if err != nil {
		return Parts{}, err
	}
	if _, err := os.Stat(c.keyFile()); errors.Is(err, fs.ErrNotExist) && d.id == "" {
		return Parts{}, fault.Wrap(err, fault.Invalid, "--data-dir: no server has used %s; start one there first, or give the directory that it uses", c.DataDir)
	}
	return c.open(ctx, store.Check(func(db store.Identity) error {
		if err := d.checkAdmin(db); err != nil {
			return err
		}
		return c.checkKey(d, db)
	}))
}

// openParts opens the database and the key that seals secrets in it for the one server of a data directory. What is not there
// is made, unless it should be.
func openParts(ctx context.Context, c Config, room *disk.Guard) (Parts, error) {
	d, err := readDataDir(c.DataDir)
	if err != nil {
		return Parts{}, err
	}
	parts, err := c.open(ctx, store.Exclusive(), store.MakeRoom(room.GiveUp), store.Check(func(db store.Identity) error {
		if err := d.check(db, c.NewDatabase); err != nil {
			return err
		}
		return c.checkKey(d, db)
	}))
	if err != nil {
		return Parts{}, err
	}
	if err := d.belongTo(parts.Store.ID()); err != nil {
		return Parts{}, errors.Join(err, parts.Store.Close())
	}
	return parts, nil
}

// open opens the database as options say, and then the key.
func (c Config) open(ctx context.Context, options ...store.Option) (_ Parts, err error) {
	db, err := store.Open(ctx, cmp.Or(c.Database, "sqlite:"+filepath.Join(c.DataDir, "atelier.db")), options...)
	if err != nil {
		return Parts{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	sealer, err := secret.Open(c.keyFile())
	if err != nil {
		return Parts{}, err
	}
	if !c.ManyKeys {
		sealed, err := db.KeyCheck(ctx, func() (string, error) { return sealer.Seal("atelier") })
		if err != nil {
			return Parts{}, fmt.Errorf("check the key: %w", err)
		}
		if err := c.checkSealed(sealer, db.Name(), sealed); err != nil { // another server was quicker
			return Parts{}, err
		}
	}
	return Parts{
		Store: db, Sealer: sealer, IAM: iam.New(iam.Parts{Store: db, Sealer: sealer, Region: c.Region}),
		Endpoints: &endpoint.Service{Store: db, Sealer: sealer, Now: time.Now},
	}, nil
}
