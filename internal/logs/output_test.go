package logs

import (
	"strings"
	"testing"
)

// Short lines grow by their time stamps. The memory that takes is bounded.
func TestBufferIsBounded(t *testing.T) {
	t.Parallel()
	store, err := Open(t.TempDir(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	log, err := store.Append("01932f5c-8b1e-7c3a-9d2e-4f5a6b7c8d9e")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := log.Output(nil).Write([]byte(strings.Repeat("\n", 10*pieceSize))); err != nil {
		t.Fatal(err)
	}
	if log.Size() != int64(10*pieceSize*(stampLen+1)) {
		t.Errorf("size %d", log.Size())
	}
	if most := 2 * (writeSize + pieceSize); cap(log.buf) > most {
		t.Errorf("the buffer has %d bytes, at most %d are expected", cap(log.buf), most)
	}
}
