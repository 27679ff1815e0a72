package artifact

import (
	"bytes"
	"hash"
	"io"
	"os"
)

// copySparse copies content to w, or to the file behind it where there is one, and to a hash. In a file, zeros take no space.
func copySparse(w io.Writer, file *os.File, sum hash.Hash, content io.Reader) (int64, error) {
	if file == nil {
		return io.Copy(io.MultiWriter(w, sum), content)
	}
	sparse := &sparseFile{file: file}
	size, err := io.Copy(io.MultiWriter(sparse, sum), content)
	if err != nil {
		return size, err
	}
	return size, file.Truncate(size)
}

// sparseFile is an empty file that is written from its beginning. Its end has to be set at last.
type sparseFile struct {
	file *os.File
	at   int64
}

// zeros is as large as what is looked at.
var zeros [32 << 10]byte

// Write implements [io.Writer].
func (s *sparseFile) Write(p []byte) (n int, err error) {
	for n < len(p) {
		block := p[n:min(len(p), n+len(zeros))]
		if !bytes.Equal(block, zeros[:len(block)]) {
			if _, err := s.file.WriteAt(block, s.at); err != nil {
				return n, err
			}
		}
		n += len(block)
		s.at += int64(len(block))
	}
	return n, nil
}
