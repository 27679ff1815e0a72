package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"atelier/internal/executor"
	"atelier/internal/executor/container/podmantest"
	"atelier/internal/fault"
	"atelier/internal/plan"
	"atelier/internal/source/sourcetest"
)

func script(command string) plan.Step { return plan.Step{Script: &plan.Script{Command: command}} }

func openBuild(t *testing.T, e *Executor, build executor.Build) *session {
	t.Helper()
	build.Record = uuid.NewString()
	s, err := e.Open(t.Context(), build)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s.(*session)
}

// run runs a step that the executor has to be able to run.
func run(t *testing.T, s *session, step plan.Step) (executor.Result, string) {
	t.Helper()
	var out strings.Builder
	result, err := s.Run(t.Context(), step, &out)
	if err != nil {
		t.Fatal(err)
	}
	return result, out.String()
}

// must runs a script that has to succeed, and returns what it printed.
func must(t *testing.T, s *session, command string) string {
	t.Helper()
	result, out := run(t, s, script(command))
	if !result.Succeeded() {
		t.Fatalf("%s: %+v\n%s", command, result, out)
	}
	return out
}

func TestContainers(t *testing.T) {
	t.Parallel()
	engine := podmantest.Start(t)
	for name, test := range map[string]func(*testing.T, *podmantest.Engine){
		"one for each step":           testOneEach,
		"images":                      testImage,
		"the shell of the image":      testShell,
		"no privileges":               testPrivileges,
		"limits":                      testLimits,
		"memory":                      testMemory,
		"the environment":             testEnvironment,
		"parameters":                  testTooLarge,
		"the network":                 testNetwork,
		"a planted repository":        testPlanted,
		"a container that is removed": testRemoved,
		"a container that is refused": testRefused,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, engine) })
	}
}

func testOneEach(t *testing.T, engine *podmantest.Engine) {
	s := openBuild(t, newExecutor(t, engine, t.TempDir()), executor.Build{})
	must(t, s, "touch /etc/in-the-container in-the-workspace \"$HOME/in-the-home\" \"$TMPDIR/in-tmp\"")
	must(t, s, "test ! -e /etc/in-the-container; test -e in-the-workspace; test -e \"$HOME/in-the-home\"; test -e \"$TMPDIR/in-tmp\"")
	if _, err := os.Stat(s.path("script")); !errors.Is(err, os.ErrNotExist) {
		t.Error("the script is still there:", err)
	}
	must(t, s, `! echo changed > "$0"; ! rm -f "$0"; ! touch "$WORKSPACE/../more" || ! test -e "$WORKSPACE/../script.new"`)
	if _, err := os.Stat(s.path("more")); err == nil {
		t.Error("a step wrote beside its workspace")
	}
}

func testImage(t *testing.T, engine *podmantest.Engine) {
	s := openBuild(t, newExecutor(t, engine, t.TempDir()), executor.Build{})
	for _, c := range []struct{ keyword, image, want string }{
		{"sh", "", "bash"},
		{"npm", "", "sh"},
		{"npm", "cloudbuild@tools", "bash"},
		{"sh", "small", "sh"},
		{"sh", podmantest.Small, "sh"},
	} {
		step := script("[ -n \"$BASH_VERSION\" ] && echo bash || echo sh")
		step.Keyword, step.Image = c.keyword, c.image
		if result, out := run(t, s, step); !result.Succeeded() || strings.TrimSpace(out) != c.want {
			t.Errorf("%+v: %+v %q", c, result, out)
		}
	}
	for image, want := range map[string]string{
		"cloudbuild@cobol": `there is no image called "cobol" here; there are small, tools.`,
		"cobol":            `there is no image called "cobol" here; there are small, tools.`,
		"a/B c":            `"a/B c" is not the address of an image`,
	} {
		step := script("true")
		step.Image = image
		if _, err := s.Run(t.Context(), step, io.Discard); !fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", image, err)
		}
		if _, err := s.executor.Open(t.Context(), executor.Build{Record: "refused", Images: []string{"tools", image}}); !fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("open with %s: %v", image, err)
		}
	}
	step := script("true")
	step.Image = "localhost/missing/image:2"
	if result, _ := run(t, s, step); result.ExitCode != 1 || result.Reason != "the image localhost/missing/image:2 is not on the machine, and this service is set to pull none" {
		t.Errorf("%+v", result)
	}
}

