package logs

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"

	"atelier/internal/build"
	"atelier/internal/logs/mask"
)

// ErrWrite is the error of a log that could not be written, for example because the disk is full.
var ErrWrite = errors.New("the log could not be written")

// reserve is how many bytes the service's own lines may take behind the limit: how a build ended must be in its log.
const reserve = 256 << 10

// writeback is how much is written before the kernel is told to bring it to the disk. When inFlight is on its way the log waits for
// the oldest of it and gives up the memory. So a large log is on the disk when it ends, is written no faster than its own disk takes it, and
// takes a few megabytes of the machine's memory: what the kernel keeps for other builds stays there, and the next bytes go where
// the processor's caches are warm.
const (
	writeback = 4 << 20
	inFlight  = 2 * writeback
)

// Log is the log of one build, open for writing. It may be used by many goroutines: the outputs of several steps and the
// service's own lines mix line by line. After an error it goes on trying, and [Log.Close] returns the first error again.
type Log struct {
	store  *Store
	record build.RecordID

	mu     sync.Mutex
	file   *os.File
	size   int64
	sent   int64 // how much is on its way to the disk, or there
	landed int64 // how much is there
	stamp  stamp
	buf    []byte       // reused; nothing in it between calls
	masker *mask.Masker // of the service's own lines
	begun  bool         // the last line in the file has no end yet
	writer *lines       // whose line that is; nil when nobody can go on with it
	full   bool         // the output of commands is dropped
	closed bool
	err    error // the first
}

// newLog goes on behind what stands in file.
func newLog(s *Store, id build.RecordID, file *os.File) (*Log, error) {
	l := &Log{store: s, record: id, file: file, stamp: stamp{zone: s.config.Zone}}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if l.size = info.Size(); l.size > 0 {
		var last [1]byte
		if _, err := file.ReadAt(last[:], l.size-1); err != nil {
			return nil, err
		}
		l.begun = last[0] != '\n'
	}
	return l, nil
}

// Info writes a line of the service's own; of a text of several lines each becomes one. So do Warn, Error and Debug.
func (l *Log) Info(format string, args ...any) error {
	return l.say("INFO", fmt.Sprintf(format, args...))
}

// Warn is for what the user should look at although the build goes on.
func (l *Log) Warn(format string, args ...any) error {
	return l.say("WARN", fmt.Sprintf(format, args...))
}

// Error is for why a step or the build failed.
func (l *Log) Error(format string, args ...any) error {
	return l.say("ERROR", fmt.Sprintf(format, args...))
}

// Debug is for what is left out unless somebody asks for it.
func (l *Log) Debug(format string, args ...any) error {
	return l.say("DEBUG", fmt.Sprintf(format, args...))
}

// Output returns where the output of a step goes. The masker keeps secrets out of it, and from now on out of the service's own
// lines too.
func (l *Log) Output(m *mask.Masker) *Output {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m != nil {
		l.masker = m
	}
	return newOutput(l, m)
}

// Size returns how long the log is, in bytes. Between two steps, that is where the one ends and the other begins.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size
}

// Close ends the last line and waits until the log is on the disk. The error is the first that a write to this log met; it is
// an [ErrWrite]. To close again does nothing and returns the same.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return l.err
	}
	l.buf = l.newLine(nil)
	_ = l.write(nil) // remembers its error
	l.closed = true
	_ = l.failed(l.file.Sync())
	_ = l.failed(l.file.Close())
	l.store.setWriting(l.record, -1)
	return l.err
}

func (l *Log) say(level, text string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = l.appendOwn(l.newLine(nil), level, l.masker.String(text))
	if limit := l.store.config.Limit; limit > 0 && l.size+int64(len(l.buf)) > limit+reserve {
		return nil
	}
	return l.write(nil)
}

// appendOwn appends a text of the service's own, line by line.
func (l *Log) appendOwn(buf []byte, level, text string) []byte {
	stamp := l.stamp.at(l.store.config.Now())
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		buf = append(buf, stamp...)
		buf = append(buf, '[')
		buf = append(buf, level...)
		buf = append(buf, "] "...)
		buf = append(buf, line...)
		buf = append(buf, '\n')
	}
	return buf
}

// newLine returns an empty buffer, or one that ends the last line in the file when that is not w's own to go on with.
func (l *Log) newLine(w *lines) []byte {
	if l.begun && (w == nil || w != l.writer) {
		return append(l.buf[:0], '\n')
	}
	return l.buf[:0]
}

// room is how many more bytes the output of commands may take.
func (l *Log) room() int {
	if l.store.config.Limit == 0 {
		return math.MaxInt
	}
	return int(max(0, l.store.config.Limit-l.size))
}

// write adds the buffer to the file. The last line, when it has no end, is w's. Lines of the service's own, which have no w, may
// take the disk's last room: how a build ended must be in its log.
func (l *Log) write(w *lines) error {
	if len(l.buf) == 0 {
		return nil
	}
	if w != nil {
		if err := l.store.config.Room(int64(len(l.buf))); err != nil {
			return l.failed(err)
		}
	}
	n, err := l.file.Write(l.buf)
	l.size += int64(n)
	if n > 0 {
		l.begun, l.writer = l.buf[n-1] != '\n', w
	}
	if err != nil {
		l.writer = nil // half a time stamp may be in the file: nothing goes on behind it
		return l.failed(err)
	}
	l.store.wake(l.record)
	if l.size-l.sent >= writeback {
		startWriteback(l.file, l.sent, l.size-l.sent)
		l.sent = l.size
		if landed := l.sent - inFlight; landed > l.landed {
			endWriteback(l.file, l.landed, landed-l.landed)
			l.landed = landed
		}
	}
	return nil
}

// failed notes an error of the file's, and returns it as an [ErrWrite].
func (l *Log) failed(err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%w: %w", ErrWrite, err)
	if l.err == nil {
		l.err = err
	}
	return err
}
