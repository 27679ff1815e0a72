package disk_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"atelier/internal/disk"
)

// small mounts a file system of 32 MiB.
func small(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=32m"); err != nil {
		t.Skipf("a small file system cannot be mounted, which needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); !ok(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal(what)
		}
	}
}

// TestGuard fills a disk and empties it again.
func TestGuard(t *testing.T) {
	t.Parallel()
	dir := small(t)
	g, err := disk.Open(dir, 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	go g.Run(t.Context(), slog.New(slog.DiscardHandler))
	held := func() bool {
		info, err := os.Stat(filepath.Join(dir, "reserve"))
		return err == nil && info.Size() == 4<<20
	}
	await(t, "the file is not made", held)
	if err := errors.Join(g.Take(20<<20), g.Take(1<<20)); err != nil || g.Full() || g.Critical() {
		t.Errorf("an empty disk: %v, full %v, critical %v", err, g.Full(), g.Critical())
	}
	if err := g.Take(25 << 20); !disk.IsFull(err) {
		t.Errorf("to take more than there is: %v", err)
	}
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 26<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "the disk is not full", g.Full)
	await(t, "the file is not given up", func() bool { return os.WriteFile(filler, make([]byte, 29<<20), 0o600) == nil && !held() })
	await(t, "it is not said that the disk is as good as full", g.Critical)
	if err := os.WriteFile(filepath.Join(dir, "database"), make([]byte, 1<<20), 0o600); err != nil {
		t.Errorf("what the file has taken is not free: %v", err)
	}
	again, err := disk.Open(dir, 8<<20)
	if err != nil || !again.Full() {
		t.Errorf("opened on a full disk: %v, full %v", err, again.Full())
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	await(t, "the file is not made again", func() bool { return held() && !g.Full() })
}
