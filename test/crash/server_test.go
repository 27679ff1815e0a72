// Package crash_test kills the real server process at all sorts of moments, starts it again with the same data, and checks that
// nothing was lost and nothing was left behind.
package crash_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"atelier/internal/crash"
	"atelier/internal/iam/signature"
	"atelier/internal/store/postgrestest"
)

// patience bounds every wait.
const patience = 30 * time.Second

// scratch is where the program is built.
var scratch string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "atelier-crash-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(scratch)
	return postgrestest.Run(m)
}

// program builds the server, with the race detector if the test has it.
var program = sync.OnceValues(func() (string, error) {
	file := filepath.Join(scratch, "atelier")
	args := []string{"build", "-tags", "crashpoints", "-o", file}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "atelier/cmd/atelier")...).CombinedOutput()
	if err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	return file, nil
})

// installation is a data directory with everything that is in it, over all lives of its server.
type installation struct {
	t       *testing.T
	dir     string
	flags   []string
	key     signature.Key // the administrator's
	project string
}

// install makes an installation with a project.
func install(t *testing.T, flags ...string) *installation {
	t.Helper()
	return installIn(t, filepath.Join(t.TempDir(), "data"), flags...)
}

// installIn makes an installation in a directory.
func installIn(t *testing.T, dir string, flags ...string) *installation {
	t.Helper()
	in := &installation{t: t, dir: dir}
	in.flags = append([]string{"--data-dir", in.dir}, flags...)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("correct horse battery staple"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := in.start("--admin-password-file", password)
	in.project = strings.TrimSpace(in.admin("project", "create", "web"))
	in.key = in.makeKey("admin")
	s.stop()
	return in
}

// makeKey makes an access key for a user.
func (in *installation) makeKey(user string) (key signature.Key) {
	in.t.Helper()
	for line := range strings.Lines(in.admin("key", "create", user)) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), "="); name {
		case "HUAWEICLOUD_SDK_AK":
			key.Access = value
		case "HUAWEICLOUD_SDK_SK":
			key.Secret = value
		}
	}
	return key
}

// admin runs an administration command and returns what it prints.
func (in *installation) admin(args ...string) string {
	in.t.Helper()
	cmd := in.command(append([]string{"admin"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		in.t.Fatalf("atelier admin %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

func (in *installation) command(args ...string) *exec.Cmd {
	in.t.Helper()
	file, err := program()
	if err != nil {
		in.t.Fatal(err)
	}
	cmd := exec.Command(file, append(args, in.flags...)...)
	// The tests watch processes of builds by the ids that these print, which are others in a sandbox.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + scratch, "GORACE=atexit_sleep_ms=0", "ATELIER_SANDBOX=off"}
	return cmd
}

// life is one run of the server.
type life struct {
	*installation
	url   string
	cmd   *exec.Cmd
	ended chan struct{}
}

var (
	listening = regexp.MustCompile(`msg=listening url=(\S+)`)
	broken    = regexp.MustCompile(`\bpanic\b|DATA RACE`)
)

// start starts the server and waits until it listens.
func (in *installation) start(flags ...string) *life {
	in.t.Helper()
	s := in.launch("", flags...)
	if s.url == "" {
		in.t.Fatalf("the server did not start: %v", s.cmd.ProcessState)
	}
	return s
}

// launch starts a server that ends at a crash point, or none, and waits until it listens or has ended.
func (in *installation) launch(crashAt string, flags ...string) *life {
	in.t.Helper()
	s := &life{installation: in, cmd: in.command(append([]string{"serve", "--listen", "127.0.0.1:0"}, flags...)...), ended: make(chan struct{})}
	s.cmd.Env = append(s.cmd.Env, crash.Variable+"="+crashAt)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		in.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		in.t.Fatal(err)
	}
	said, url := in.t.Output(), make(chan string, 1)
	go func() {
		defer close(s.ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			_, _ = io.WriteString(said, lines.Text()+"\n")
			if found := listening.FindStringSubmatch(lines.Text()); found != nil {
				url <- found[1]
			}
			if broken.MatchString(lines.Text()) {
				in.t.Errorf("the server says: %s", lines.Text())
			}
		}
		_ = s.cmd.Wait() // ProcessState says it
	}()
	in.t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		s.await()
	})
	select {
	case s.url = <-url:
	case <-s.ended:
	case <-time.After(patience):
		in.t.Fatal("the server does not listen")
	}
	return s
}

// await waits for the end of the server and of every process of its builds that has its standard error, as their supervisors do.
func (s *life) await() {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Error("the server, or something that it started, does not end")
	}
}

// kill ends the server as a power cut would, without a word.
func (s *life) kill() {
	s.t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	s.await()
	if status := s.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGKILL {
		s.t.Errorf("the server ended before it was killed: %v", s.cmd.ProcessState)
	}
}

// stop ends the server in order.
func (s *life) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	s.await()
	if !s.cmd.ProcessState.Success() {
		s.t.Errorf("the server ended with %v", s.cmd.ProcessState)
	}
}
