package disk

import (
	"crypto/rand"
	"io"
	"os"
)

// write fills a file with n bytes that no file system makes smaller.
func write(f *os.File, n int64) error {
	_, err := io.CopyN(f, rand.Reader, n)
	return err
}
