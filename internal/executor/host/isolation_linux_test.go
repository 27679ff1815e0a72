package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"atelier/internal/executor"
	"atelier/internal/executor/executortest"
	"atelier/internal/fault"
	"atelier/internal/needs"
	"atelier/internal/plan"
	"atelier/internal/source"
	"atelier/internal/source/sourcetest"
)

// executors counts those whose steps run as users of their own.
var executors atomic.Int32

// testUsers returns whom the steps of an executor run as, and those of no other: a user may end all its processes, and without namespaces that is
// on the whole machine.
func testUsers() Users {
	const first, each = 606000000, 1000
	n := int(executors.Add(1))
	return Users{First: first + n*each, Last: first + n*each + each - 1}
}

// newIsolated returns an executor with all isolation that a server without limits has.
func newIsolated(t testing.TB, repositories string) *Executor {
	t.Helper()
	return newShowing(t, repositories, nil)
}

// newShowing returns one whose steps can see more of the machine, but not what is private.
func newShowing(t testing.TB, repositories string, show []string, private ...string) *Executor {
	t.Helper()
	needs.Program(t, "bwrap")
	dir := t.TempDir()
	e := isolated(t, dir, repositories, Isolation{Want: Auto, Show: show, Private: append(private, dir), Users: testUsers()})
	if err := e.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

func isolated(t testing.TB, dir, repositories string, want Isolation) *Executor {
	t.Helper()
	client, err := source.New(source.Config{
		Policy: source.Policy{FileRoots: []string{repositories}}, Dir: filepath.Join(dir, "mirrors"), Environ: sourcetest.Environ(os.DevNull),
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{
		Dir: filepath.Join(dir, "builds"), Source: client, Path: os.Getenv("PATH"), Grace: 300 * time.Millisecond, Isolation: want,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if entries, err := os.ReadDir(e.dir); err != nil || len(entries) > 0 {
			t.Errorf("the executor left %v behind, %v", entries, err)
		}
	})
	return e
}

func TestContractSandbox(t *testing.T) {
	t.Parallel()
	executortest.Run(t, func(t *testing.T, repositories string) executor.Executor { return newIsolated(t, repositories) })
}

// refused runs a command that must not succeed.
func refused(t *testing.T, s *session, command string) {
	t.Helper()
	var out strings.Builder
	result, err := s.Run(t.Context(), script(command), &out)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	if result.Succeeded() {
		t.Errorf("a step could do this: %s\n%s", command, out.String())
	}
}

// outside returns a directory of the machine whose mode protects nothing.
func outside(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "outside")
	if err == nil {
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		err = os.Chmod(dir, 0o755) //nolint:gosec // so that its mode does not protect it
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestIsolationOfFiles is about what steps try with files that are none of their business.
func TestIsolationOfFiles(t *testing.T) {
	t.Parallel()
	outside, data := outside(t), t.TempDir()
	key := filepath.Join(outside, "secret.key")
	for _, file := range []string{key, data + "/atelier.db"} {
		if err := os.WriteFile(file, []byte("a secret\n"), 0o644); err != nil { //nolint:gosec // so that its mode does not protect it
			t.Fatal(err)
		}
	}
	e := newShowing(t, t.TempDir(), []string{outside}, data, key)
	other, s := openBuild(t, e), openBuild(t, e)
	must(t, other, "echo of another > file; chmod -R a+rwX $HOME/..")
	for _, command := range []string{
		"cat " + data + "/atelier.db",
		"ls -A " + data + " | grep .",
		"cat " + key,
		"grep . " + key,
		"cat " + other.dir + "/workspace/file",
		"ls -A " + e.dir,
		"ls -A " + outside + " | grep .",
		"touch " + data + "/new",
		"touch " + e.dir + "/new",
		"touch /new",
		"touch /etc/new",
		"touch /usr/bin/new",
		"touch /run/new",
		"touch /dev/new",
		"cat /etc/shadow",
		"ls /boot /home /root /srv /mnt /media /var/lib /var/log",
		"umount " + data,
		"mount -o remount,rw /",
		"mount -o bind /proc/1/root/proc /mnt",
		"cat /proc/1/root" + data + "/atelier.db",
		"cat /proc/1/environ | grep .",
		"ls -l /proc/1/fd | grep -e socket -e pipe",
		"ln " + "/etc/passwd passwd",
		"mknod disk b 8 0",
		"ls /run/docker.sock /run/user/* /run/podman/*",
		"cat /proc/*/environ | grep -a -z " + other.record,
	} {
		refused(t, s, command)
	}
	if got := must(t, other, "cat file"); got != "of another\n" {
		t.Errorf("the other build's file is %q", got)
	}
	must(t, s, "cat /etc/passwd > /dev/null; echo x > /dev/null")
	for _, dir := range []string{"/tmp/", "/var/tmp/", "/dev/shm/"} {
		file := dir + other.record
		must(t, s, "echo x > "+file)
		refused(t, other, "cat "+file)
		if _, err := os.Lstat(file); err == nil {
			t.Errorf("%s is outside", file)
		}
	}
}

// TestIsolationOfChangingFiles checks that a private file that comes after the start, beside what is shown, is private too.
func TestIsolationOfChangingFiles(t *testing.T) {
	t.Parallel()
	outside := outside(t)
	late := outside + "/late"
	e := newShowing(t, t.TempDir(), []string{outside}, late)
	if err := errors.Join(os.WriteFile(late, []byte("a secret\n"), 0o644), os.WriteFile(outside+"/public", []byte("for all\n"), 0o644)); err != nil { //nolint:gosec // so that their modes do not protect them
		t.Fatal(err)
	}
	if err := errors.Join(e.closePools(), e.Recover(t.Context())); err != nil { // so that sandboxes are made now
		t.Fatal(err)
	}
	s := openBuild(t, e)
	must(t, s, "grep . "+outside+"/public")
	refused(t, s, "grep . "+late)
}

// TestIsolationOfProcesses is about what steps try with processes that are none of their business, and with their own privileges.
func TestIsolationOfProcesses(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]*Executor{"sandbox": newIsolated(t, t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bystander := exec.Command("sleep", "1000")
			if err := bystander.Start(); err != nil {
				t.Fatal(err)
			}
			other, s := openBuild(t, e), openBuild(t, e)
			ctx, cancel := context.WithCancel(t.Context())
			running, out := make(chan error, 1), &signalled{seen: make(chan struct{})}
			go func() { _, err := other.Run(ctx, script("echo $$; sleep 1000"), out); running <- err }()
			<-out.seen
			refused(t, s, fmt.Sprintf("kill -9 %d", bystander.Process.Pid))
			refused(t, s, "kill -9 $PPID && ! kill -0 $PPID")
			_, _ = s.Run(t.Context(), script("kill -9 -1"), io.Discard) // its own at most
			must(t, openBuild(t, e), "true")
			select {
			case err := <-running:
				t.Errorf("another build was ended: %v", err)
			default:
			}
			cancel()
			<-running
			if err := bystander.Process.Kill(); err != nil {
				t.Errorf("a process of the machine is gone: %v", err)
			}
			_ = bystander.Wait()

			status := must(t, openBuild(t, e), "grep -E '^(Uid|Gid|Groups|Cap(Inh|Prm|Eff|Amb)|NoNewPrivs)' /proc/self/status")
			if os.Geteuid() == 0 && !strings.Contains(status, "Uid:\t606") {
				t.Errorf("a step is not somebody else:\n%s", status)
			}
			for _, want := range []string{"CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n", "CapAmb:\t0000000000000000\n", "NoNewPrivs:\t1\n"} {
				if !strings.Contains(status, want) {
					t.Errorf("a step lacks %q:\n%s", want, status)
				}
			}
			if os.Geteuid() == 0 { // add_key fails, as in a kernel without keyrings
				add := fmt.Sprintf(`perl -e '$type = "user"; $name = "trace"; exit(syscall(%d, $type, $name, $name, 5, -4) == -1 ? 0+$! : 0)'`, syscall.SYS_ADD_KEY)
				if result, err := openBuild(t, e).Run(t.Context(), script(add), io.Discard); err != nil || result.ExitCode != int(syscall.ENOSYS) {
					t.Errorf("a step comes to its user's keyring: %+v, %v", result, err)
				}
			}

			setuid := openBuild(t, e)
			must(t, setuid, "cp $(command -v id) own; chmod 4755 own; [ $(./own -u) = $(id -u) ]")
			if os.Geteuid() == 0 {
				if err := errors.Join(exec.Command("cp", setuid.path("workspace")+"/own", setuid.path("workspace")+"/root").Run(),
					os.Chmod(setuid.path("workspace")+"/root", 0o755|os.ModeSetuid)); err != nil {
					t.Fatal(err)
				}
				must(t, setuid, "[ $(./root -u) = $(id -u) ]")
			}
		})
	}
}

// signalled is a writer that tells when something was written.
type signalled struct {
	once sync.Once
	seen chan struct{}
}

func (s *signalled) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.seen) })
	return len(p), nil
}

