package logs_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"atelier/internal/fault"
	"atelier/internal/logs"
)

// withText returns a store in which the log is at, and text.
func withText(t testing.TB, text string) (*logs.Store, *logs.Log) {
	t.Helper()
	store := openStore(t, frozen())
	log := openLog(t, store)
	put(t, log.Output(nil), text)
	return store, log
}

func TestRead(t *testing.T) {
	t.Parallel()
	store, _ := withText(t, "ab中文\xe4\xbd")
	end := len(at)
	tests := []struct {
		name   string
		offset int
		limit  int
		final  bool
		want   string
	}{
		{"from the beginning", 0, 1000, false, at + "ab中文"},
		{"the end of a final log", 0, 1000, true, at + "ab中文\xe4\xbd"},
		{"as far as the limit", end, 5, false, "ab中"},
		{"not into a character", end, 7, false, "ab中"},
		{"not into a character of a final log either", end, 7, true, "ab中"},
		{"at least one character", end + 2, 0, false, "中"},
		{"within a character", end + 3, 1000, false, "\xb8\xad文"},
		{"an incomplete character at the end", end + 8, 1000, false, ""},
		{"which stays for ever", end + 8, 1000, true, "\xe4\xbd"},
		{"the end", end + 10, 1000, false, ""},
		{"behind the end", end + 99, 1000, true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			chunk, next, err := store.Read(record, int64(tt.offset), tt.limit, tt.final)
			if err != nil || string(chunk) != tt.want || next != int64(tt.offset+len(tt.want)) {
				t.Errorf("got %q, %d, %v, want %q", chunk, next, err, tt.want)
			}
		})
	}
	if _, _, err := store.Read(record, -1, 10, false); !fault.Is(err, fault.Invalid) {
		t.Errorf("a negative offset: %v", err)
	}
}

func TestReadIsBounded(t *testing.T) {
	t.Parallel()
	store, _ := withText(t, strings.Repeat("x", 5<<20))
	chunk, next, err := store.Read(record, 0, 1<<40, true)
	if len(chunk) != 4<<20 || next != 4<<20 || err != nil {
		t.Errorf("%d bytes, next %d, %v", len(chunk), next, err)
	}
}

var anyText = rapid.Map(rapid.SliceOf(rapid.OneOf(
	rapid.StringMatching(`[a-c中é😀\n]{0,9}`),
	rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 4), func(b []byte) string { return string(b) }),
)), func(s []string) string { return strings.Join(s, "") })

// Chunk by chunk, a reader gets the whole log, and no character in two parts.
func TestReadInChunks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		store, log := withText(t, anyText.Draw(r, "text"))
		ok(t, log.Close())
		whole := content(t, store)
		var got strings.Builder
		for offset := int64(0); ; {
			chunk, next, err := store.Read(record, offset, rapid.IntRange(0, 20).Draw(r, "limit"), true)
			ok(t, err)
			if len(chunk) == 0 {
				break
			}
			if i := int(next); i < len(whole) && utf8.ValidString(whole) && !utf8.RuneStart(whole[i]) {
				r.Fatalf("split at %d: %q", i, whole)
			}
			got.Write(chunk)
			offset = next
		}
		if diff := cmp.Diff(whole, got.String()); diff != "" {
			r.Fatal(diff)
		}
	})
}

func TestSection(t *testing.T) {
	t.Parallel()
	store, log := withText(t, "one\n")
	start := log.Size()
	put(t, log.Output(nil), "two\n")
	end := log.Size()
	ok(t, log.Info("three"))
	tests := []struct {
		name       string
		start, end int64
		want       string
	}{
		{"a step", start, end, at + "two\n"},
		{"a step that runs", start, -1, at + "two\n" + at + "[INFO] three\n"},
		{"behind the end", end, 1 << 40, at + "[INFO] three\n"},
		{"nothing", 1 << 40, 1 << 41, ""},
		{"upside down", end, start, ""},
		{"before the beginning", -5, 3, at[:3]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := store.Section(record, tt.start, tt.end)
			ok(t, err)
			defer r.Close()
			if err := iotest.TestReader(r, []byte(tt.want)); err != nil {
				t.Error(err)
			}
		})
	}
}

