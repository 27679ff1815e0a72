package logs

import (
	"os"
	"syscall"
)

// startWriteback has the kernel begin to write a part of a file to the disk, and does not wait for it. It is only advice.
func startWriteback(file *os.File, start, size int64) {
	const write = 2 // SYNC_FILE_RANGE_WRITE
	_ = syscall.SyncFileRange(int(file.Fd()), start, size, write)
}