// TestIsolationUsers checks that builds which run at a time are different users, and that what the server puts into a workspace is theirs.
func TestIsolationUsers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	repositories := t.TempDir()
	repo := sourcetest.New(t, repositories+"/app")
	repo.Write("dir/file", "content")
	commit := repo.Commit("first")
	for name, e := range map[string]*Executor{"sandbox": newIsolated(t, repositories)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := openBuild(t, e), openBuild(t, e)
			if a, b := must(t, first, "id -u"), must(t, second, "id -u"); a == b {
				t.Errorf("both builds are user %s", a)
			}
			step := plan.Step{Checkout: &plan.Checkout{URL: repo.URL(), Branch: "main", Commit: commit, Depth: 1, Path: "app"}}
			if result, err := first.Run(t.Context(), step, io.Discard); err != nil || !result.Succeeded() {
				t.Fatal(result, err)
			}
			if err := first.WriteFile(t.Context(), "got/it", strings.NewReader("content")); err != nil {
				t.Fatal(err)
			}
			must(t, first, "git -C app status --porcelain; git -C app log -1 >/dev/null; echo >> app/dir/file; echo > got/new; echo >> got/it; touch app/.git/x; [ -z \"$(find . ! -user $(id -u))\" ]")
			// A file that somebody else has in the workspace is not read for the build.
			if err := os.WriteFile(first.path("workspace")+"/foreign", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := first.ReadFile("foreign"); !fault.Is(err, fault.Invalid) {
				t.Errorf("a file of root: %v", err)
			}
			if f, err := first.ReadFile("got/it"); err != nil || f.Close() != nil {
				t.Error(err)
			}
			// A link in the place of the server's own file leads nowhere.
			must(t, first, `rm "$0"; ln -s $WORKSPACE/app/dir/file "$0"`)
			if got := must(t, first, "cat app/dir/file"); got != "content\n" {
				t.Errorf("%q", got)
			}
		})
	}
}

