package logs_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"atelier/internal/logs"
)

// cached returns how many bytes of a file the kernel has in memory.
func cached(t *testing.T, path string) uint64 {
	t.Helper()
	file, err := os.Open(path)
	ok(t, err)
	defer file.Close()
	var stat unix.Cachestat_t
	if err := unix.Cachestat(uint(file.Fd()), &unix.CachestatRange{}, &stat, 0); err != nil {
		t.Skipf("the kernel does not say what it has in memory: %v", err)
	}
	return stat.Cache * uint64(os.Getpagesize())
}

// Neither who writes a large log nor who reads it takes the memory in which the kernel keeps the files of others.
func TestLargeLogLeavesMemory(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	dir := t.TempDir()
	var fs unix.Statfs_t
	ok(t, unix.Statfs(dir, &fs))
	if fs.Type == unix.TMPFS_MAGIC {
		t.Skip("files are in memory here")
	}
	store, err := logs.Open(dir, logs.Config{})
	ok(t, err)
	log := openLog(t, store)
	out := log.Output(nil)
	text := bytes.Repeat([]byte("a line of some length\n"), 10_000)
	for log.Size() < size {
		_, err := out.Write(text)
		ok(t, err)
	}
	ok(t, log.Close())
	path := filepath.Join(dir, string(record[len(record)-2:]), string(record)+".log")
	if n := cached(t, path); n > size/2 {
		t.Errorf("after %d bytes were written, %d are in memory", size, n)
	}
	r, err := store.Reader(record)
	ok(t, err)
	_, err = io.Copy(io.Discard, r)
	ok(t, err)
	ok(t, r.Close())
	if n := cached(t, path); n > size/2 {
		t.Errorf("after %d bytes were read, %d are in memory", size, n)
	}
}
