package host

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// output is the end of the pipe that the commands of a build print to. The supervisor holds the other end as long as it lives,
// so the pipe does not end with a command: the output of a command is over when its processes are gone and the pipe is empty.
type output struct {
	pipe   *os.File
	buffer []byte
}

const (
	bufferSize = 256 << 10      // is read at once; the pipe is made as large
	maxRest    = 4 * bufferSize // is looked for in the pipe at the end: a stranger that got hold of it may go on forever
)

// copyTo writes what is printed to out until finish is called and the pipe is empty. When out fails, it calls stop, throws the
// rest away, and returns the error.
func (o *output) copyTo(out io.Writer, stop func()) error {
	var failed error
	write := func(p []byte) {
		if failed != nil || len(p) == 0 {
			return
		}
		if _, failed = out.Write(p); failed != nil {
			stop()
		}
	}
	for {
		n, err := o.pipe.Read(o.buffer)
		write(o.buffer[:n])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err == io.EOF { // the supervisor is gone too
			return failed
		}
		if err != nil {
			return errors.Join(failed, err)
		}
	}
	_ = o.pipe.SetReadDeadline(time.Time{})
	for rest := 0; rest < maxRest; {
		n, err := o.readNow()
		if n <= 0 || err != nil {
			return errors.Join(failed, err)
		}
		write(o.buffer[:n])
		rest += n
	}
	return failed
}

var longAgo = time.Unix(1, 0)

// finish says that everything has been printed.
func (o *output) finish() { _ = o.pipe.SetReadDeadline(longAgo) }

// readNow reads what is in the pipe; 0 bytes when it is empty.
func (o *output) readNow() (n int, err error) {
	conn, err := o.pipe.SyscallConn()
	if err != nil {
		return 0, err
	}
	var readErr error
	err = conn.Read(func(fd uintptr) (done bool) {
		for {
			n, readErr = syscall.Read(int(fd), o.buffer)
			if readErr != syscall.EINTR {
				return true
			}
		}
	})
	if readErr == syscall.EAGAIN {
		return 0, err
	}
	return n, errors.Join(err, readErr)
}
