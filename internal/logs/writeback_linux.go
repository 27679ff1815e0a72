package logs

import (
	"os"

	"golang.org/x/sys/unix"
)

// startWriteback has the kernel begin to write a part of a file to the disk, and does not wait for it. It is only advice.
func startWriteback(file *os.File, start, size int64) {
	_ = unix.SyncFileRange(int(file.Fd()), start, size, unix.SYNC_FILE_RANGE_WRITE)
}

// endWriteback waits until a part of a file is on its way no longer, and gives back the memory that the kernel keeps it in.
// What of it has reached the disk for certain, only Sync says.
func endWriteback(file *os.File, start, size int64) {
	const wait = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	if unix.SyncFileRange(int(file.Fd()), start, size, wait) == nil {
		forget(file, start, size)
	}
}

// forget gives back the memory that the kernel keeps a part of a file in. It is only advice: what is not on the disk stays.
func forget(file *os.File, start, size int64) {
	_ = unix.Fadvise(int(file.Fd()), start, size, unix.FADV_DONTNEED)
}
