package logs_test

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/logs"
	"atelier/internal/logs/mask"
)

const record build.RecordID = "01932f5c-8b1e-7c3a-9d2e-4f5a6b7c8d9e"

func TestMain(m *testing.M) {
	if child, ok := children[os.Getenv(childVariable)]; ok {
		child()
		return
	}
	os.Exit(m.Run())
}

func openStore(t testing.TB, config logs.Config) *logs.Store {
	t.Helper()
	store, err := logs.Open(t.TempDir(), config)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// frozen is a clock that stands still, in the zone of the documented examples.
func frozen() logs.Config {
	now := time.Date(2023, 12, 21, 7, 44, 18, 743e6, time.UTC)
	return logs.Config{Zone: time.FixedZone("", 8*3600), Now: func() time.Time { return now }}
}

const at = "[2023/12/21 15:44:18.743 GMT+08:00] "

func openLog(t testing.TB, store *logs.Store) *logs.Log {
	t.Helper()
	log, err := store.Append(record)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

func put(t testing.TB, w io.Writer, text string) {
	t.Helper()
	if n, err := io.WriteString(w, text); n != len(text) || err != nil {
		t.Fatalf("write %.40q: %d, %v", text, n, err)
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// content returns the whole log.
func content(t testing.TB, store *logs.Store) string {
	t.Helper()
	r, err := store.Reader(record)
	ok(t, err)
	defer r.Close()
	text, err := io.ReadAll(r)
	ok(t, err)
	return string(text)
}

func TestOpenRefusesBadConfig(t *testing.T) {
	t.Parallel()
	if _, err := logs.Open(t.TempDir(), logs.Config{Limit: -1}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a negative limit: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	ok(t, os.WriteFile(file, nil, 0o600))
	if _, err := logs.Open(file, logs.Config{}); err == nil {
		t.Error("a file was taken for a directory")
	}
}

func TestFilesAreSpreadAndPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "logs")
	store, err := logs.Open(dir, logs.Config{})
	ok(t, err)
	log := openLog(t, store)
	ok(t, log.Info("hello"))
	modes := map[string]fs.FileMode{}
	ok(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		name, _ := filepath.Rel(dir, path)
		modes[name] = info.Mode()
		return err
	}))
	for name, want := range map[string]fs.FileMode{".": fs.ModeDir | 0o700, "9e": fs.ModeDir | 0o700, "9e/" + string(record) + ".log": 0o600} {
		if modes[name] != want {
			t.Errorf("%s has mode %v, want %v; there are %v", name, modes[name], want, modes)
		}
	}
}

func TestBadRecordIDs(t *testing.T) {
	t.Parallel()
	store := openStore(t, logs.Config{})
	for _, id := range []build.RecordID{
		"", "..", "../../../../etc/passwd", "01932F5C-8b1e-7c3a-9d2e-4f5a6b7c8d9e", "01932f5c-8b1e-7c3a-9d2e-4f5a6b7c8d9", record + "0",
		"01932f5c08b1e-7c3a-9d2e-4f5a6b7c8d9e", "------------------------------------", "01932f5c-8b1e-7c3a-9d2e-4f5a6b7c8d/.", "01932f5c-8b1e-7c3a-9d2e-4f5a6b7c8d\x00e",
	} {
		_, size := store.Size(id)
		_, appended := store.Append(id)
		_, _, read := store.Read(id, 0, 1, false)
		_, reader := store.Reader(id)
		_, window := store.Window(id, logs.Window{}, false)
		_, last := store.Window(id, logs.Window{Last: true}, false)
		for what, err := range map[string]error{
			"size": size, "append": appended, "read": read, "reader": reader, "window": window, "last": last, "remove": store.Remove(id),
		} {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%s %q: %v", what, id, err)
			}
		}
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	store := openStore(t, logs.Config{})
	ok(t, store.Remove(record))
	log := openLog(t, store)
	ok(t, log.Info("hello"))
	ok(t, log.Close())
	ok(t, store.Remove(record))
	if got := content(t, store); got != "" {
		t.Errorf("after it was removed: %q", got)
	}
}

func TestMissingLogIsEmpty(t *testing.T) {
	t.Parallel()
	store := openStore(t, logs.Config{})
	if size, err := store.Size(record); size != 0 || err != nil {
		t.Errorf("size %d, %v", size, err)
	}
	if chunk, next, err := store.Read(record, 7, 100, true); len(chunk) != 0 || next != 7 || err != nil {
		t.Errorf("read %q, %d, %v", chunk, next, err)
	}
	if got := content(t, store); got != "" {
		t.Errorf("content %q", got)
	}
	for _, last := range []bool{false, true} {
		if part, err := store.Window(record, logs.Window{Lines: 10, Last: last}, true); len(part.Text) != 0 || part.Start != 0 || part.End != 0 || err != nil {
			t.Errorf("window %+v, %v", part, err)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	type bench struct {
		log      *logs.Log
		one, two *logs.Output
	}
	tests := []struct {
		name string
		do   func(t *testing.T, b bench)
		want string
	}{
		{"nothing", func(t *testing.T, b bench) { put(t, b.one, "") }, ""},
		{"levels", func(t *testing.T, b bench) {
			ok(t, b.log.Info("the %s begins", "step"))
			ok(t, b.log.Warn("100%%"))
			ok(t, b.log.Error("it failed"))
			ok(t, b.log.Debug("why"))
		}, "@[INFO] the step begins\n@[WARN] 100%\n@[ERROR] it failed\n@[DEBUG] why\n"},
		{"several lines of the service's", func(t *testing.T, b bench) { ok(t, b.log.Info("a\n\nb\n")) }, "@[INFO] a\n@[INFO] \n@[INFO] b\n"},
		{"output has no level", func(t *testing.T, b bench) { put(t, b.one, "a\n\nb\n") }, "@a\n@\n@b\n"},
		{"a line in pieces", func(t *testing.T, b bench) {
			put(t, b.one, "Name? ")
			put(t, b.one, "x")
			put(t, b.one, "\nby")
			put(t, b.one, "e\n")
		}, "@Name? x\n@bye\n"},
		{"the end of a step ends its line", func(t *testing.T, b bench) {
			put(t, b.one, "no end")
			ok(t, b.one.Close())
			put(t, b.two, "next\n")
		}, "@no end\n@next\n"},
		{"the end of the log ends the line", func(t *testing.T, b bench) {
			put(t, b.one, "no end")
			ok(t, b.log.Close())
		}, "@no end\n"},
		{"the service comes in between", func(t *testing.T, b bench) {
			put(t, b.one, "compil")
			ok(t, b.log.Warn("stopping"))
			put(t, b.one, "ing\n")
		}, "@compil\n@[WARN] stopping\n@ing\n"},
		{"two steps at once", func(t *testing.T, b bench) {
			put(t, b.one, "a1 ")
			put(t, b.one, "a2 ")
			put(t, b.two, "b1 ")
			put(t, b.one, "a3\n")
			put(t, b.two, "b2")
			ok(t, b.one.Close()) // not its line
			put(t, b.two, " b3\n")
		}, "@a1 a2 \n@b1 \n@a3\n@b2 b3\n"},
		{"bytes stay as they are", func(t *testing.T, b bench) {
			put(t, b.one, "10%\r20%\r\n\x1b[31mred\x1b[0m\x00\xff\xc3\n\xe4\xbd\n")
		}, "@10%\r20%\r\n@\x1b[31mred\x1b[0m\x00\xff\xc3\n@\xe4\xbd\n"},
		{"secrets", func(t *testing.T, b bench) {
			put(t, b.one, "login hun")
			put(t, b.one, "ter2\npassword hunter")
			ok(t, b.log.Info("the token is %s", "hunter2"))
			put(t, b.one, "2, hunt")
			ok(t, b.one.Close())
		}, "@login ******\n@password \n@[INFO] the token is ******\n@******, hunt\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			store := openStore(t, frozen())
			log := openLog(t, store)
			masker := mask.New([]string{"hunter2"})
			tt.do(t, bench{log, log.Output(masker), log.Output(masker)})
			want := strings.ReplaceAll(tt.want, "@", at)
			if got := content(t, store); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if size := log.Size(); size != int64(len(want)) {
				t.Errorf("size %d, want %d", size, len(want))
			}
		})
	}
}

// A line is in the file as far as it is known, before it ends.
func TestUnfinishedLineCanBeRead(t *testing.T) {
	t.Parallel()
	store := openStore(t, frozen())
	put(t, openLog(t, store).Output(nil), "Name? ")
	if got := content(t, store); got != at+"Name? " {
		t.Errorf("got %q", got)
	}
}

func TestLinesOfAnyLength(t *testing.T) {
	t.Parallel()
	store := openStore(t, frozen())
	out := openLog(t, store).Output(nil)
	long := strings.Repeat("x", 3<<20)
	short := strings.Repeat("\n", 100_000) // each grows by its time stamp
	put(t, out, long+"\n"+short)
	if got, want := content(t, store), at+long+"\n"+strings.Repeat(at+"\n", 100_000); got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}

func TestAppendGoesOn(t *testing.T) {
	t.Parallel()
	store := openStore(t, frozen())
	first := openLog(t, store)
	put(t, first.Output(nil), "torn") // and not closed: the process died
	second := openLog(t, store)
	if got, want := second.Size(), int64(len(at+"torn")); got != want {
		t.Errorf("size %d, want %d", got, want)
	}
	ok(t, second.Error("lost"))
	ok(t, second.Close())
	third := openLog(t, store)
	put(t, third.Output(nil), "again\n")
	if got, want := content(t, store), at+"torn\n"+at+"[ERROR] lost\n"+at+"again\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
