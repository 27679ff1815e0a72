package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"atelier/internal/needs"
)

// TestDeniedCalls makes, in a step, a call of each kind that no step has. Most of them would fail for other reasons too, so each is made in a
// way that fails with another error without the filter.
func TestDeniedCalls(t *testing.T) {
	t.Parallel()
	needs.Program(t, "python3")
	const missing, forbidden = syscall.ENOSYS, syscall.EPERM
	var program strings.Builder
	program.WriteString("import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n")
	for _, c := range []struct {
		name   string
		number int
		args   string
		want   syscall.Errno
	}{
		{"keyctl", syscall.SYS_KEYCTL, "0, 0, 0", missing},
		{"io_uring_setup", 425, "0, 0", missing},
		{"perf_event_open", syscall.SYS_PERF_EVENT_OPEN, "0, 0, 0, 0, 0", missing},
		{"bpf", sysBPF, "0, 0, 0", missing},
		{"userfaultfd", sysUserfaultfd, "-1", missing},
		{"clone3", 435, "0, 0", missing},
		{"unshare", syscall.SYS_UNSHARE, "0x10000000", forbidden},
		{"clone", syscall.SYS_CLONE, "0x10000011, 0, 0, 0, 0", forbidden},
		{"setns", sysSetns, "-1, 0", forbidden},
		{"mount", syscall.SYS_MOUNT, "0, 0, 0, 0, 0", forbidden},
		{"open_tree", 428, "-1, 0, -1", forbidden},
		{"open_by_handle_at", sysOpenByHandle, "-1, 0, 0", forbidden},
		{"settimeofday", syscall.SYS_SETTIMEOFDAY, "1, 1", forbidden},
		{"unshare of what it owns", syscall.SYS_UNSHARE, "0x400", 0}, // CLONE_FILES
	} {
		fmt.Fprintf(&program, "r = libc.syscall(ctypes.c_long(%d), %s); e = ctypes.get_errno() if r else 0\nif e != %d: print(%q, r, e)\n", c.number, c.args, int(c.want), c.name)
	}
	if got := must(t, openBuild(t, newIsolated(t, t.TempDir())), "cat > calls.py << 'END'\n"+program.String()+"END\npython3 calls.py"); got != "" {
		t.Errorf("these calls end otherwise than they should:\n%s", got)
	}
}

// TestSandboxesCannotTalk has one build listen on a socket with an abstract name: another build cannot connect, the same build can.
func TestSandboxesCannotTalk(t *testing.T) {
	t.Parallel()
	needs.Program(t, "python3")
	if gap := landlockGap(); gap != "" {
		needs.Skip(t, "landlock", gap)
	}
	e := newIsolated(t, t.TempDir())
	listener, other := openBuild(t, e), openBuild(t, e)
	const connect = `python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect("\0atelier-`
	name := listener.record
	out := &signalled{seen: make(chan struct{})}
	ended := make(chan error, 1)
	ctx, stop := context.WithCancelCause(t.Context())
	done := errors.New("done")
	go func() {
		_, err := listener.Run(ctx, script(`exec python3 -c 'import socket, time
l = socket.socket(socket.AF_UNIX); l.bind("\0atelier-`+name+`"); l.listen(2)
c = socket.socket(socket.AF_UNIX); c.connect("\0atelier-`+name+`"); l.accept()
print("ready", flush=True); time.sleep(1000)'`), out)
		ended <- err
	}()
	<-out.seen
	refused(t, other, connect+name+`")'`)
	stop(done)
	if err := <-ended; !errors.Is(err, done) {
		t.Error(err)
	}
}

// TestNamesInSandboxes checks that programs find the user whom they run as, and name servers.
func TestNamesInSandboxes(t *testing.T) {
	t.Parallel()
	s := openBuild(t, newIsolated(t, t.TempDir()))
	must(t, s, `[ "$(id -un)" = "$USER" ]; [ "$LOGNAME" = "$USER" ]; [ "$(umask)" = 0022 ]; [ "$(getent passwd "$USER" | cut -d: -f6)" = "$HOME" ]; getent passwd root nobody; cat /etc/resolv.conf; getent hosts localhost`)
}
