package host

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// output is the pipe that one command prints to. The supervisor passes the other end on and keeps none, so the pipe ends when
// nobody has it any more. A process of another build that got hold of it may keep it: the output of a command is over when its
// processes are gone and the pipe is empty, and what is written to it later reaches nobody.
type output struct {
	pipe   *os.File
	writer *os.File // until the command has it
	buffer *[]byte
}

const (
	bufferSize = 256 << 10      // is read at once; the pipe is made as large
	maxRest    = 4 * bufferSize // is looked for in the pipe at the end: a stranger that got hold of it may go on forever
)

var buffers = sync.Pool{New: func() any { return new(make([]byte, bufferSize)) }}

// newOutput makes a pipe. Whoever the command runs as may open it by its name, such as /dev/stdout.
func newOutput(owner owner) (*output, error) {
	reader, writer, err := newPipe()
	if err != nil {
		return nil, err
	}
	o := &output{pipe: reader, writer: writer, buffer: buffers.Get().(*[]byte)}
	if owner.user != 0 {
		if err := o.writer.Chown(owner.user, owner.group); err != nil {
			return nil, errors.Join(err, o.close())
		}
	}
	return o, nil
}

// close makes the pipe one that nobody reads: whoever still writes to it is told so.
func (o *output) close() error {
	buffers.Put(o.buffer)
	return errors.Join(o.started(), o.pipe.Close())
}

// started says that the command has the pipe, or will never have it.
func (o *output) started() error {
	if o.writer == nil {
		return nil
	}
	writer := o.writer
	o.writer = nil
	return writer.Close()
}

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
		n, err := o.pipe.Read(*o.buffer)
		write((*o.buffer)[:n])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err == io.EOF { // nobody can print any more
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
		write((*o.buffer)[:n])
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
			n, readErr = syscall.Read(int(fd), *o.buffer)
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