// TestIsolationOfCaches checks that the steps can use and change a build's copy of a cache, and that nobody but the server can afterwards.
func TestIsolationOfCaches(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	for name, e := range map[string]*Executor{"sandbox": newIsolated(t, t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			generation, layer := filepath.Join(e.dir, "..", "generation"), filepath.Join(e.dir, "..", "npm-0")
			for _, dir := range []string{generation, layer} {
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			for file, mode := range map[string]os.FileMode{"shared": 0o644, "closed": 0o600} {
				if err := errors.Join(os.WriteFile(filepath.Join(generation, file), []byte("kept\n"), mode),
					os.Link(filepath.Join(generation, file), filepath.Join(layer, file))); err != nil {
					t.Fatal(err)
				}
			}
			open := func() *session {
				s := openBuild(t, e)
				s.caches = []executor.Cache{{Tool: "npm", Dir: layer}}
				return s
			}
			use := func(s *session, command string) {
				step := script("cd $npm_config_cache; " + command)
				step.Caches = []string{"npm"}
				var out strings.Builder
				if result, err := s.Run(t.Context(), step, &out); err != nil || !result.Succeeded() {
					t.Errorf("%s: %+v, %v\n%s", command, result, err, &out)
				}
			}
			first := open()
			use(first, "grep kept shared; echo 2 >> closed; mkdir dir; echo new > dir/new; ln -s /etc/passwd link")
			use(first, "grep new dir/new; grep 2 closed")
			must(t, first, "[ -z \"$npm_config_cache\" ]; [ ! -e $WORKSPACE/../cache-npm ]; mkdir -p $WORKSPACE/../cache-npm/in/the/way")
			use(first, "grep new dir/new")
			if os.Geteuid() == 0 { // as steps can where the kernel does not protect links
				_, back, err := first.bring(t.Context(), first.caches[0])
				if err != nil {
					t.Fatal(err)
				}
				for name, mode := range map[string]os.FileMode{"secret": 0o600, "program": 0o4755} {
					foreign := filepath.Join(e.dir, "..", name)
					if err := errors.Join(os.WriteFile(foreign, []byte("a secret\n"), 0o600), os.Chmod(foreign, mode),
						os.Link(foreign, filepath.Join(first.dir, "cache-npm", name))); err != nil {
						t.Fatal(err)
					}
				}
				if err := back(); err != nil {
					t.Fatal(err)
				}
				for _, name := range []string{"secret", "program"} {
					if _, err := os.Lstat(filepath.Join(layer, name)); !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("%s, which is not this build's, is in the cache: %v", name, err)
					}
				}
			}
			if content, err := os.ReadFile(filepath.Join(generation, "closed")); err != nil || string(content) != "kept\n" {
				t.Errorf("the cache itself was changed: %q, %v", content, err)
			}
			for _, file := range []string{".", "dir", "dir/new", "closed", "link"} {
				if info, err := os.Lstat(filepath.Join(layer, file)); err != nil || !(owner{}).owns(info) {
					t.Errorf("%s is not the server's: %v", file, err)
				}
			}
			use(open(), "grep new dir/new; grep kept shared; rm -rf $npm_config_cache; ! [ -e $npm_config_cache ]")
			if _, err := os.Lstat(layer); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the step's copy is still there: %v", err)
			}
		})
	}
}

