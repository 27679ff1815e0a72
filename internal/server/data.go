package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// lockDir makes sure that one server at a time works in a data directory. The lock is gone with the process.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "server.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "--data-dir: %s cannot be written", dir)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fault.New(fault.Invalid, "--data-dir: another server works in %s", dir)
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// unlockDir gives a data directory free. To close the file would not do: a process that is being started at this moment has it too, until
// its program begins.
func unlockDir(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
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
	return os.Rename(f.Name(), path)
}
