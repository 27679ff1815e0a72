package host

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	protocol "atelier/internal/executor/host/supervisor"
)

// sandbox is a supervisor in namespaces of its own, with the directory of a build, for which it was made beforehand.
type sandbox struct {
	supervisor *supervisor
	dir        string
	discard    func(dir string) error
}

// alive reports whether a build can use the sandbox: whether nobody has killed it.
func (s *sandbox) alive() bool { return s.supervisor.alive() }

func (s *sandbox) close() error { return errors.Join(s.supervisor.close(), s.discard(s.dir)) }

// makeSandbox makes a sandbox.
func (e *Executor) makeSandbox() (*sandbox, error) {
	dir, err := e.makeBuildDir()
	if err != nil {
		return nil, err
	}
	s := &sandbox{dir: dir, discard: e.discard}
	if s.supervisor, err = e.bubblewrap.start(e.dir, dir, e.patience); err == nil {
		err = e.confine(s.supervisor)
	}
	if err != nil {
		return nil, errors.Join(err, e.discard(dir))
	}
	return s, nil
}

// bubblewrap is how the program of that name is called. It gives a build namespaces of its own: processes, mounts, inter-process
// communication and the machine's name. The file system is made of what a step needs: the machine's programs and some of its settings,
// read-only; the build's own directory; and places for temporary files that are gone with it. What is private is not in it.
type bubblewrap struct {
	program  string
	root     bool
	view     *view
	settings *settingsDir
}

// insidePath is how the directory of a build is called in its sandbox. It is the same for all, since a sandbox is made before it is known for
// which build.
const insidePath = protocol.BuildDir

// scratch are the directories of a sandbox, besides the build's own, in which its steps may make files, with their sizes in bytes. They lie in
// memory, which is the build's: all together they are less than a build of the smallest class has.
var scratch = protocol.Scratch

var scratchSizes = [...]int{2 << 30, 1 << 30, 1 << 30}

// programFile is the number of the file that is the supervisor's program, behind its socket.
const programFile = protocol.Control + 1

// runDir is where sandboxes have no services.
const runDir = "/run"

// arguments returns those of a sandbox for the build in a directory. They do not have it die with its parent, since the kernel takes the
// thread that started it for that, and threads come and go: the supervisor, which is its first process, sees by its socket that the server is
// gone. A server that is root keeps the supervisor root, with the power to be somebody else and to end processes and no other, so no step can
// touch it.
func (b *bubblewrap) arguments(executorDir, dir string) (*arguments, error) {
	a := &arguments{}
	a.add(b.program, "--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
	if b.root {
		a.add("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_KILL")
	}
	for i, path := range scratch {
		if path != "/dev/shm" { // which comes with /dev
			a.add("--size", strconv.Itoa(scratchSizes[i]), "--perms", "1777", "--tmpfs", path)
		}
	}
	a.add("--dev", "/dev", "--proc", "/proc", "--size", strconv.Itoa(scratchSizes[2]), "--perms", "1777", "--tmpfs", "/dev/shm")
	a.add("--perms", "0755", "--dir", runDir, "--symlink", "../run", "/var/run")
	settings, err := b.settings.current()
	if err != nil {
		return nil, err
	}
	if err := b.view.show(a, settings); err != nil {
		return nil, err
	}
	// The name of the supervisor's program is found on a path of its own, because that is how bubblewrap lets it have another than its file.
	a.add("--bind", dir, insidePath, "--symlink", fmt.Sprintf("/proc/self/fd/%d", programFile), filepath.Join(runDir, protocol.Name))
	a.add("--remount-ro", "/dev", "--remount-ro", "/", "--", protocol.Name, executorDir)
	return a, nil
}
