package logs_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"atelier/internal/build"
	"atelier/internal/logs"
)

// A log gets a file that was made before, in a directory that was too. Those that no log got are gone when the next process begins.
func TestSpareFiles(t *testing.T) {
	t.Parallel()
	store, path, _ := longLog(t)
	dir := filepath.Dir(filepath.Dir(path))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	made, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		store.Compress(ctx, func(context.Context, build.RecordID) (bool, error) { close(made); return false, nil },
			func(id build.RecordID, err error) { t.Errorf("%s: %v", id, err) })
	}()
	<-made
	cancel()
	<-done
	if dirs, err := filepath.Glob(filepath.Join(dir, "[0-9a-f][0-9a-f]")); len(dirs) != 256 || err != nil {
		t.Errorf("there are %d directories: %v", len(dirs), err)
	}
	spare := func() (infos []os.FileInfo) {
		paths, err := filepath.Glob(filepath.Join(dir, "spare", "*"))
		ok(t, err)
		for _, path := range paths {
			info, err := os.Stat(path)
			ok(t, err)
			infos = append(infos, info)
		}
		return infos
	}
	before := spare()
	if len(before) == 0 {
		t.Fatal("no file was made")
	}

	const other build.RecordID = "01932f5c-8b1e-7c3a-9d2e-4f5a6b7c8d00"
	log, err := store.Append(other)
	ok(t, err)
	ok(t, log.Info("one"))
	ok(t, log.Close())
	info, err := os.Stat(filepath.Join(dir, "00", string(other)+".log"))
	ok(t, err)
	was := false
	for _, b := range before {
		was = was || os.SameFile(b, info)
	}
	if !was || len(spare()) != len(before)-1 {
		t.Errorf("the log's file was made for it; %d of %d are left", len(spare()), len(before))
	}

	log, err = store.Append(other) // goes on with it
	ok(t, err)
	ok(t, log.Close())
	if again, err := os.Stat(filepath.Join(dir, "00", string(other)+".log")); err != nil || !os.SameFile(info, again) || again.Size() != info.Size() {
		t.Errorf("the log has another file now: %v", err)
	}

	taken := filepath.Join(dir, "01", string(other[:len(other)-2])+"01.log") // by somebody else, whoever that may be
	ok(t, os.WriteFile(taken, []byte("one\n"), 0o600))
	if err := store.GiveSpare(taken); !errors.Is(err, fs.ErrExist) {
		t.Errorf("another file got the name: %v", err)
	}
	if text, err := os.ReadFile(taken); string(text) != "one\n" {
		t.Errorf("the file holds %q, %v", text, err)
	}

	_, err = logs.Open(dir, frozen())
	ok(t, err)
	if left := spare(); len(left) != 0 {
		t.Errorf("%d files are left of the earlier process", len(left))
	}
}
