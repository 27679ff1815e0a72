package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

// Isolation says what steps are kept from. The zero value trusts them with everything that the server's user may do.
type Isolation struct {
	// Want is how much of what follows has to be there.
	Want Want

	// Private are files and directories that no step may see, absolute. The executor's own directory need not be among them.
	Private []string

	// Users are whom steps run as when the server is root.
	Users Users

	// Reach lets other users come to the executor's directory without letting them see what is beside it. It is called when steps
	// have users of their own and no namespaces.
	Reach func() error
}

// Want says what happens when this machine cannot isolate steps.
type Want string

// The wishes of operators.
const (
	Off     Want = "off"     // run steps as the server's user, with all that it may do; the default
	Auto    Want = "auto"    // use what there is; [Executor.Gaps] says what there is not
	Require Want = "require" // refuse
)

// trialTime is how long a machine has to show that it can isolate a step.
const trialTime = 10 * time.Second

// isolate finds out, by trying, what this machine can do of what is wanted. It is called before any build.
func (e *Executor) isolate(want Isolation) error {
	if want.Want == "" || want.Want == Off {
		return nil
	}
	gap := func(format string, args ...any) { e.gaps = append(e.gaps, fmt.Sprintf(format, args...)) }
	root := os.Geteuid() == 0
	box, boxErr := e.newBubblewrap(want.Private, root)
	if boxErr == nil {
		e.bubblewrap = box
		if boxErr = e.trial(); boxErr != nil {
			e.bubblewrap = nil
		}
	}
	if boxErr != nil {
		gap("steps see the processes and files of this machine that their user may see: %v", boxErr)
	}
	if !root && boxErr != nil {
		gap("steps can read and change what the server keeps: they run as its user; bubblewrap, or a server that runs as root, would prevent it")
	}
	if root {
		if err := e.tryUsers(want); err != nil {
			gap("steps run as root: %v", err)
		}
	}
	groups, err := newGroups(e.dir)
	if err == nil {
		e.groups = groups
		if err = e.trial(); err != nil {
			e.groups = nil
		}
	}
	if err != nil {
		gap("builds have no limits of memory, processors and processes: %v", err)
	}
	if want.Want == Require && len(e.gaps) > 0 {
		return fault.New(fault.Invalid, "--sandbox require: %s", strings.Join(e.gaps, "; "))
	}
	return nil
}

// tryUsers makes steps run as users of their own, if they can.
func (e *Executor) tryUsers(want Isolation) error {
	if want.Users.First <= 0 {
		return errors.New("no other users are given")
	}
	if e.bubblewrap == nil {
		if err := os.Chmod(e.dir, 0o711); err != nil {
			return err
		}
		if err := want.Reach(); err != nil {
			return err
		}
	}
	e.users = newUserPool(want.Users)
	err := e.trial()
	if err != nil {
		e.users = nil
		err = fmt.Errorf("they cannot run as user %d in %s: %w", want.Users.First, e.dir, err)
	}
	return err
}

// trial runs a build with a step that does nothing but to use its workspace.
func (e *Executor) trial() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), trialTime)
	defer cancel()
	defer func() { err = errors.Join(err, e.closePools()) }()
	s, err := e.Open(ctx, executor.Build{Record: "trial-" + uuid.NewString()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(context.Background())) }()
	var out strings.Builder
	result, err := s.Run(ctx, plan.Step{Script: &plan.Script{Command: `cd "$WORKSPACE"; : > file`}}, &out)
	if err == nil && !result.Succeeded() {
		err = fmt.Errorf("exit status %d: %s", result.ExitCode, strings.TrimSpace(out.String()))
	}
	return err
}

// HasUsers reports whether steps run as users of their own.
func (e *Executor) HasUsers() bool { return e.users != nil }

// Gaps says, in sentences for the operator, what steps are not kept from though it was asked for.
func (e *Executor) Gaps() []string { return e.gaps }

// sandbox is a supervisor in namespaces of its own, with the directory of a build, for which it was made beforehand.
type sandbox struct {
	supervisor *supervisor
	dir        string
	args       []string // of all sandboxes when this one was made: what they hide may change
	made       *bubblewrap
	discard    func(dir string) error
}

// alive reports whether a build can use the sandbox: whether nobody has killed it, and it hides all that is to be hidden.
func (s *sandbox) alive() bool { return s.supervisor.alive() && slices.Equal(s.args, s.made.args()) }

func (s *sandbox) close() error { return errors.Join(s.supervisor.close(), s.discard(s.dir)) }

