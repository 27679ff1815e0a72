package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"unicode/utf8"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// maxChunk bounds what one call reads into memory.
const maxChunk = 4 << 20

// Exists reports whether a build has a log. An empty log is one.
func (s *Store) Exists(id build.RecordID) (bool, error) {
	file, _, err := s.open(id)
	if file == nil || err != nil {
		return false, err
	}
	return true, file.Close()
}

// Size returns how long the log of a build is, in bytes; 0 when there is none.
func (s *Store) Size(id build.RecordID) (int64, error) {
	file, size, err := s.open(id)
	if file == nil || err != nil {
		return 0, err
	}
	return size, file.Close()
}

// Read returns a chunk of a log that begins at offset, at most limit bytes or 4 MiB, and the offset of the next one. It does not
// split a character of UTF-8: an incomplete one at the end of the log comes when it is complete, or when the log is final, which
// means that nothing more will be written. Limits below the length of one character are raised to it. A log that does not exist,
// and an offset behind the end, give an empty chunk.
func (s *Store) Read(id build.RecordID, offset int64, limit int, final bool) (chunk []byte, next int64, err error) {
	if offset < 0 {
		return nil, 0, fault.Field("offset", "must be 0 or more, found %d", offset)
	}
	limit = min(max(limit, utf8.UTFMax), maxChunk)
	chunk, err = s.readAt(id, offset, offset+int64(limit), final)
	return chunk, offset + int64(len(chunk)), err
}

// readAt returns the bytes from start to end, as far as they exist, without an incomplete character at the end. The last character of a final log may be incomplete.
func (s *Store) readAt(id build.RecordID, start, end int64, final bool) ([]byte, error) {
	file, size, err := s.open(id)
	if file == nil || err != nil {
		return nil, err
	}
	defer file.Close()
	if start >= min(end, size) {
		return nil, nil
	}
	chunk := make([]byte, min(end, size)-start)
	n, err := file.ReadAt(chunk, start)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read a log: %w", err)
	}
	chunk = chunk[:n]
	if !final || start+int64(n) < size {
		chunk = chunk[:n-incomplete(chunk)]
	}
	return chunk, nil
}

// Reader returns a log as it is now. It has an end, also when the build goes on; a log that does not exist is empty.
func (s *Store) Reader(id build.RecordID) (io.ReadSeekCloser, error) { return s.Section(id, 0, -1) }

// Section returns the part of a log from start to end, which is what [build.Step] says of a step; -1 is the present end.
func (s *Store) Section(id build.RecordID, start, end int64) (io.ReadSeekCloser, error) {
	file, size, err := s.open(id)
	if err != nil {
		return nil, err
	}
	if file == nil {
		return newSection(empty{bytes.NewReader(nil)}, 0, 0), nil
	}
	if end < 0 || end > size {
		end = size
	}
	start = min(max(0, start), end)
	return newSection(file, start, end), nil
}

// logFile is an open log in either form.
type logFile interface {
	io.ReaderAt
	io.Closer
}

// empty is a log that does not exist.
type empty struct{ io.ReaderAt }

// Close implements [io.Closer].
func (empty) Close() error { return nil }

// section is a part of a log. Like the writer of a large log, its reader gives up the kernel's memory for what is behind it.
type section struct {
	*io.SectionReader
	file logFile
	at   int64 // where in the file the next bytes stand
	kept int64 // what is before was given up, or is not ours
}

func newSection(file logFile, start, end int64) *section {
	return &section{SectionReader: io.NewSectionReader(file, start, end-start), file: file, at: start, kept: start}
}

// Read implements [io.Reader].
func (s *section) Read(p []byte) (int, error) {
	n, err := s.SectionReader.Read(p)
	if s.at += int64(n); s.at-s.kept >= writeback {
		if plain, ok := s.file.(*os.File); ok {
			forget(plain, s.kept, s.at-s.kept)
		}
		s.kept = s.at
	}
	return n, err
}

// Seek implements [io.Seeker].
func (s *section) Seek(offset int64, whence int) (int64, error) {
	to, err := s.SectionReader.Seek(offset, whence)
	_, start, _ := s.Outer()
	s.at, s.kept = start+to, start+to
	return to, err
}

// Close implements [io.Closer].
func (s *section) Close() error { return s.file.Close() }

// open opens a log for reading. The file is nil when there is none.
func (s *Store) open(id build.RecordID) (logFile, int64, error) {
	path, err := s.path(id)
	if err != nil {
		return nil, 0, err
	}
	file, err := os.Open(path)
	compressed := errors.Is(err, fs.ErrNotExist)
	if compressed { // which it was before the plain form went
		file, err = os.Open(path + compressedSuffix)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open a log: %w", err)
	}
	if compressed {
		f, size, err := openFrames(file)
		if err != nil {
			return nil, 0, errors.Join(fmt.Errorf("open the log of build %s: %w", id, err), file.Close())
		}
		return f, size, nil
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("look at a log: %w", err), file.Close())
	}
	return file, info.Size(), nil
}

// incomplete returns how many bytes at the end of b are the beginning of a character that is not complete.
func incomplete(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