// TestIsolationPlanted checks that git, which is not kept from anything, never obeys a repository that a step put where a submodule will be.
func TestIsolationPlanted(t *testing.T) {
	t.Parallel()
	repositories := t.TempDir()
	lib := sourcetest.New(t, repositories+"/lib")
	lib.Write("lib.txt", "library")
	lib.Commit("library")
	app := sourcetest.New(t, repositories+"/app")
	app.Git("submodule", "--quiet", "add", "../lib", "sub/lib")
	app.Commit("app")
	checkout := plan.Step{Checkout: &plan.Checkout{URL: app.URL(), Branch: "main", Submodules: true}}
	for name, e := range map[string]*Executor{"sandbox": newIsolated(t, repositories)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openBuild(t, e)
			must(t, s, "mkdir -p sub/lib; cd sub/lib; git init --quiet .; git -c user.name=x -c user.email=x commit --quiet --allow-empty -m x; git remote add origin "+lib.URL()+"; git config filter.planted.smudge 'touch "+repositories+"/obeyed; cat'; echo '* filter=planted' > .git/info/attributes")
			var out strings.Builder
			if result, err := s.Run(t.Context(), checkout, &out); err != nil || !result.Succeeded() {
				t.Errorf("%+v, %v\n%s", result, err, &out)
			}
			if _, err := os.Stat(repositories + "/obeyed"); err == nil {
				t.Error("git ran what the step wanted")
			}
			must(t, s, "test -f sub/lib/.git; test -e sub/lib/lib.txt; git -C sub/lib log --oneline | grep library")
		})
	}
}

