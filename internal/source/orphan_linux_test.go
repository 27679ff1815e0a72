package source_test

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"atelier/internal/source"
	"atelier/internal/source/sourcetest"
)

// A server that was killed leaves its git commands behind. The next one ends them, and nobody else's.
func TestCommandsLeftBehindEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left, other := exec.Command("sleep", "1000"), exec.Command("sleep", "1000")
	left.Env, other.Env = []string{"ATELIER_REPOSITORIES=" + dir}, []string{"ATELIER_REPOSITORIES=" + dir + "2"}
	for _, c := range []*exec.Cmd{left, other} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Process.Kill() })
	}
	if _, err := source.New(source.Config{Dir: dir, Environ: sourcetest.Environ(os.DevNull)}); err != nil {
		t.Fatal(err)
	}
	exit, _ := errors.AsType[*exec.ExitError](left.Wait())
	if exit == nil || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("the command ended with %v", exit)
	}
	if err := other.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the command of another server is gone: %v", err)
	}
}
