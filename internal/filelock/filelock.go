// Package filelock locks files between processes. A lock is gone with the process that holds it.
package filelock

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Lock is a file that this process has locked.
type Lock struct{ file *os.File }

// HeldError is the error of a file that another process has locked.
type HeldError struct {
	Path string
	PID  int // of who has it; 0 when the system does not tell
}

// Error implements [error].
func (e *HeldError) Error() string { return fmt.Sprintf("%s is locked by %s", e.Path, e.Holder()) }

// Holder says who has the lock, as far as that is known.
func (e *HeldError) Holder() string {
	if e.PID == 0 {
		return "another process"
	}
	return fmt.Sprintf("process %d", e.PID)
}

// Try locks the file at a path, which is made with mode 0600 when there is none. The lock is on the file, whatever names lead
// to it. It does not wait: the error is a [HeldError] when another process, or another Lock of this one, has it.
func Try(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return &Lock{f}, nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			err = &HeldError{Path: path, PID: holder(f)}
		}
		return nil, errors.Join(err, f.Close())
	}
}

// Unlock gives the file free. To close it would not do: a process that is being started at this moment has it open too, until
// its program begins.
func (l *Lock) Unlock() error {
	return errors.Join(unix.Flock(int(l.file.Fd()), unix.LOCK_UN), l.file.Close())
}
