package logs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"atelier/internal/build"
	"atelier/internal/logs"
)

// longLog returns a store with a log that has several frames, the last of them short, and the path of the log.
func longLog(t *testing.T) (store *logs.Store, path, text string) {
	t.Helper()
	dir := t.TempDir()
	store, err := logs.Open(dir, frozen())
	ok(t, err)
	log := openLog(t, store)
	out := log.Output(nil)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 12_000 {
		put(t, out, fmt.Sprintf("line %d: 中 %x\n", i, random.Uint64()))
	}
	ok(t, log.Close())
	return store, filepath.Join(dir, string(record[len(record)-2:]), string(record)+".log"), content(t, store)
}

// names returns the files beside a log.
func names(t *testing.T, path string) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	ok(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, strings.TrimPrefix(e.Name(), string(record)))
	}
	return strings.Join(all, " ")
}

func sweep(t *testing.T, store *logs.Store, final bool) {
	t.Helper()
	logs.Sweep(store, t.Context(),
		func(context.Context, build.RecordID) (bool, error) { return final, nil },
		func(id build.RecordID, err error) { t.Errorf("%s: %v", id, err) })
}

// Whatever was asked of the log before it was compressed is answered in the same way afterwards.
func TestCompressedLogReadsTheSame(t *testing.T) {
	t.Parallel()
	store, path, text := longLog(t)
	size := int64(len(text))
	random := rand.New(rand.NewPCG(3, 4))
	var asked []func() string
	for range 300 {
		start, length := random.Int64N(size+10), random.IntN(70_000)
		asked = append(asked, func() string {
			chunk, next, err := store.Read(record, start, length, true)
			return fmt.Sprint(string(chunk), next, err)
		}, func() string {
			part, err := store.Window(record, logs.Window{Start: start / 2, End: start, Lines: length % 100, Last: length%2 == 0}, true)
			return fmt.Sprint(string(part.Text), part.Start, part.End, err)
		}, func() string {
			r, err := store.Section(record, start, start+int64(length))
			ok(t, err)
			defer r.Close()
			data, err := io.ReadAll(logs.WithoutDebug(r))
			return fmt.Sprint(string(data), err)
		})
	}
	var before []string
	for _, ask := range asked {
		before = append(before, ask())
	}
	open, err := store.Reader(record)
	ok(t, err)
	defer open.Close()

	ok(t, logs.CompressOne(store, t.Context(), record))

	if got := names(t, path); got != ".log.zst" {
		t.Fatalf("files: %s", got)
	}
	for i, ask := range asked {
		if got := ask(); got != before[i] {
			t.Fatalf("question %d: got %.200q, before %.200q", i, got, before[i])
		}
	}
	if data, err := io.ReadAll(open); err != nil || string(data) != text {
		t.Errorf("a reader from before got %d bytes of %d, %v", len(data), size, err)
	}
	r, err := store.Reader(record)
	ok(t, err)
	defer r.Close()
	if err := iotest.TestReader(r, []byte(text)); err != nil {
		t.Error(err)
	}
	if n, err := store.Size(record); n != size || err != nil {
		t.Errorf("size %d, %v, want %d", n, err, size)
	}
	again, err := store.Append(record)
	ok(t, err)
	ok(t, errors.Join(again.Info("It goes on."), again.Close()))
	if got := content(t, store); !strings.HasPrefix(got, text) || !strings.HasSuffix(got, "[INFO] It goes on.\n") {
		t.Errorf("a compressed log was continued as %d bytes of %d: %.100q", len(got), size, got[min(len(got), len(text)):])
	}
	if got := names(t, path); got != ".log" {
		t.Errorf("then there are the files %s", got)
	}
	ok(t, store.Remove(record))
	if got := content(t, store) + names(t, path); got != "" {
		t.Errorf("after its removal: %.100q", got)
	}
}

// A process may die between any two steps. The next one finds the whole log, and leaves one form of it.
func TestCompressionIsFinishedAtStart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		leave func(t *testing.T, path string, compressed []byte)
		final bool
		want  string
	}{
		{"before it began", func(*testing.T, string, []byte) {}, true, ".log.zst"},
		{"while it was written", func(t *testing.T, path string, compressed []byte) {
			ok(t, os.WriteFile(path+".zst.tmp", compressed[:1000], 0o600))
		}, true, ".log.zst"},
		{"before it had its name", func(t *testing.T, path string, compressed []byte) {
			ok(t, os.WriteFile(path+".zst.tmp", compressed, 0o600))
		}, true, ".log.zst"},
		{"before the plain form was removed", func(t *testing.T, path string, compressed []byte) {
			ok(t, os.WriteFile(path+".zst", compressed, 0o600))
		}, true, ".log.zst"},
		{"after everything, with a part of another", func(t *testing.T, path string, compressed []byte) {
			ok(t, os.WriteFile(path+".zst", compressed, 0o600))
			ok(t, os.Remove(path))
			ok(t, os.WriteFile(path+".zst.tmp", compressed[:99], 0o600))
		}, true, ".log.zst"},
		{"the build is not over", func(t *testing.T, path string, compressed []byte) {
			ok(t, os.WriteFile(path+".zst.tmp", compressed[:1000], 0o600))
		}, false, ".log"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			store, path, text := longLog(t)
			ok(t, logs.CompressOne(store, t.Context(), record))
			compressed, err := os.ReadFile(path + ".zst")
			ok(t, err)
			ok(t, os.Remove(path+".zst"))
			ok(t, os.WriteFile(path, []byte(text), 0o600))
			tt.leave(t, path, compressed)
			if got := content(t, store); got != text {
				t.Errorf("before: %d bytes, want %d", len(got), len(text))
			}
			sweep(t, store, tt.final)
			if got := content(t, store); got != text {
				t.Errorf("after: %d bytes, want %d", len(got), len(text))
			}
			if got := names(t, path); got != tt.want {
				t.Errorf("files: %s, want %s", got, tt.want)
			}
		})
	}
}

