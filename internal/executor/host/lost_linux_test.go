package host

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"atelier/internal/executor"
	"atelier/internal/needs"
	"atelier/internal/plan"
)

// tether is a pipe that every process of a step holds: it ends when the last of them does.
type tether struct{ name string }

func newTether(t *testing.T) tether {
	t.Helper()
	name := filepath.Join(t.TempDir(), "tether")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return tether{name}
}

// param is how a step finds the pipe.
func (p tether) param() plan.Param { return plan.Param{Name: "TETHER", Value: p.name} }

// wicked is a step all of whose processes hold the tether. They do not want to end, and some cannot be recognized.
const wicked = `exec 9> "$TETHER"
trap '' TERM
sleep 1001 &
setsid sleep 1002 &
(setsid env -i PATH="$PATH" sh -c 'trap "" TERM; sleep 1003 & sleep 1003' > /dev/null 2>&1 &)
f() { if [ $1 -gt 0 ]; then f $(($1-1)) & f $(($1-1)) & fi; sleep 1004; }
f 6 &
`

// hold opens the pipe. The returned function waits until nobody else holds it.
func (p tether) hold(t *testing.T) (gone func()) {
	t.Helper()
	file, err := os.OpenFile(p.name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return func() {
		t.Helper()
		_ = file.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.Copy(io.Discard, file); err != nil {
			t.Errorf("processes of the step are left: %v", err)
		}
	}
}

func TestSupervisorKilled(t *testing.T) {
	t.Parallel()
	for _, signal := range []string{"KILL", "TERM"} {
		pipe := newTether(t)
		s := openBuild(t, newExecutor(t, t.TempDir()), pipe.param())
		gone := pipe.hold(t)
		if _, err := s.Run(t.Context(), script(strings.ReplaceAll(wicked, "setsid env -i", "env -i")+"kill -"+signal+" $PPID; sleep 1000"), io.Discard); !errors.Is(err, executor.ErrLost) {
			t.Errorf("%v, want %v", err, executor.ErrLost)
		}
		gone()
		if _, err := s.Run(t.Context(), script("true"), io.Discard); !errors.Is(err, executor.ErrLost) {
			t.Errorf("after that: %v, want %v", err, executor.ErrLost)
		}
	}
}

// A step may stop the supervisor, so that it does nothing any more. That must not keep the build from ending.
func TestSupervisorStopped(t *testing.T) {
	t.Parallel()
	e := newExecutor(t, t.TempDir())
	e.patience = 100 * time.Millisecond
	pipe := newTether(t)
	s := openBuild(t, e, pipe.param())
	gone := pipe.hold(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := s.Run(ctx, script(`exec 9> "$TETHER"; sleep 1000 & setsid sleep 1000 & kill -STOP $PPID; wait`), io.Discard); !errors.Is(err, executor.ErrLost) {
		t.Error(err)
	}
	gone()
}

func TestEverythingEndsWithTheBuild(t *testing.T) {
	t.Parallel()
	pipe := newTether(t)
	s := openBuild(t, newExecutor(t, t.TempDir()), pipe.param())
	gone := pipe.hold(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := s.Run(ctx, script(wicked+"wait"), io.Discard); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	gone()
}

// serveIn names the variable that makes the test program a server with a build, which somebody will kill.
const serveIn = "ATELIER_TEST_SERVE_IN"

// serveIsolated says that steps of that server are isolated.
const serveIsolated = "ATELIER_TEST_SERVE_ISOLATED"

func serve(dir string) {
	e, err := makeExecutor(dir, "/")
	if err == nil && os.Getenv(serveIsolated) != "" {
		err = e.isolate(Isolation{Want: Auto, Users: testUsers()})
	}
	if err != nil {
		panic(err)
	}
	record := uuid.NewString()
	s, err := e.Open(context.Background(), executor.Build{Record: record, Env: []plan.Param{{Name: "TETHER", Value: filepath.Join(e.insideDir(record), "tether")}}})
	if err != nil {
		panic(err)
	}
	name := filepath.Join(e.BuildDir(record), "tether")
	if err := errors.Join(syscall.Mkfifo(name, 0o600), s.(*session).owner.give(s.(*session).buildDir, "tether")); err != nil {
		panic(err)
	}
	fmt.Println(filepath.Join(e.BuildDir(record), "workspace"))
	_, err = s.Run(context.Background(), script(wicked+"echo ready; wait"), os.Stdout)
	panic(err)
}

// startServer starts a server and waits until its build runs. The returned function waits until nothing of the build does.
func startServer(t *testing.T, dir string, env ...string) (server *exec.Cmd, workspace string, gone func()) {
	t.Helper()
	server = exec.Command("/proc/self/exe")
	server.Env = append(append(os.Environ(), serveIn+"="+dir), env...)
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	lines := bufio.NewScanner(out)
	workspace = readLine(t, lines)
	gone = tether{filepath.Join(filepath.Dir(workspace), "tether")}.hold(t)
	if got := readLine(t, lines); got != "ready" {
		t.Fatalf("the build printed %q", got)
	}
	return server, workspace, gone
}

func readLine(t *testing.T, lines *bufio.Scanner) string {
	t.Helper()
	if !lines.Scan() {
		t.Fatalf("the server printed no more: %v", lines.Err())
	}
	return lines.Text()
}

func TestServerKilled(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{"plain": nil, "isolated": {serveIsolated + "=yes"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if env != nil {
				needs.Program(t, "bwrap")
			}
			dir := t.TempDir()
			server, workspace, gone := startServer(t, dir, env...)
			if err := server.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			gone() // before anybody recovers

			e, err := makeExecutor(dir, "/")
			if err == nil && env != nil {
				err = e.isolate(Isolation{Want: Auto, Users: testUsers()})
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(e.Recover(t.Context()), e.Close()); err != nil {
				t.Error(err)
			}
			if e.groups != nil {
				for _, dir := range e.groups.dirs {
					if _, err := os.Stat(dir); !os.IsNotExist(err) {
						t.Errorf("the groups of %s are still there: %v", dir, err)
					}
				}
			}
			if _, err := os.Stat(filepath.Dir(workspace)); !os.IsNotExist(err) {
				t.Error("the build's directory is still there:", err)
			}
		})
	}
}

// When the supervisor is killed together with the server, recovery has only the marker to go by.
func TestServerAndSupervisorKilled(t *testing.T) {
	t.Parallel()
	e, record := newExecutor(t, "/"), uuid.NewString()
	if err := os.Mkdir(filepath.Join(e.dir, record), 0o700); err != nil {
		t.Fatal(err)
	}
	// What is left then is such a process: an orphan in a session of its own, with the variable. Another one is there without it.
	pipe := newTether(t)
	gone := pipe.hold(t)
	orphan := exec.Command("/bin/sh", "-c", `env -i /bin/sh -c 'echo ready; exec sleep 1001' 9> "$1" & exec sleep 1000`, "sh", pipe.name)
	out, err := orphan.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	orphan.Env, orphan.SysProcAttr = []string{marker + "=" + record}, &syscall.SysProcAttr{Setsid: true}
	bystander := exec.Command("sleep", "1000")
	bystander.Env = []string{marker + "=" + record + "0"}
	for _, c := range []*exec.Cmd{orphan, bystander} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if got := readLine(t, bufio.NewScanner(out)); got != "ready" {
		t.Fatalf("it printed %q", got)
	}
	if err := e.Recover(t.Context()); err != nil {
		t.Error(err)
	}
	gone()
	var exit *exec.ExitError
	if err := orphan.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("the orphan: %v", err)
	}
	if err := bystander.Process.Kill(); err != nil {
		t.Errorf("the process of another build is gone: %v", err)
	}
	_ = bystander.Wait()
}

// Of a build whose processes could not be ended nothing is removed, and that may be tried again.
func TestEndFails(t *testing.T) {
	t.Parallel()
	s := openBuild(t, newExecutor(t, t.TempDir()))
	over, cancel := context.WithCancel(t.Context())
	cancel() // there is no time to see them end
	for _, try := range []func(context.Context) error{s.End, s.Close} {
		left := exec.Command("sleep", "1000")
		left.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := left.Start(); err != nil {
			t.Fatal(err)
		}
		s.unsweptSessions = append(s.unsweptSessions, left.Process.Pid)
		if err := try(over); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
		if !isDir(s.dir) {
			t.Fatal("the build's directory has been removed")
		}
		_ = left.Wait()
	}
	if err := s.Close(t.Context()); err != nil || isDir(s.dir) {
		t.Errorf("the directory is there: %v, %v", isDir(s.dir), err)
	}
}

// The contract must hold as well for a server that is not root. The test program is started again as somebody else.
func TestUnprivileged(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("this is not root already")
	}
	dir, err := os.MkdirTemp("/tmp", "unprivileged")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	const nobody = 65534
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Not by this process: a child that it forks meanwhile would hold the file open for writing, and nobody could start it.
	if out, err := exec.Command("install", "-m", "755", program, dir+"/test").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	again := exec.Command(dir+"/test", "-test.run=^(TestContract|TestRecover|TestServerKilled|TestSupervisorKilled|TestContractSandbox|TestIsolation.*)$", "-test.timeout=200s")
	again.Dir, again.Env = dir, append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	again.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := again.CombinedOutput(); err != nil || !bytes.HasSuffix(out, []byte("PASS\n")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// A supervisor that was killed while it waited for a build serves none.
func TestKilledWhileItWaits(t *testing.T) {
	t.Parallel()
	e := newExecutor(t, t.TempDir())
	e.supervisors.refill()
	e.supervisors.making.Wait()
	killed := <-e.supervisors.ready
	if err := killed.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, killed.control); err != nil { // until it is gone
		t.Fatal(err)
	}
	e.supervisors.ready <- killed
	s := openBuild(t, e)
	if must(t, s, "true"); s.supervisor == killed {
		t.Error("a build has a supervisor that was killed")
	}
}

// What is left of a supervisor that does not end by itself is killed after a while.
func TestSupervisorLeftBehind(t *testing.T) {
	t.Parallel()
	e := newExecutor(t, "/")
	e.patience = 500 * time.Millisecond
	left, err := startSupervisor(e.dir, e.patience)
	if err != nil {
		t.Fatal(err)
	}
	if err := left.process.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- left.process.Wait() }()
	if err := e.Recover(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("it ended with %v", err)
	}
	left.control.Close()
}

// What kills the processes that a step leaves behind spares the next step, also when they have ended by themselves meanwhile.
func TestNextStepIsSpared(t *testing.T) {
	t.Parallel()
	s := openBuild(t, newExecutor(t, "/"))
	for range 500 { // it happens by chance
		must(t, s, ": &")
	}
}
