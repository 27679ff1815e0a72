package logs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"atelier/internal/logs"
)

func limited(limit int) logs.Config {
	config := frozen()
	config.Limit = int64(limit)
	return config
}

func notice(limit int) string {
	return at + fmt.Sprintf("[WARN] The log was cut at %d bytes. The build goes on.\n", limit)
}

func TestLimit(t *testing.T) {
	t.Parallel()
	stamp := len(at)
	tests := []struct {
		name   string
		limit  int
		writes []string
		want   string // before the notice
		cut    bool
	}{
		{"all fits exactly", 2*stamp + 4, []string{"a\n", "b\n"}, "@a\n@b\n", false},
		{"an unfinished line fits with its end", stamp + 3, []string{"ab"}, "@ab\n", false},
		{"an unfinished line would fit without its end", stamp + 2, []string{"ab"}, "@a\n", true},
		{"one byte too many", 2*stamp + 3, []string{"a\n", "b\n"}, "@a\n", true},
		{"in the middle of a line", stamp + 4, []string{"abcdef\ngh\n"}, "@abc\n", true},
		{"in the middle of a line in pieces", stamp + 4, []string{"ab", "cdef\n"}, "@abc\n", true},
		{"in the middle of a character", stamp + 4, []string{"a中\n"}, "@a\n", true},
		{"in a time stamp", stamp + 10, []string{"a\n", "b\n"}, "@a\n", true},
		{"nothing fits", 5, []string{"a\n"}, "", true},
		{"a line was just full", stamp + 3, []string{"ab", "c\n"}, "@ab\n", true},
		{"what follows is dropped", stamp + 2, []string{"a\n", "b\n", "c\n", strings.Repeat("d", 1<<20)}, "@a\n", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			store := openStore(t, limited(tt.limit))
			log := openLog(t, store)
			out := log.Output(nil)
			for _, text := range tt.writes {
				put(t, out, text)
			}
			ok(t, out.Close())
			ok(t, log.Error("it failed"))
			want := strings.ReplaceAll(tt.want, "@", at)
			if tt.cut {
				want += notice(tt.limit)
			}
			want += at + "[ERROR] it failed\n"
			if got := content(t, store); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// The service's own lines have a limit too, but a later one.
func TestReserve(t *testing.T) {
	t.Parallel()
	const limit = 1000
	store := openStore(t, limited(limit))
	log := openLog(t, store)
	for range 10_000 {
		ok(t, log.Info("%s", strings.Repeat("x", 100)))
	}
	if size := log.Size(); size < limit+100<<10 || size > limit+1<<20 {
		t.Errorf("the log has %d bytes", size)
	}
	if got := content(t, store); int64(len(got)) != log.Size() || !strings.HasSuffix(got, "x\n") {
		t.Errorf("size %d, but %d bytes that end in %q", log.Size(), len(got), got[len(got)-10:])
	}
}

// Whatever is written in whatever pieces, a log with a limit is the beginning of the one without.
func TestLimitKeepsTheBeginning(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		limit := rapid.IntRange(1, 400).Draw(r, "limit")
		texts := rapid.SliceOf(rapid.StringMatching(`[ab中\n]{0,60}`)).Draw(r, "texts")
		var got [2]string
		for i, config := range []logs.Config{frozen(), limited(limit)} {
			store := openStore(t, config)
			log := openLog(t, store)
			out := log.Output(nil)
			for _, text := range texts {
				put(t, out, text)
			}
			ok(t, log.Close())
			got[i] = content(t, store)
		}
		whole, cut := got[0], got[1]
		if len(whole) <= limit {
			if cut != whole {
				r.Fatalf("it fits, but is\n%s", cut)
			}
			return
		}
		cut, found := strings.CutSuffix(cut, notice(limit))
		if !found || strings.Contains(cut, "WARN") {
			r.Fatalf("there is not one notice in\n%s", got[1])
		}
		if len(cut) > limit || len(cut) < limit-len(at)-4 {
			r.Fatalf("%d bytes are left with a limit of %d", len(cut), limit)
		}
		if !strings.HasPrefix(whole, strings.TrimSuffix(cut, "\n")) {
			r.Fatalf("the beginning of\n%sbecame\n%s", whole, cut)
		}
	})
}

// onDevice returns a store whose one log is a device.
func onDevice(t *testing.T, device string) *logs.Store {
	dir := t.TempDir()
	ok(t, os.Mkdir(filepath.Join(dir, "9e"), 0o700))
	ok(t, os.Symlink(device, filepath.Join(dir, "9e", string(record)+".log")))
	store, err := logs.Open(dir, logs.Config{})
	ok(t, err)
	return store
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	log := openLog(t, onDevice(t, "/dev/full"))
	out := log.Output(nil)
	n, write := out.Write([]byte("hello\n"))
	for what, err := range map[string]error{"write": write, "info": log.Info("hello"), "close": log.Close(), "close again": log.Close()} {
		if !errors.Is(err, logs.ErrWrite) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n != 0 || log.Size() != 0 {
		t.Errorf("%d bytes written, size %d", n, log.Size())
	}
}

// A log that cannot be brought to the disk is not closed in peace. This device takes everything and keeps nothing.
func TestCloseSyncs(t *testing.T) {
	t.Parallel()
	log := openLog(t, onDevice(t, "/dev/null"))
	ok(t, log.Info("hello"))
	if err := log.Close(); !errors.Is(err, logs.ErrWrite) || !errors.Is(err, syscall.EINVAL) {
		t.Errorf("close: %v", err)
	}
}

// A write that went halfway leaves half a line, perhaps half a time stamp. What comes next is a line of its own.
func TestHalfAWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := command("write halfway", dir).Output(); err != nil {
		t.Fatal(err)
	}
	store, err := logs.Open(dir, logs.Config{})
	ok(t, err)
	lines := strings.Split(content(t, store), "\n")
	if len(lines) != 4 || len(lines[0]) != 20 || !strings.HasSuffix(lines[1], "] again") || !strings.HasSuffix(lines[2], "] [INFO] done") {
		t.Errorf("got %q", lines)
	}
}

func TestWriteAfterClose(t *testing.T) {
	t.Parallel()
	log := openLog(t, openStore(t, logs.Config{}))
	out := log.Output(nil)
	ok(t, log.Close())
	_, write := out.Write([]byte("hello"))
	for what, err := range map[string]error{"write": write, "info": log.Info("hello")} {
		if !errors.Is(err, logs.ErrWrite) || !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	ok(t, out.Close())
}