// testShell checks with several shells what the first process of a container does for the others.
func testShell(t *testing.T, engine *podmantest.Engine) {
	e := newExecutor(t, engine, t.TempDir())
	for _, shell := range []string{"busybox", "dash", "bash"} {
		image := "localhost/atelier/sh-" + shell + ":1"
		engine.Import(t, image, shell, "busybox", shell)
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			s := openBuild(t, e, executor.Build{})
			orphans := from(image)
			orphans.Script = &plan.Script{Command: "for i in 1 2 3; do (sleep 0.01 &); done; while ps -o stat,args | grep -E '^Z|sleep 0[.]01' | grep -v grep; do sleep 0.05; done; exit 3"}
			if result, out := run(t, s, orphans); result.ExitCode != 3 {
				t.Errorf("%+v\n%s", result, out)
			}

			reason := errors.New("somebody asked")
			ctx, cancel := context.WithCancelCause(t.Context())
			out := &signal{text: "ready\n", seen: func() { cancel(reason) }}
			polite := from(image)
			polite.Script = &plan.Script{Command: "trap 'sleep 0.05; echo bye; exit 0' TERM; (trap 'sleep 0.1; echo bye; exit 0' TERM; touch in; while :; do sleep 0.01; done) & " +
				"until [ -e in ]; do sleep 0.01; done; echo ready; while :; do sleep 0.01; done"}
			if _, err := s.Run(ctx, polite, out); !errors.Is(err, reason) || strings.Count(out.all.String(), "bye\n") != 2 {
				t.Errorf("%v, %s", err, &out.all)
			}
		})
	}

	const none = "localhost/atelier/no-sh:1"
	engine.Import(t, none, "", "busybox")
	if result, out := run(t, openBuild(t, e, executor.Build{}), from(none)); result.ExitCode == 0 || result.Reason != "the image has no program sh, with which steps are run" {
		t.Errorf("%+v\n%s", result, out)
	}
}

func testPrivileges(t *testing.T, engine *podmantest.Engine) {
	s := openBuild(t, newExecutor(t, engine, t.TempDir()), executor.Build{})
	got := must(t, s, "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status")
	want := "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n" +
		"CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	must(t, s, "! mount -t tmpfs none /tmp; ! mknod device c 1 3; ! chown 1 .; ! hostname other; ! kill -KILL 1 || true; test -e /proc/1")
}

