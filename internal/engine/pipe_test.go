package engine_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// tether is a pipe that every process of a step can hold; it tells when the last of them is gone.
type tether struct {
	name string
	file *os.File
}

func newTether(t *testing.T) tether {
	t.Helper()
	name := filepath.Join(t.TempDir(), "tether")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return tether{name, file}
}

// wicked is a script whose processes do not want to end. They hold the tether.
func (p tether) wicked() string {
	return `exec 9> ` + p.name + `
trap '' TERM
sleep 1001 &
setsid sleep 1002 &
(setsid env -i PATH="$PATH" sh -c 'trap "" TERM; sleep 1003 & sleep 1003' > /dev/null 2>&1 &)
echo ready
sleep 1004
`
}

// wantGone checks that nobody holds the tether any more. It does not wait.
func (p tether) wantGone(t *testing.T) {
	t.Helper()
	raw, err := p.file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 1024)
	n := 1
	if wrong := raw.Read(func(fd uintptr) bool {
		for n > 0 && err == nil {
			n, err = syscall.Read(int(fd), buffer)
		}
		return true // what was found is found, also that the pipe would block
	}); wrong != nil {
		t.Fatal(wrong)
	}
	if err != nil {
		t.Errorf("processes of the build are left: %v", err)
	}
}

// await waits until nobody holds the tether any more.
func (p tether) await(t *testing.T) {
	t.Helper()
	_ = p.file.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, p.file); err != nil {
		t.Fatalf("processes of the build are left: %v", err)
	}
}

// newFifo makes a pipe that a step can wait at until the test releases it.
func newFifo(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// release lets the step go on that waits at a pipe. Both directions are opened, so that this waits for nobody.
func release(t *testing.T, fifo string) {
	t.Helper()
	file, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if _, err := fmt.Fprintln(file, "go"); err != nil {
		t.Fatal(err)
	}
}
