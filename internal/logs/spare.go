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

const sparePrefix = "spare-"

// dirs is how many directories there are for logs.
const dirs = 256

func (s *Store) subdir(i int) string { return filepath.Join(s.dir, fmt.Sprintf("%02x", i)) }

// makeDirs makes the directories of all logs that there can be.
func (s *Store) makeDirs() {
	for i := range dirs {
		_ = os.Mkdir(s.subdir(i), 0o700) // whoever needs it sees why
	}
}

// makeSpare makes files until there are enough, each in another directory: there ext4 looks for its inode.
func (s *Store) makeSpare() {
	for len(s.spare) < cap(s.spare) {
		s.lastSpare = (s.lastSpare + 1) % dirs
		path := filepath.Join(s.subdir(s.lastSpare), sparePrefix+rand.Text())
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

// removeSpare removes those of an earlier life.
func (s *Store) removeSpare() error {
	left, err := filepath.Glob(filepath.Join(s.dir, "??", sparePrefix+"*"))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
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
