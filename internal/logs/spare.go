package logs

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// maxSpare is how many empty files are kept for logs that are still to come. To make a file takes longer than to give one its name, on some file
// systems ten times as long.
const maxSpare = 8

// spareDir is where they are.
func (s *Store) spareDir() string { return filepath.Join(s.dir, "spare") }

// openSpare makes the directory for spare files, without those of an earlier life.
func (s *Store) openSpare() error {
	if err := os.RemoveAll(s.spareDir()); err != nil {
		return err
	}
	return os.Mkdir(s.spareDir(), 0o700)
}

// makeDirs makes the directories of all logs that there can be.
func (s *Store) makeDirs() {
	for i := range 256 {
		_ = os.Mkdir(filepath.Join(s.dir, fmt.Sprintf("%02x", i)), 0o700) // whoever needs it sees why
	}
}

// makeSpare makes files until there are enough.
func (s *Store) makeSpare() {
	for len(s.spare) < cap(s.spare) {
		path := filepath.Join(s.spareDir(), rand.Text())
		if os.WriteFile(path, nil, 0o600) != nil {
			return // whoever needs one sees why
		}
		select {
		case s.spare <- path:
		default:
			_ = os.Remove(path)
		}
	}
}

// create makes the file of a log that has none, of one that is there if possible.
func (s *Store) create(path string) (*os.File, error) {
	const flags = os.O_RDWR | os.O_APPEND | os.O_CREATE
	select {
	case spare := <-s.spare:
		if err := giveName(spare, path); err != nil {
			_ = os.Remove(spare)
		}
	default:
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make a directory for logs: %w", err)
		}
		file, err = os.OpenFile(path, flags, 0o600)
	}
	return file, err
}

// linkName gives a file another name, which no file has yet.
func linkName(from, to string) error {
	if err := os.Link(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}