// TestNothingIsHandedOn checks that a build finds nothing of an earlier one, whatever that has left, and runs on nothing that it had: no
// supervisor, sandbox, pipe or directory.
func TestNothingIsHandedOn(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]*Executor{"plain": newExecutor(t, t.TempDir()), "sandbox": newIsolated(t, t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			had := map[*supervisor]bool{}
			run := func(command string) (out string) {
				opened, err := e.Open(t.Context(), executor.Build{Record: uuid.NewString()})
				if err != nil {
					t.Fatal(err)
				}
				s := opened.(*session)
				if had[s.supervisor] {
					t.Errorf("%s: an earlier build had the supervisor", command)
				}
				had[s.supervisor] = true
				out = must(t, s, command)
				if err := s.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				if !s.supervisor.closed {
					t.Errorf("%s: the supervisor is still there", command)
				}
				return out
			}
			// What has no name is looked for by all builds: none may find what another has left.
			const look = "ls -A $WORKSPACE $HOME $TMPDIR | grep -v :; cat /proc/[0-9]*/comm 2>/dev/null | grep left-behin[d] || true; ls -A $WORKSPACE/.."
			const lookInside = look + "; ls -A /tmp /var/tmp /dev/shm; cat /proc/sysvipc/*"
			traces := map[string][]string{look: {
				"true", "echo x | tee trace $HOME/trace $TMPDIR/trace $WORKSPACE/../trace", "mkdir -p trace/in; chmod 0 trace; chmod 0 $WORKSPACE/..",
				"cp $(command -v sleep) left-behind; setsid ./left-behind 1000 < /dev/null > /dev/null 2>&1 &",
			}}
			if name == "sandbox" {
				traces[lookInside] = append(slices.Clone(traces[look]),
					"echo x > /tmp/.trace", "mkdir -p /var/tmp/d/trace; chmod 0 /var/tmp/d", "echo x > /dev/shm/trace", "ipcmk -M 100", "ipcmk -S 1", "ipcmk -Q",
				)
				delete(traces, look)
			}
			for look, commands := range traces {
				want := run(look)
				for _, command := range commands {
					run(command)
					if found := run(look); found != want {
						t.Errorf("after %q the next build finds %q, want %q", command, found, want)
					}
				}
			}
		})
	}
}

// TestOutputIsOfOneCommand checks that what a command does to the pipe that it prints to, or passes on, concerns no later one.
func TestOutputIsOfOneCommand(t *testing.T) {
	t.Parallel()
	needs.Program(t, "python3")
	for name, e := range map[string]*Executor{"plain": newExecutor(t, t.TempDir()), "sandbox": newIsolated(t, t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openBuild(t, e)
			const flags = `import fcntl; print(fcntl.fcntl(0, fcntl.F_GETFL), fcntl.fcntl(1, fcntl.F_GETFL), fcntl.fcntl(2, fcntl.F_GETOWN))`
			want := must(t, s, "python3 -c '"+flags+"'; readlink /proc/self/fd/1 > pipe")
			must(t, s, "python3 -c 'import fcntl, os\nfor f in range(3): fcntl.fcntl(f, fcntl.F_SETFL, fcntl.fcntl(f, fcntl.F_GETFL) | os.O_NONBLOCK | os.O_APPEND); fcntl.fcntl(f, fcntl.F_SETOWN, os.getpid())'")
			if got := must(t, s, "python3 -c '"+flags+"'; [ $(cat pipe) != $(readlink /proc/self/fd/1) ]"); got != want {
				t.Errorf("the next command has files with the flags %s, want %s", got, want)
			}
			if got := must(t, s, "echo by name > /dev/stdout; echo error > /proc/self/fd/2"); got != "by name\nerror\n" {
				t.Errorf("a command printed %q", got)
			}
			if got := must(t, s, "seq 1 200000 | tail -c 500000"); len(got) != 500000 {
				t.Errorf("%d bytes arrived", len(got))
			}
		})
	}
}

// TestOutputOfAStranger has somebody else hold the pipe of a command: the command ends all the same, and the stranger writes to nobody.
func TestOutputOfAStranger(t *testing.T) {
	t.Parallel()
	o, err := newOutput(owner{})
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(o.writer.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	stranger := os.NewFile(uintptr(fd), "stranger")
	defer stranger.Close()
	if _, err := stranger.WriteString("before the end\n"); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	o.finish()
	if err := errors.Join(o.started(), o.copyTo(&out, func() {}), o.close()); err != nil || out.String() != "before the end\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if _, err := stranger.WriteString("after it\n"); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("somebody reads what a stranger writes: %v", err)
	}
}

