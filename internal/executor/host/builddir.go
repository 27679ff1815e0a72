package host

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// spareDir returns a name for a directory that no build has yet.
func (e *Executor) spareDir() string { return filepath.Join(e.dir, "spare-"+rand.Text()) }

// subdirectories returns the names of the directories that are in that of a build from the start.
func (e *Executor) subdirectories() []string {
	names := []string{"home", "tmp"}
	if e.fixed == "" {
		names = append(names, "workspace")
	}
	return names
}

// makeBuildDir makes a directory for a build that is still to come, with all that is in it from the start: also the file of its first script.
// Directories are never used again: whoever was given a handle of one while it was open could still watch it, or lock it.
func (e *Executor) makeBuildDir() (dir string, err error) {
	dir = e.spareDir()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	for _, name := range e.subdirectories() {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return "", errors.Join(err, e.discard(dir))
		}
	}
	if err := os.WriteFile(filepath.Join(dir, scriptFile), nil, 0o600); err != nil {
		return "", errors.Join(err, e.discard(dir))
	}
	return dir, nil
}

// leftover begins the names of what builds left and could not be removed yet. No build has such a name.
const leftover = "leftover-"

// discard removes the directory of a build, or of one that is still to come, with all that is in it. What cannot be removed is set aside.
func (e *Executor) discard(dir string) error {
	return e.trash.Remove(context.Background(), e.trash.Dir(), filepath.Base(dir))
}

// nameBuildDir gives the directory of a build its name.
func nameBuildDir(spare, dir string) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) { // an empty directory would be replaced
		return errors.Join(&fs.PathError{Op: "rename", Path: dir, Err: fs.ErrExist}, err)
	}
	return os.Rename(spare, dir)
}

func isDir(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}
