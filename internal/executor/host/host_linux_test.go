package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"atelier/internal/executor"
	"atelier/internal/executor/executortest"
	"atelier/internal/fault"
	"atelier/internal/needs"
	"atelier/internal/plan"
	"atelier/internal/source"
	"atelier/internal/source/sourcetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveIn); dir != "" {
		serve(dir)
	}
	goleak.VerifyTestMain(m)
}

// newExecutor returns an executor in a directory of the test, with a short grace. At the end nothing of a build may be left.
func newExecutor(t testing.TB, repositories string) *Executor {
	t.Helper()
	e, err := makeExecutor(t.TempDir(), repositories)
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

func makeExecutor(dir, repositories string) (*Executor, error) {
	client, err := source.New(source.Config{
		Policy: source.Policy{FileRoots: []string{repositories}}, Dir: filepath.Join(dir, "mirrors"), Environ: sourcetest.Environ(os.DevNull),
	})
	if err != nil {
		return nil, err
	}
	return New(Config{Dir: filepath.Join(dir, "builds"), Source: client, Path: os.Getenv("PATH"), Grace: 300 * time.Millisecond})
}

func openBuild(t testing.TB, e *Executor, env ...plan.Param) *session {
	t.Helper()
	s, err := e.Open(t.Context(), executor.Build{Record: uuid.NewString(), Env: env})
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

func script(command string) plan.Step { return plan.Step{Script: &plan.Script{Command: command}} }

// must runs a script that has to succeed, and returns what it printed.
func must(t testing.TB, s *session, command string) string {
	t.Helper()
	var out strings.Builder
	if result, err := s.Run(t.Context(), script(command), &out); err != nil || !result.Succeeded() {
		t.Fatalf("%s: %+v, %v\n%s", command, result, err, &out)
	}
	return out.String()
}

func TestContract(t *testing.T) {
	t.Parallel()
	executortest.Run(t, func(t *testing.T, repositories string) executor.Executor { return newExecutor(t, repositories) })
}

func TestEnvironmentIsExactlyThis(t *testing.T) {
	t.Parallel()
	e := newExecutor(t, t.TempDir())
	s := openBuild(t, e, plan.Param{Name: "MINE", Value: "a\nb"}, plan.Param{Name: "TERM", Value: "xterm"},
		plan.Param{Name: "WORKSPACE", Value: "/elsewhere"}, plan.Param{Name: marker, Value: "another"})
	want := []string{
		"PATH=" + os.Getenv("PATH"), "SHELL=" + e.shell, "USER=" + e.user, "LOGNAME=" + e.user, "HOME=" + s.dir + "/home", "TMPDIR=" + s.dir + "/tmp", "LANG=C.UTF-8", "TERM=xterm", "CI=true",
		"MINE=a\nb", "WORKSPACE=" + s.dir + "/workspace", marker + "=" + s.record, "",
	}
	if diff := cmp.Diff(want, strings.Split(must(t, s, "cat /proc/$$/environ"), "\x00")); diff != "" {
		t.Error(diff)
	}
}

func TestParametersTooLargeTogether(t *testing.T) {
	t.Parallel()
	var env []plan.Param
	for i := range 60 {
		env = append(env, plan.Param{Name: fmt.Sprint("P", i), Value: strings.Repeat("x", 120<<10)})
	}
	_, err := openBuild(t, newExecutor(t, t.TempDir()), env...).Run(t.Context(), script("true"), os.Stderr)
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "all together") {
		t.Error(err)
	}
}

func TestFilesOfTheServerAreNotInherited(t *testing.T) {
	t.Parallel()
	s := openBuild(t, newExecutor(t, t.TempDir()))
	got := must(t, s, "for f in /proc/$$/fd/*; do echo \"${f##*/} $(readlink $f)\"; done")
	for line := range strings.Lines(got) {
		fd, target, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case fd == "0" && target == "/dev/null":
		case (fd == "1" || fd == "2") && strings.HasPrefix(target, "pipe:"):
		case target == s.path("script"):
		case target == "" || fd == "3" && strings.HasPrefix(target, "pipe:"): // between this shell and readlink
		default:
			t.Errorf("%s is %s", fd, target)
		}
	}
}

