//go:build !linux

package disk

import "os"

// allocate makes a file take n bytes of the disk.
func allocate(f *os.File, n int64) error { return write(f, n) }