// makeSandbox makes a sandbox.
func (e *Executor) makeSandbox() (*sandbox, error) {
	dir, err := e.makeBuildDir()
	if err != nil {
		return nil, err
	}
	s := &sandbox{dir: dir, made: e.bubblewrap, args: e.bubblewrap.args(), discard: e.discard}
	if s.supervisor, err = e.bubblewrap.start(s.args, e.dir, dir, e.patience); err == nil {
		err = e.confine(s.supervisor)
	}
	if err != nil {
		return nil, errors.Join(err, e.discard(dir))
	}
	return s, nil
}

// bubblewrap is how the program of that name is called. It gives a build namespaces of its own: processes, mounts, inter-process
// communication and the machine's name. The file system can be read as far as its user may; what can be written to is the build's own
// directory, and places for temporary files that are gone with it.
type bubblewrap struct {
	program string
	args    func() []string // before those for one build; private files come and go
}

// insidePath is how the directory of a build is called in its sandbox, below the executor's directory. It is the same for all, since a
// sandbox is made before it is known for which build.
const insidePath = "sandbox"

// scratch are the directories of a sandbox, besides the build's own, in which its steps may make files.
var scratch = [...]string{"/tmp", "/var/tmp", "/dev/shm"}

// newBubblewrap finds out whether bubblewrap can make sandboxes here. What is private must not be seen in them.
func (e *Executor) newBubblewrap(private []string, root bool) (*bubblewrap, error) {
	program := e.find("bwrap")
	if program == "" {
		return nil, errors.New("the program bwrap is not installed; install the package bubblewrap")
	}
	common := sandboxArgs(root)
	hiding := func() []string {
		return append(append(slices.Clone(common), e.masks(private)...), "--remount-ro", "/run")
	}
	b := &bubblewrap{program: program, args: hiding}
	ctx, cancel := context.WithTimeout(context.Background(), trialTime)
	defer cancel()
	try := exec.CommandContext(ctx, program, append(b.args(), "--", e.shell, "-c", ":")...)
	if out, err := try.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("bubblewrap cannot make namespaces here (%w: %s); allow user namespaces, or run the server as root with CAP_SYS_ADMIN",
			err, strings.TrimSpace(string(out)))
	}
	return b, nil
}

// sandboxArgs returns what all sandboxes have in common. They do not die with their parent, since the kernel takes the thread that started
// them for it, and threads come and go: the supervisor sees by its control channel that the server is gone. The first process is the supervisor. A server that is root keeps
// it root, with the power to be somebody else and to end processes and no other, so no step can touch it.
func sandboxArgs(root bool) []string {
	args := []string{"--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"}
	if root {
		args = append(args, "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_KILL")
	}
	args = append(args, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc")
	for _, dir := range scratch {
		args = append(args, "--perms", "1777", "--tmpfs", dir)
	}
	// Sockets below /run lead to services that do what they are asked for outside. Names are resolved with files there.
	return append(args, "--tmpfs", "/run", "--ro-bind-try", "/run/systemd/resolve", "/run/systemd/resolve")
}

// masks returns the arguments that hide what is private: the directory of builds, and also the home of the server's user, in which
// its keys are. Programs on the path stay.
func (e *Executor) masks(private []string) (args []string) {
	private = slices.Clone(private)
	if home, err := os.UserHomeDir(); err == nil && filepath.Clean(home) != "/" && filepath.IsAbs(home) {
		private = append(private, home)
	}
	private = append(private, e.dir)
	slices.Sort(private) // what leads to a path comes before it
	var dirs []string
	for _, path := range slices.Compact(private) {
		path, err := filepath.EvalSymlinks(path)
		if err != nil {
			continue // there is nothing to hide
		}
		if isDir(path) {
			args = append(args, "--tmpfs", path)
			dirs = append(dirs, path)
		} else {
			args = append(args, "--ro-bind", "/dev/null", path)
		}
	}
	for _, dir := range filepath.SplitList(e.path) {
		if slices.ContainsFunc(dirs, func(private string) bool { return within(dir, private) && dir != private }) {
			args = append(args, "--ro-bind-try", dir, dir)
		}
	}
	for _, dir := range dirs {
		if dir != e.dir { // in which a build's directory is still to come
			args = append(args, "--remount-ro", dir)
		}
	}
	return args
}

// within reports whether a path is a directory or below it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// command returns the arguments that start a supervisor, whose program is an open file, for the build in a directory. Its name is found
// on a path of its own, because that is how bubblewrap lets a program have another name than its file.
func (b *bubblewrap) command(shared []string, executorDir, dir, name, program string) (args, env []string) {
	bin := filepath.Join(executorDir, "bin")
	args = append([]string{b.program}, shared...)
	args = append(args, "--bind", dir, filepath.Join(executorDir, insidePath), "--symlink", program, filepath.Join(bin, name),
		"--remount-ro", executorDir, "--", name, executorDir)
	return args, []string{"PATH=" + bin}
}
