package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/filelock"
)

// lockDir makes sure that one server at a time works in a data directory. The lock is gone with the process.
func lockDir(dir string) (*filelock.Lock, error) {
	lock, err := filelock.Try(filepath.Join(dir, "server.lock"))
	if held, ok := errors.AsType[*filelock.HeldError](err); ok {
		return nil, fault.New(fault.Invalid, "--data-dir: another server works in %s (%s)", dir, held.Holder())
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "--data-dir: %s cannot be written", dir)
	}
	return lock, nil
}

// serverID returns what names this server in leases. It stays the same over restarts, so that a server that begins knows which
// builds it held when it was killed.
func serverID(dir string) (string, error) {
	path := filepath.Join(dir, "server.id")
	data, err := os.ReadFile(path)
	if err == nil {
		if id := strings.TrimSpace(string(data)); len(id) == 32 {
			return id, nil
		}
		return "", fmt.Errorf("%s does not hold a server's id", path)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	id := build.NewHexID()
	return id, writeWhole(path, []byte(id+"\n"), 0o600)
}

// writeWhole makes a file that is whole from the moment it is there, whenever the server or the machine ends.
func writeWhole(path string, data []byte, mode os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir brings the names in a directory to the disk.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
