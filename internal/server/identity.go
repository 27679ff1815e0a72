package server

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"atelier/internal/fault"
	"atelier/internal/secret"
	"atelier/internal/store"
)

// dataDir is what a data directory says of itself. Several, each with a server of its own, may belong to one database.
type dataDir struct {
	path string
	id   string // of the database that it belongs to; "" when no server has worked here
	full bool   // there are logs or artifacts of a database whose id is not known
}

// readDataDir looks at a data directory, which need not be there.
func readDataDir(path string) (dataDir, error) {
	d := dataDir{path: path}
	data, err := os.ReadFile(d.idFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d, fault.Wrap(err, fault.Invalid, "--data-dir: %s cannot be read", d.idFile())
	}
	if d.id = strings.TrimSpace(string(data)); err == nil && len(d.id) != 32 {
		return d, fault.New(fault.Invalid, "--data-dir: %s does not hold the id of a database, which has 32 digits; restore it from a backup", d.idFile())
	}
	if d.id != "" {
		return d, nil
	}
	d.full = hasFile(filepath.Join(path, "artifacts"))
	for i := 0; i < 256 && !d.full; i++ { // the directories of logs, which are made before there are any
		d.full = hasFile(filepath.Join(path, "logs", fmt.Sprintf("%02x", i)))
	}
	return d, nil
}

// hasFile reports whether there is something in a directory.
func hasFile(path string) bool {
	dir, err := os.Open(path)
	if err != nil {
		return false
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(1)
	return len(names) > 0
}

// idFile names the database that the directory belongs to.
func (d dataDir) idFile() string { return filepath.Join(d.path, "database.id") }

// belongTo writes down which database the directory belongs to.
func (d dataDir) belongTo(id string) error {
	if d.id == id {
		return nil
	}
	if err := writeWhole(d.idFile(), []byte(id+"\n"), 0o600); err != nil {
		return fmt.Errorf("write down which database %s belongs to: %w", d.path, err)
	}
	return nil
}

// check reports whether a server may work in the directory with a database. An empty one may be a new one when anew is set.
func (d dataDir) check(db store.Identity, anew bool) error {
	switch {
	case db.ID == "" && anew, db.ID != "" && db.ID == d.id:
		return nil
	case db.ID == "" && d.id != "":
		return fault.New(fault.Invalid, "--database: %s is empty, but %s belongs to the database %s. Give that one, or restore a backup of it. "+
			"To begin with an empty database all the same, start once with --new-database: logs and artifacts stay, but nobody reaches them any more",
			db.Name, d.path, d.id)
	case db.Empty && d.full:
		return fault.New(fault.Invalid, "--database: %s is empty, but %s has logs or artifacts of another database. Give that one, or restore a backup of it. "+
			"To begin with an empty database all the same, start once with --new-database: logs and artifacts stay, but nobody reaches them any more",
			db.Name, d.path)
	case db.ID == "" || d.id == "" && !d.full:
		return nil // an earlier version has made it, or a server begins to work here
	case d.id == "":
		return fault.New(fault.Invalid, "--data-dir: %s has logs or artifacts, but not the file database.id, which says whose they are. "+
			"If they belong to %s, write its id, %s, into that file. Otherwise give another directory", d.path, db.Name, db.ID)
	}
	return d.foreign(db)
}

// checkAdmin reports whether a database may be administered with the directory.
func (d dataDir) checkAdmin(db store.Identity) error {
	switch {
	case db.Empty:
		return fault.New(fault.Invalid, "--database: no server has used %s; start one with it first, or give the database that it uses", db.Name)
	case d.id != "" && db.ID != "" && d.id != db.ID:
		return d.foreign(db)
	default:
		return nil
	}
}

func (d dataDir) foreign(db store.Identity) error {
	return fault.New(fault.Invalid, "--database: %s is the database %s, but %s belongs to the database %s. Give --database and --data-dir that belong together",
		db.Name, db.ID, d.path, d.id)
}

// keyFile returns where the key that seals secrets is.
func (c Config) keyFile() string { return cmp.Or(c.KeyFile, DefaultKeyFile(c.DataDir)) }

// checkKey reports whether the key is that of the database, or may be made because there was none.
func (c Config) checkKey(d dataDir, db store.Identity) error {
	_, err := os.Stat(c.keyFile())
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case missing && (d.id != "" || db.Sealed != "" && !c.ManyKeys):
		return fault.New(fault.Invalid, "--key-file: %s is missing. It holds the key of the secrets in %s, and no other can take its place: restore it from a backup",
			c.keyFile(), db.Name)
	case missing, c.ManyKeys, db.Sealed == "":
		return nil
	}
	sealer, err := secret.Open(c.keyFile())
	if err != nil {
		return err
	}
	return c.checkSealed(sealer, db.Name, db.Sealed)
}

// checkSealed reports whether a key opens the text by which the right one is known.
func (c Config) checkSealed(sealer *secret.Sealer, database, sealed string) error {
	if _, err := sealer.Open(sealed); err != nil {
		return fault.New(fault.Invalid, "--key-file: %s has another key than the one that sealed the secrets in %s. Restore the file from a backup; "+
			"servers that share a database share the key", c.keyFile(), database)
	}
	return nil
}
