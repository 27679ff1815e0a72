package crash_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

const diskMessage = "The server's disk is full. Start the build again when there is room."

// TestDiskIsFull lets the disk with the data become full: by something else, and by the log of a build. The reserve is the database's:
// builds are taken and stopped, users sign in, and the server starts. What runs ends with the reason, what waits begins when there is
// room again, and what was accepted stays.
func TestDiskIsFull(t *testing.T) {
	t.Parallel()
	dir, gate := smallDisk(t), filepath.Join(t.TempDir(), "gate")
	in := installIn(t, dir)
	s := in.start()
	job, quick, other := s.makeTask("gated", gated(gate), ""), s.makeTask("quick", "true", ""), s.makeTask("other", "true", "")
	noisy := s.makeTask("noisy", "yes 0123456789abcdefghijklmnopqrstuvwxyz | head -c 60000000; echo the end", "")
	b := s.run(job)
	if _, err := s.follow(b, func(text string) bool { return strings.Contains(text, "] it waits\n") }); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	if r := s.awaitEnd(b); r.Status != "FAILURE" || r.ErrMsg != diskMessage {
		t.Errorf("the build that ran when the disk became full: %+v", r)
	}
	waiting, stopped := s.run(quick), s.run(other)
	if err := s.stopBuild(stopped); err != nil {
		t.Error(err)
	}
	if r := s.awaitEnd(stopped); r.Status != "ABORTED" {
		t.Errorf("stopped while the disk is full: %+v", r)
	}
	s.kill()
	s = in.start()
	if r := s.record(waiting); r.Status != "QUEUED" {
		t.Errorf("while the disk is full, a build is %+v", r)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if r := s.awaitEnd(waiting); r.Status != "SUCCESS" || waiting.number != 1 {
		t.Errorf("%+v\n%s", r, s.log(waiting))
	}

	loud := s.run(noisy)
	r := s.awaitEnd(loud)
	if r.Status != "FAILURE" || r.ErrMsg != diskMessage {
		t.Errorf("the build that filled the disk: %+v", r)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil || int64(disk.Bavail)*disk.Bsize < 2<<20 { //nolint:unconvert // types differ between systems
		t.Errorf("the log has left %d bytes, %v", int64(disk.Bavail)*disk.Bsize, err) //nolint:unconvert // likewise
	}
	log := s.log(loud)
	s.kill()
	s = in.start()
	if again := s.record(loud); again != r || s.log(loud) != log {
		t.Errorf("the build that filled the disk was %+v and is %+v, or its log has changed", r, again)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=128m"); err != nil {
		t.Fatal(err)
	}
	if next := s.run(quick); next.number != 2 || s.awaitEnd(next).Status != "SUCCESS" {
		t.Errorf("the next build is %d, %+v", next.number, s.record(next))
	}
	wantNothingLeft(t, in)
	s.stop()
}
