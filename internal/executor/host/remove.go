package host

import (
	"io/fs"
	"os"
	"path/filepath"
)

// removeAll removes a directory with all that is in it, also directories that their owner may not write to. It follows no link.
// Nobody else may change the directory meanwhile.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			return os.Chmod(path, 0o700) // before its entries are read
		}
		return nil // what cannot be opened up shows when it cannot be removed
	})
	return os.RemoveAll(dir)
}