func TestScriptIsForTheBuildAlone(t *testing.T) {
	t.Parallel()
	s := openBuild(t, newExecutor(t, t.TempDir()))
	for range 2 {
		if got := must(t, s, `stat -c '%a %n' "$0" "$WORKSPACE" "$HOME" "$TMPDIR" "$WORKSPACE/.."; ls -A "$WORKSPACE"`); got !=
			fmt.Sprintf("600 %[1]s/script\n700 %[1]s/workspace\n700 %[1]s/home\n700 %[1]s/tmp\n700 %[1]s/workspace/..\n", s.dir) {
			t.Errorf("%s", got)
		}
	}
}

func TestBash(t *testing.T) {
	t.Parallel()
	needs.Program(t, "bash")
	e := newExecutor(t, t.TempDir())
	must(t, openBuild(t, e), "set -o pipefail; [[ -n $BASH_VERSION ]]; [[ $- == *e* ]]")

	sh := t.TempDir() // a host without bash
	for _, program := range []string{"sh", "true"} {
		if err := os.Symlink(e.find(program), sh+"/"+program); err != nil {
			t.Fatal(err)
		}
	}
	plain, err := New(Config{Dir: t.TempDir(), Path: "relative:" + sh})
	if err != nil {
		t.Fatal(err)
	}
	must(t, openBuild(t, plain), "true")
	if _, err := New(Config{Dir: t.TempDir(), Path: t.TempDir()}); err == nil {
		t.Error("an executor without a shell was made")
	}
}

func TestImageIsNotUsed(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	step := script("echo ran")
	step.Image = "registry.example.org/go:1"
	if _, err := openBuild(t, newExecutor(t, t.TempDir())).Run(t.Context(), step, &out); err != nil {
		t.Error(err)
	}
	if got := out.String(); got != "The image registry.example.org/go:1 is not used: this build runs with the tools of its host.\nran\n" {
		t.Errorf("%q", got)
	}
}

func TestRecordsThatAreNoNames(t *testing.T) {
	t.Parallel()
	e := newExecutor(t, t.TempDir())
	for _, record := range []string{"", ".", "..", "a/b", "/a", "../a", "a\x00b"} {
		if _, err := e.Open(t.Context(), executor.Build{Record: record}); err == nil {
			t.Errorf("%q was opened", record)
		}
	}
	s := openBuild(t, e)
	if _, err := e.Open(t.Context(), executor.Build{Record: s.record}); err == nil {
		t.Error("a build was opened twice")
	}
	must(t, s, "true")
	if _, err := New(Config{Dir: "relative"}); err == nil {
		t.Error("a relative directory was taken")
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	e := newExecutor(t, t.TempDir())
	outside := t.TempDir()
	if err := os.WriteFile(outside+"/file", nil, 0o400); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(outside, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(outside, 0o700) })
	locked := filepath.Join(e.dir, "left", "workspace", "a", "b")
	if err := os.MkdirAll(locked, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(e.dir, "left", "workspace", "link")); err != nil {
		t.Fatal(err)
	}
	for dir, mode := range map[string]os.FileMode{locked: 0, filepath.Dir(locked): 0o500} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := e.Recover(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(outside); err != nil || info.Mode().Perm() != 0o500 {
		t.Errorf("what a link led to was touched: %v, %v", info, err)
	}
	if _, err := os.Stat(outside + "/file"); err != nil {
		t.Error(err)
	}
}

// TestRecoverSetsAside starts with a build's directory of which something cannot be removed.
func TestRecoverSetsAside(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can make a file that its own kind cannot remove")
	}
	dir := t.TempDir()
	stuck := filepath.Join(dir, "left", "workspace", "stuck")
	if err := errors.Join(os.MkdirAll(filepath.Dir(stuck), 0o700), os.WriteFile(stuck, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "chattr", "+i", stuck).CombinedOutput(); err != nil {
		t.Skipf("no file system with attributes: %s", out)
	}
	var log bytes.Buffer
	e, err := New(Config{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	if err := e.Recover(t.Context()); err != nil {
		t.Errorf("the executor cannot be used: %v", err)
	}
	if !strings.Contains(log.String(), "set aside") {
		t.Errorf("log: %s", log.String())
	}
	found, err := filepath.Glob(filepath.Join(dir, leftover+"*", "workspace", "stuck"))
	if err != nil || len(found) != 1 {
		t.Fatalf("set aside: %q, %v", found, err)
	}
	if out, err := exec.CommandContext(t.Context(), "chattr", "-i", found[0]).CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
}