// TestUsersAreOfOneBuild checks that no two open builds have a user, and that one is waited for.
func TestUsersAreOfOneBuild(t *testing.T) {
	t.Parallel()
	p := newUserPool(Users{First: 5, Last: 6})
	first, err1 := p.take(t.Context())
	second, err2 := p.take(t.Context())
	if err := errors.Join(err1, err2); err != nil || first == second {
		t.Errorf("%v, %v, %v", first, second, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if third, err := p.take(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v", third, err)
	}
	p.leave(first)
	if third, err := p.take(t.Context()); err != nil || third != first {
		t.Errorf("%v, %v", third, err)
	}
}

func TestIsolationRequired(t *testing.T) {
	t.Parallel()
	path := t.TempDir() // without bubblewrap
	if err := os.Symlink("/bin/sh", path+"/sh"); err != nil {
		t.Fatal(err)
	}
	users := testUsers()
	for _, want := range []Want{Auto, Require} {
		e, err := New(Config{Dir: t.TempDir(), Path: path, Isolation: Isolation{Want: want, Users: users}})
		if err == nil {
			err = e.Close()
			t.Errorf("%s: an executor was made, %v", want, err)
			continue
		}
		for _, say := range []string{"--sandbox " + string(want), "install the package bubblewrap", "--executor container", "--sandbox off"} {
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), say) {
				t.Errorf("%s: %v does not say %q", want, err, say)
			}
		}
	}
	e, err := New(Config{Dir: t.TempDir(), Path: path, Isolation: Isolation{Want: Try, Users: users}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	if gaps := strings.Join(e.Gaps(), "\n"); !strings.Contains(gaps, "install the package bubblewrap") {
		t.Errorf("the gaps are %q", gaps)
	}
	must(t, openBuild(t, e), "true")
}

// TestIsolationRefuses checks what cannot be asked for.
func TestIsolationRefuses(t *testing.T) {
	t.Parallel()
	needs.Program(t, "bwrap")
	private, users := outside(t), testUsers()
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	for say, want := range map[string]Isolation{
		"--sandbox-paths: " + private + " is private":            {Private: []string{private}, Show: []string{private}},
		"--sandbox-paths: " + private + "/below is private":      {Private: []string{private}, Show: []string{private + "/below"}},
		"--sandbox-paths: " + home + " is private":               {Show: []string{home}},
		"--sandbox-paths: must be files or directories that are": {Show: []string{private + "/none"}},
		"--sandbox-paths: must not be /proc":                     {Show: []string{"/proc/1"}},
		"--sandbox-paths: must not be /tmp":                      {Show: []string{"/tmp"}},
	} {
		if err := os.MkdirAll(private+"/below", 0o755); err != nil { //nolint:gosec // its mode is not to protect it
			t.Fatal(err)
		}
		want.Want, want.Users = Auto, users
		if e, err := New(Config{Dir: t.TempDir(), Path: os.Getenv("PATH"), Isolation: want}); err == nil {
			t.Errorf("%q: it was not refused, %v", say, e.Close())
		} else if !strings.Contains(err.Error(), say) {
			t.Errorf("%v, want %q", err, say)
		}
	}
	if os.Geteuid() != 0 {
		return
	}
	for say, want := range map[string]Isolation{
		"--build-users: are 1000, and 1001 builds run at a time (--slots)": {Users: users, Builds: 1001},
		"--build-users: there is nobody":                                   {},
	} {
		want.Want = Auto
		if e, err := New(Config{Dir: t.TempDir(), Path: os.Getenv("PATH"), Isolation: want}); err == nil {
			t.Errorf("%q: it was not refused, %v", say, e.Close())
		} else if !strings.Contains(err.Error(), say) {
			t.Errorf("%v, want %q", err, say)
		}
	}
}

func TestParseUsers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Users{
		"60600-60855": {First: 60600, Last: 60855}, "1000": {First: 1000, Last: 1000}, "nobody": {First: 65534, Last: 65534, Group: 65534},
		"0": {}, "root": {}, "0-5": {}, "9-5": {}, "5-4294967295": {}, "1-4096": {First: 1, Last: 4096}, "1-4097": {}, "": {}, "-": {}, "no such user": {},
	} {
		got, err := ParseUsers(text)
		if got != want || (err == nil) != (want != Users{}) {
			t.Errorf("ParseUsers(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
}
