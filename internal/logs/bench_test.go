package logs_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"atelier/internal/logs"
	"atelier/internal/logs/mask"
)

var benchLine = []byte("npm http fetch GET 200 https://registry.example.com/left-pad 312ms (cache miss)\n")

// A log that gets 100,000 lines, each in a write of its own or as a pipe gives them, must take well below 0.2 s.
func Benchmark100000Lines(b *testing.B) {
	const lines = 100_000
	text := bytes.Repeat(benchLine, lines)
	for _, write := range []int{len(benchLine), 4 << 10, 32 << 10} {
		b.Run(fmt.Sprintf("writes of %d", write), func(b *testing.B) {
			store := openStore(b, logs.Config{})
			for b.Loop() {
				fill(b, store, text, len(text), write)
			}
		})
	}
}

// A gigabyte, against the same bytes written to a plain file with the same writes: no process prints them, so that only the log
// is measured. With time stamps a third more is written, and it is brought to the disk.
func BenchmarkStream(b *testing.B) {
	const size = 1 << 30
	for _, write := range []int{32 << 10, 64 << 10} {
		text := bytes.Repeat(benchLine, write/len(benchLine)+1)[:write]
		b.Run(fmt.Sprintf("writes of %d", write), func(b *testing.B) {
			store := openStore(b, logs.Config{})
			var plain, logged time.Duration
			for b.Loop() {
				plain += fillFile(b, text, size)
				logged += fill(b, store, text, size, write)
			}
			b.ReportMetric(float64(plain)/float64(logged), "of-plain")
			b.ReportMetric(size/1e6*float64(b.N)/logged.Seconds(), "MB/s")
		})
	}
}

// fill writes a log and removes it. The result is how long the first took.
func fill(b *testing.B, store *logs.Store, text []byte, size, write int) time.Duration {
	began := time.Now()
	log, err := store.Append(record)
	if err != nil {
		b.Fatal(err)
	}
	out := log.Output(mask.New([]string{"correct-horse-battery-staple", "0123456789abcdef"}))
	for n := 0; n < size; n += write {
		at := n % len(text)
		if _, err := out.Write(text[at:min(len(text), at+write)]); err != nil {
			b.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		b.Fatal(err)
	}
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	if err := store.Remove(record); err != nil {
		b.Fatal(err)
	}
	return took
}

func fillFile(b *testing.B, text []byte, size int) time.Duration {
	began := time.Now()
	path := filepath.Join(b.TempDir(), "plain")
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	for n := 0; n < size; n += len(text) {
		if _, err := file.Write(text); err != nil {
			b.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	if err := os.Remove(path); err != nil {
		b.Fatal(err)
	}
	return took
}

func BenchmarkWithoutDebug(b *testing.B) {
	line := append([]byte("[2023/12/21 15:44:18.743 GMT+08:00] "), benchLine...)
	text := bytes.Repeat(line, 10_000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := io.Copy(io.Discard, logs.WithoutDebug(bytes.NewReader(text))); err != nil {
			b.Fatal(err)
		}
	}
}
