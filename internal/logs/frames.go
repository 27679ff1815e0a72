package logs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A compressed log is a file of zstd frames, each of which can be read without the others, and of a table that says where they
// are. It is zstd's seekable format: the table is in a frame that `zstd -d` skips. All numbers are little-endian.
const (
	frameSize   = 256 << 10 // of the log, in every frame but the last
	tableMagic  = 0x184D2A5E
	footerMagic = 0x8F92EAB1
	headerSize  = 8 // of the table: its magic and the length of what follows
	entrySize   = 8 // lengths of a frame, in this file and in the log
	footerSize  = 9 // number of entries, a byte of flags, its magic
)

var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		if err != nil {
			panic(err) // the options are constant
		}
		return e
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(8*frameSize))
		if err != nil {
			panic(err)
		}
		return d
	})
)

// writeFrames writes what r has in compressed form.
func writeFrames(ctx context.Context, w io.Writer, r io.Reader) error {
	var frame, table []byte
	text := make([]byte, frameSize)
	for {
		n, err := io.ReadFull(r, text)
		if n > 0 {
			frame = encoder().EncodeAll(text[:n], frame[:0])
			table = binary.LittleEndian.AppendUint32(table, uint32(len(frame)))
			table = binary.LittleEndian.AppendUint32(table, uint32(n))
			if _, err := w.Write(frame); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
	header := binary.LittleEndian.AppendUint32(nil, tableMagic)
	header = binary.LittleEndian.AppendUint32(header, uint32(len(table)+footerSize))
	footer := binary.LittleEndian.AppendUint32(table, uint32(len(table)/entrySize))
	footer = append(footer, 0)
	footer = binary.LittleEndian.AppendUint32(footer, footerMagic)
	_, err := w.Write(append(header, footer...))
	return err
}

// frames reads a compressed log at any place. It is used by one goroutine at a time.
type frames struct {
	file  *os.File
	ends  []place // of the frames
	index int     // of the frame whose text is at hand; -1 for none
	text  []byte
	raw   []byte
}

// place is the same place in the compressed file and in the log.
type place struct{ file, log int64 }

// errDamaged is the error of a compressed log whose table or frames are not as they were written.
var errDamaged = errors.New("the compressed log is damaged")

// openFrames reads the table of a compressed log, and returns the size of the log too.
func openFrames(file *os.File) (*frames, int64, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	footer := make([]byte, footerSize)
	if _, err := file.ReadAt(footer, info.Size()-footerSize); err != nil {
		return nil, 0, fmt.Errorf("%w: it has %d bytes", errDamaged, info.Size())
	}
	count := int64(binary.LittleEndian.Uint32(footer))
	begin := info.Size() - footerSize - count*entrySize - headerSize
	if footer[4] != 0 || binary.LittleEndian.Uint32(footer[5:]) != footerMagic || begin < 0 {
		return nil, 0, fmt.Errorf("%w: the end of its table is not one", errDamaged)
	}
	table := make([]byte, headerSize+count*entrySize)
	if _, err := file.ReadAt(table, begin); err != nil {
		return nil, 0, err
	}
	if binary.LittleEndian.Uint32(table) != tableMagic || int64(binary.LittleEndian.Uint32(table[4:])) != count*entrySize+footerSize {
		return nil, 0, fmt.Errorf("%w: the beginning of its table is not one", errDamaged)
	}
	f := &frames{file: file, index: -1}
	var at place
	for entry := table[headerSize:]; len(entry) > 0; entry = entry[entrySize:] {
		size := int64(binary.LittleEndian.Uint32(entry[4:]))
		if size == 0 || size > frameSize {
			return nil, 0, fmt.Errorf("%w: its table has a frame of %d bytes", errDamaged, size)
		}
		at.file += int64(binary.LittleEndian.Uint32(entry))
		at.log += size
		f.ends = append(f.ends, at)
	}
	if at.file != begin {
		return nil, 0, fmt.Errorf("%w: its table has frames of %d bytes, there are %d", errDamaged, at.file, begin)
	}
	return f, at.log, nil
}

// ReadAt implements [io.ReaderAt].
func (f *frames) ReadAt(p []byte, offset int64) (n int, err error) {
	for n < len(p) {
		i := sort.Search(len(f.ends), func(i int) bool { return f.ends[i].log > offset })
		if i == len(f.ends) {
			return n, io.EOF
		}
		if err := f.load(i); err != nil {
			return n, err
		}
		c := copy(p[n:], f.text[offset-f.begin(i).log:])
		n += c
		offset += int64(c)
	}
	return n, nil
}

// begin returns where a frame begins.
func (f *frames) begin(i int) place {
	if i == 0 {
		return place{}
	}
	return f.ends[i-1]
}

// load reads a frame, unless it is at hand.
func (f *frames) load(i int) error {
	if i == f.index {
		return nil
	}
	begin, end := f.begin(i), f.ends[i]
	if n := int(end.file - begin.file); cap(f.raw) < n {
		f.raw = make([]byte, n)
	}
	f.raw = f.raw[:end.file-begin.file]
	if _, err := f.file.ReadAt(f.raw, begin.file); err != nil {
		return err
	}
	f.index = -1
	text, err := decoder().DecodeAll(f.raw, f.text[:0])
	if err != nil {
		return fmt.Errorf("%w: frame %d: %w", errDamaged, i, err)
	}
	if int64(len(text)) != end.log-begin.log {
		return fmt.Errorf("%w: frame %d has %d bytes, its table says %d", errDamaged, i, len(text), end.log-begin.log)
	}
	f.text, f.index = text, i
	return nil
}

// Close implements [io.Closer].
func (f *frames) Close() error { return f.file.Close() }
