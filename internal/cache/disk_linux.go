package cache

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncFiles writes what is in the file system of a directory to its disk, so that no generation has empty files after the power failed.
func syncFiles(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}