// compressLog is a process that compresses the log, and says when it begins.
func compressLog() {
	store, err := logs.Open(os.Getenv(dirVariable), logs.Config{})
	check(err)
	fmt.Println("go")
	store.Compress(context.Background(),
		func(context.Context, build.RecordID) (bool, error) { return true, nil },
		func(_ build.RecordID, err error) { check(err) })
}

// The same with a process that is really killed, at any moment.
func TestKillWhileCompressing(t *testing.T) {
	t.Parallel()
	store, path, text := longLog(t)
	seen := make(map[string]int)
	for round := range 30 {
		ok(t, os.WriteFile(path, []byte(text), 0o600))
		child := command("compress", filepath.Dir(filepath.Dir(path)))
		pipe, err := child.StdoutPipe()
		ok(t, err)
		ok(t, child.Start())
		_, err = io.ReadFull(pipe, make([]byte, 2))
		ok(t, err)
		kill := time.AfterFunc(time.Duration(round)*time.Millisecond, func() { _ = child.Process.Kill() })
		if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the child was not killed: %v", err)
		}
		kill.Stop()
		seen[names(t, path)]++
		if got := content(t, store); got != text {
			t.Fatalf("round %d, %s: %d bytes, want %d", round, names(t, path), len(got), len(text))
		}
		sweep(t, store, true)
		if got := content(t, store); got != text || names(t, path) != ".log.zst" {
			t.Fatalf("round %d, then %s: %d bytes, want %d", round, names(t, path), len(got), len(text))
		}
	}
	t.Log("after the kills:", seen)
}

func TestNotCompressed(t *testing.T) {
	t.Parallel()
	t.Run("small", func(t *testing.T) {
		t.Parallel()
		store, log := withText(t, "one\n")
		ok(t, log.Close())
		ok(t, logs.CompressOne(store, t.Context(), record))
		if got := content(t, store); got != at+"one\n" {
			t.Errorf("got %q", got)
		}
		ok(t, store.Remove(record))
		ok(t, logs.CompressOne(store, t.Context(), record))
	})
	t.Run("open", func(t *testing.T) {
		t.Parallel()
		store, path, text := longLog(t)
		log := openLog(t, store)
		ok(t, logs.CompressOne(store, t.Context(), record))
		ok(t, log.Info("late"))
		if got := content(t, store); got != text+at+"[INFO] late\n" || names(t, path) != ".log" {
			t.Errorf("%d bytes in %s", len(got), names(t, path))
		}
	})
	t.Run("the server stops", func(t *testing.T) {
		t.Parallel()
		store, path, text := longLog(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := logs.CompressOne(store, ctx, record); err == nil {
			t.Error("no error")
		}
		if got := content(t, store); got != text || names(t, path) != ".log" {
			t.Errorf("%d bytes in %s", len(got), names(t, path))
		}
	})
}

// Every damaged byte of the table, and a file of any length, is an error that says so. A frame has a checksum.
func TestDamagedCompressedLog(t *testing.T) {
	t.Parallel()
	store, path, text := longLog(t)
	ok(t, logs.CompressOne(store, t.Context(), record))
	whole, err := os.ReadFile(path + ".zst")
	ok(t, err)
	check := func(what string, data []byte) {
		t.Helper()
		ok(t, os.WriteFile(path+".zst", data, 0o600))
		r, err := store.Reader(record)
		if err == nil {
			var got []byte
			got, err = io.ReadAll(r)
			r.Close()
			if err == nil && string(got) == text {
				return
			}
		}
		if err == nil || !strings.Contains(err.Error(), "the compressed log is damaged") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for back := 1; back <= 60; back++ {
		data := append([]byte(nil), whole...)
		data[len(data)-back] ^= 0x55
		check(fmt.Sprintf("byte %d from the end", back), data)
	}
	for _, n := range []int{0, 1, 8, 9, 17, 100, len(whole) / 2, len(whole) - 1} {
		check(fmt.Sprintf("%d bytes", n), whole[:n])
	}
	data := append([]byte(nil), whole...)
	data[len(data)/2] ^= 1
	check("a byte in a frame", data)
}

// What is finished while the process runs is compressed without being asked for again.
func TestCompressFollows(t *testing.T) {
	t.Parallel()
	store, path, text := longLog(t)
	ctx, cancel := context.WithCancel(t.Context())
	swept, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		store.Compress(ctx, func(context.Context, build.RecordID) (bool, error) { close(swept); return false, nil },
			func(id build.RecordID, err error) { t.Errorf("%s: %v", id, err) })
	}()
	<-swept
	store.Finished(record)
	for names(t, path) != ".log.zst" && !t.Failed() {
		if got := content(t, store); got != text { // at any moment
			t.Fatalf("%d bytes, want %d", len(got), len(text))
		}
	}
	cancel()
	<-done
}