// The length of an answer is told before it is sent, so a reader must not grow.
func TestReaderHasAnEnd(t *testing.T) {
	t.Parallel()
	store, log := withText(t, "one\n")
	r, err := store.Reader(record)
	ok(t, err)
	defer r.Close()
	ok(t, log.Info("two"))
	size, err := r.Seek(0, io.SeekEnd)
	ok(t, err)
	_, err = r.Seek(0, io.SeekStart)
	ok(t, err)
	if err := iotest.TestReader(r, []byte(at+"one\n")); err != nil || size != int64(len(at)+4) {
		t.Errorf("size %d, %v", size, err)
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	// What stands between the marks of the lines is their time stamp; ^ and $ are where the part begins and ends.
	line := func(s string) string { return strings.ReplaceAll(s, "@", at) }
	store, _ := withText(t, "one\ntwo\nthree\nfo")
	whole := line("@one\n@two\n@three\n@fo")
	tests := []struct {
		name       string
		start, end string // the text before them
		lines      int
		last       bool
		want       string
	}{
		{"all", "", "", 0, false, "@one\n@two\n@three\n@fo"},
		{"all, from the end", "", "", 0, true, "@one\n@two\n@three\n@fo"},
		{"more lines than there are", "", "", 9, false, "@one\n@two\n@three\n@fo"},
		{"more lines than there are, from the end", "", "", 9, true, "@one\n@two\n@three\n@fo"},
		{"the first", "", "", 1, false, "@one\n"},
		{"the last, which is not complete", "", "", 1, true, "@fo"},
		{"the last two", "", "", 2, true, "@three\n@fo"},
		{"two in the middle", "@one\n", "", 2, false, "@two\n@three\n"},
		{"the last two of the first three", "", "@one\n@two\n@three\n", 2, true, "@two\n@three\n"},
		{"between two places", "@one\n", "@one\n@two\n", 9, false, "@two\n"},
		{"between two places, from the end", "@one\n", "@one\n@two\n", 9, true, "@two\n"},
		{"cut lines", "@o", "@one\n@t", 9, false, "ne\n@t"},
		{"nothing", "@one\n@two\n", "@one\n", 9, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := logs.Window{Start: int64(len(line(tt.start))), End: int64(len(line(tt.end))), Lines: tt.lines, Last: tt.last}
			part, err := store.Window(record, w, false)
			ok(t, err)
			if diff := cmp.Diff(line(tt.want), string(part.Text)); diff != "" {
				t.Error(diff)
			}
			if part.End-part.Start != int64(len(part.Text)) || tt.want != "" && whole[part.Start:part.End] != string(part.Text) {
				t.Errorf("said to stand at %d to %d", part.Start, part.End)
			}
		})
	}
	for _, w := range []logs.Window{{Start: -1}, {End: -1}, {Start: -1, Last: true}} {
		if _, err := store.Window(record, w, false); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", w, err)
		}
	}
}

// Window by window, forwards and backwards, a reader gets the whole log.
func TestWindowsMeet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		store, log := withText(t, anyText.Draw(r, "text"))
		ok(t, log.Close())
		whole := content(t, store)
		n := rapid.IntRange(0, 4).Draw(r, "lines")
		var forwards, backwards string
		for w := (logs.Window{Lines: n}); ; {
			part, err := store.Window(record, w, true)
			ok(t, err)
			if len(part.Text) == 0 {
				break
			}
			forwards += string(part.Text)
			w.Start = part.End
		}
		for w := (logs.Window{Lines: n, Last: true}); ; {
			part, err := store.Window(record, w, true)
			ok(t, err)
			backwards = string(part.Text) + backwards
			if w.End = part.Start; w.End == 0 {
				break
			}
		}
		if forwards != whole || backwards != whole {
			r.Fatalf("%q\nforwards  %q\nbackwards %q", whole, forwards, backwards)
		}
	})
}

// A line that does not fit into one answer comes in several.
func TestWindowOfALongLine(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("中", 3<<20)
	store, _ := withText(t, "short\n"+text+"\n")
	whole := content(t, store)
	var got string
	for w := (logs.Window{Lines: 1, Last: true}); ; {
		part, err := store.Window(record, w, true)
		ok(t, err)
		if !utf8.Valid(part.Text) {
			t.Fatalf("split at %d", part.Start)
		}
		got = string(part.Text) + got
		if w.End = part.Start; w.End == 0 {
			break
		}
	}
	if got != whole {
		t.Errorf("got %d bytes, want %d", len(got), len(whole))
	}
}

func TestWithoutDebug(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200_000)
	tests := []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"none", "@a\n@[INFO] b\n", "@a\n@[INFO] b\n"},
		{"only", "@[DEBUG] a\n@[DEBUG] b\n", ""},
		{"some", "@a\n@[DEBUG] b\n@[INFO] c\n@[DEBUG] d\n@e\n", "@a\n@[INFO] c\n@e\n"},
		{"at the end without an end", "@a\n@[DEBUG] b", "@a\n"},
		{"not at the beginning of a line", "@a [DEBUG] b\n@ [DEBUG]\n[DEBUG] c\n", "@a [DEBUG] b\n@ [DEBUG]\n[DEBUG] c\n"},
		{"short lines", "\n\n@\n@[DEB\n@[DEBUG", "\n\n@\n@[DEB\n@[DEBUG"},
		{"long lines", "@" + long + "\n@[DEBUG]" + long + "\n@" + long, "@" + long + "\n@" + long},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := strings.ReplaceAll(tt.in, "@", at)
			want := strings.ReplaceAll(tt.want, "@", at)
			for name, r := range map[string]io.Reader{
				"at once": strings.NewReader(in), "byte by byte": iotest.OneByteReader(strings.NewReader(in)), "with the error": iotest.DataErrReader(strings.NewReader(in)),
			} {
				if err := iotest.TestReader(logs.WithoutDebug(r), []byte(want)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	broken := errors.New("broken")
	if _, err := io.ReadAll(logs.WithoutDebug(io.MultiReader(strings.NewReader(at+"a"), iotest.ErrReader(broken)))); !errors.Is(err, broken) {
		t.Errorf("an error of the reader became %v", err)
	}
}
