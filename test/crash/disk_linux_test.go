package crash_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of 32 MiB.
func smallDisk(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
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

// fill makes a file that takes all the room that is left.
func fill(t *testing.T, file string) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); errors.Is(err, unix.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestDiskIsFull lets the disk with the data become full: by something else, and by the log of a build. Nothing is accepted that cannot be
// kept, what was accepted stays, and all goes on when there is room again, without a restart and with one.
func TestDiskIsFull(t *testing.T) {
	t.Parallel()
	dir, gate := smallDisk(t), filepath.Join(t.TempDir(), "gate")
	in := installIn(t, dir)
	s := in.start()
	job, quick := s.makeTask("gated", gated(gate), ""), s.makeTask("quick", "true", "")
	noisy := s.makeTask("noisy", "yes 0123456789abcdefghijklmnopqrstuvwxyz | head -c 60000000; echo the end", "")
	b := s.run(job)
	if _, err := s.follow(b, func(text string) bool { return strings.Contains(text, "] it waits\n") }); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	wantUnavailable(t, s, quick)
	if r := s.record(b); r.Status != "RUNNING" {
		t.Errorf("while the disk is full, the build that runs is %+v", r)
	}
	if err := errors.Join(os.Remove(filler), os.WriteFile(gate, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if r := s.awaitEnd(b); r.Status != "SUCCESS" || !slices.Equal(printed(s.log(b)), []string{"it waits", "it goes on"}) {
		t.Errorf("%+v\n%s", r, s.log(b))
	}
	first := s.run(quick)
	if r := s.awaitEnd(first); first.number != 1 || r.Status != "SUCCESS" {
		t.Errorf("build %d: %+v", first.number, r)
	}

	loud := s.run(noisy)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); ; {
		var disk unix.Statfs_t
		if err := unix.Statfs(dir, &disk); err != nil {
			t.Fatal(err)
		}
		if disk.Bavail == 0 {
			break
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the log does not fill the disk")
		}
	}
	wantUnavailable(t, s, quick)
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=128m"); err != nil {
		t.Fatal(err)
	}
	r := s.awaitEnd(loud)
	if r.Status != "FAILURE" || r.ErrMsg != "The log of the build could not be written." {
		t.Errorf("the build that filled the disk: %+v", r)
	}
	log := s.log(loud)

	s.kill()
	s = in.start()
	if again := s.record(loud); again != r || s.log(loud) != log {
		t.Errorf("the build that filled the disk was %+v and is %+v, or its log has changed", r, again)
	}
	if next := s.run(quick); next.number != 2 || s.awaitEnd(next).Status != "SUCCESS" {
		t.Errorf("the next build is %d, %+v", next.number, s.record(next))
	}
	wantNothingLeft(t, in)
	s.stop()
}