func testLimits(t *testing.T, engine *podmantest.Engine) {
	e := newExecutor(t, engine, t.TempDir())
	s := openBuild(t, e, executor.Build{Resource: plan.Resource{Class: "8U16G"}})
	if err := os.WriteFile(s.path("script"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := s.create(t.Context(), podmantest.Tools, s.path("script"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := engine.Podman(t, "inspect", "--format", "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}", c.id)
	if want := fmt.Sprintf("%[1]d %[1]d %[2]d000000000 %[3]d", 16*gibibyte, min(8, e.cpus), maxProcesses); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if _, err := e.Open(t.Context(), executor.Build{Record: "a", Resource: plan.Resource{Class: "1U1G"}}); !fault.Is(err, fault.Invalid) ||
		!strings.Contains(err.Error(), "16U32G, 16U64G, 2U8G, 4U8G, 8U16G") {
		t.Error(err)
	}
}

func testMemory(t *testing.T, engine *podmantest.Engine) {
	e := newExecutor(t, engine, t.TempDir())
	e.classes = map[string]class{defaultClass: {"tiny", 1, 64 << 20}}
	s := openBuild(t, e, executor.Build{})
	result, out := run(t, s, script("set -o pipefail; head -c 256m /dev/zero | tail -c 255m | wc -c; echo done"))
	if result.Succeeded() || result.Reason != "it needed more memory than its class tiny (0.0625 GiB) allows" {
		t.Errorf("%+v\n%s", result, out)
	}
	must(t, s, "true")
}

func testEnvironment(t *testing.T, engine *podmantest.Engine) {
	s := openBuild(t, newExecutor(t, engine, t.TempDir()), executor.Build{Env: []plan.Param{{Name: "TERM", Value: "xterm"}, {Name: "WORKSPACE", Value: "/elsewhere"}}})
	want := []string{
		"HOME=" + s.dir + "/home", "TMPDIR=" + s.dir + "/tmp", "LANG=C.UTF-8", "TERM=xterm", "CI=true",
		"WORKSPACE=" + s.dir + "/workspace", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
	got := "\n" + must(t, s, "env")
	for _, variable := range want {
		if !strings.Contains(got, "\n"+variable+"\n") {
			t.Errorf("%s is missing from%s", variable, got)
		}
	}
}

func testTooLarge(t *testing.T, engine *podmantest.Engine) {
	var env []plan.Param
	for i := range 60 {
		env = append(env, plan.Param{Name: "P" + strings.Repeat("x", i), Value: strings.Repeat("x", 120<<10)})
	}
	s := openBuild(t, newExecutor(t, engine, t.TempDir()), executor.Build{Env: env})
	var out strings.Builder
	if result, err := s.Run(t.Context(), script("true"), &out); err != nil || result.Succeeded() || !strings.Contains(out.String(), "argument list too long") {
		t.Error(result, err, out.String())
	}
}

func testNetwork(t *testing.T, engine *podmantest.Engine) {
	devices := func(network string) string {
		s := openBuild(t, newExecutor(t, engine, t.TempDir(), func(c *Config) { c.Network = network }), executor.Build{})
		return must(t, s, "cat /proc/net/dev")
	}
	host, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	_, err = New(t.Context(), Config{Dir: t.TempDir(), Socket: engine.Socket, Network: "unheard-of"})
	if err == nil || !strings.Contains(err.Error(), "find the network unheard-of") {
		t.Error(err)
	}
	if got := devices("none"); strings.Count(got, ":") != 1 || !strings.Contains(got, "lo:") {
		t.Errorf("without a network there is\n%s", got)
	}
	if got := devices("host"); strings.Count(got, ":") != strings.Count(string(host), ":") {
		t.Errorf("with the host's network there is\n%s", got)
	}
}

// testPlanted checks that git never obeys a repository that a step put where a submodule will be.
func testPlanted(t *testing.T, engine *podmantest.Engine) {
	repositories := t.TempDir()
	lib := sourcetest.New(t, repositories+"/lib")
	lib.Write("lib.txt", "library")
	lib.Commit("library")
	app := sourcetest.New(t, repositories+"/app")
	app.Git("submodule", "--quiet", "add", "../lib", "sub/lib")
	app.Commit("app")
	s := openBuild(t, newExecutor(t, engine, repositories), executor.Build{})
	must(t, s, "mkdir -p in/sub/lib; cd in/sub/lib; git init --quiet .; git config core.fsmonitor 'touch "+repositories+"/obeyed; false'")
	checkout := plan.Step{Checkout: &plan.Checkout{URL: app.URL(), Branch: "main", Submodules: true, Path: "in"}}
	if result, out := run(t, s, checkout); !result.Succeeded() {
		t.Errorf("%+v\n%s", result, out)
	}
	if _, err := os.Stat(repositories + "/obeyed"); err == nil {
		t.Error("git ran what the step wanted")
	}
	must(t, s, "rm -rf in; ln -s / out; mkdir -p ok/deep")
	checkout.Checkout.Path = "out/tmp"
	if result, out := run(t, s, checkout); result.ExitCode != 1 || !strings.Contains(result.Reason, "leads out of the workspace") {
		t.Errorf("%+v\n%s", result, out)
	}
	checkout.Checkout.Path = "ok"
	if result, out := run(t, s, checkout); !result.Succeeded() {
		t.Errorf("%+v\n%s", result, out)
	}
	must(t, s, "test -e ok/sub/lib/lib.txt")
}

// testRemoved checks that a step whose container an operator removes has an end that is none of its own, and that its build can be closed.
func testRemoved(t *testing.T, engine *podmantest.Engine) {
	s := openBuild(t, newExecutor(t, engine, t.TempDir()), executor.Build{})
	out := &signal{text: "ready\n", seen: func() {
		engine.Podman(t, "rm", "--force", "--time=0", strings.Join(engine.Labelled(t, labelRecord, s.record), " "))
	}}
	// How much of the end can still be asked for depends on the moment.
	if result, err := s.Run(t.Context(), script("echo ready; sleep 1000"), out); !errors.Is(err, executor.ErrLost) && (err != nil || result.ExitCode != 128+9) {
		t.Error(result, err)
	}
}

// testRefused checks that a build says why the engine did not run a step.
func testRefused(t *testing.T, engine *podmantest.Engine) {
	e := newExecutor(t, engine, t.TempDir())
	e.classes = map[string]class{defaultClass: {defaultClass, 1, 1}} // less than any container needs
	s := openBuild(t, e, executor.Build{})
	_, err := s.Run(t.Context(), script("true"), io.Discard)
	if why, public := fault.Public(err); !public || errors.Is(err, executor.ErrLost) || !strings.Contains(why, "The container engine could not ") {
		t.Error(why, err)
	}
}

// signal tells, once, when a text is printed.
type signal struct {
	all  strings.Builder // not embedded: WriteString would go past Write
	text string
	seen func()
}

func (s *signal) Write(p []byte) (int, error) {
	n, err := s.all.Write(p)
	if s.seen != nil && strings.Contains(s.all.String(), s.text) {
		s.seen()
		s.seen = nil
	}
	return n, err
}

func TestRecover(t *testing.T) {
	t.Parallel()
	engine := podmantest.Start(t)
	e := newExecutor(t, engine, t.TempDir())
	stranger := newExecutor(t, engine, t.TempDir())
	kept := openBuild(t, stranger, executor.Build{})
	left := openBuild(t, e, executor.Build{})
	var ids []string
	for _, s := range []*session{left, left, kept} { // as a server leaves them that is killed
		if err := os.WriteFile(s.path("script"), []byte("sleep 1000"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := s.create(t.Context(), podmantest.Tools, s.path("script"), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, c.id)
	}
	engine.Podman(t, "start", ids[0], ids[2])
	// The supervisors of a server that was killed end by themselves.
	if err := errors.Join(left.files.Close(t.Context()), e.host.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(left.dir, "workspace"), 0o700); err != nil {
		t.Fatal(err)
	}
	next, err := New(t.Context(), e.config)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	for range 2 {
		if err := next.Recover(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if got := engine.Containers(t); len(got) != 1 || !strings.HasPrefix(ids[2], got[0]) {
		t.Errorf("there are the containers %v, want the one of another server, %s", got, ids[2])
	}
	if _, err := os.Stat(left.dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("the build's directory is still there:", err)
	}
}

func TestEngineIsRestarted(t *testing.T) {
	t.Parallel()
	engine := podmantest.Start(t)
	e := newExecutor(t, engine, t.TempDir())
	s := openBuild(t, e, executor.Build{})
	out := &signal{text: "ready\n", seen: engine.Stop}
	if result, err := s.Run(t.Context(), script("echo ready; sleep 1000"), out); !errors.Is(err, executor.ErrLost) {
		t.Error(result, err)
	}
	gone, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Close(gone); err == nil {
		t.Error("a build was closed without its engine")
	}
	if _, err := e.Open(t.Context(), executor.Build{Record: "another"}); !fault.Is(err, fault.Unavailable) {
		t.Error("a build was opened without an engine:", err)
	}
	closed := make(chan error)
	go func() { closed <- s.Close(t.Context()) }()
	engine.Restart(t)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if left := engine.Containers(t); len(left) != 0 {
		t.Errorf("the containers %v are left", left)
	}
}

func TestEngineThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "none.sock")
	_, err := New(t.Context(), Config{Dir: filepath.Join(dir, "builds"), Socket: socket})
	if err == nil || !strings.Contains(err.Error(), "the container engine at "+socket+" cannot be used") {
		t.Error(err)
	}
}
