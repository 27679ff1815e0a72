package host

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestSettingsStayWhileSandboxesShowThem(t *testing.T) {
	s := &settingsDir{parent: t.TempDir(), users: "users", groups: "groups", discard: os.RemoveAll}
	first, err := s.current()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.state, s.checked = "another", time.Time{}
		if _, err := s.current(); err != nil {
			t.Fatal(err)
		}
	}
	if content, err := os.ReadFile(filepath.Join(first, "passwd")); err != nil || string(content) != "users" {
		t.Errorf("the first settings hold the users %q (%v) after changes, want them as they were", content, err)
	}
	if err := s.drop(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(s.parent); err != nil || len(left) != 0 {
		t.Errorf("%v are left (%v), want nothing", left, err)
	}
}

func TestMountsOfTheMachineAreNotCopied(t *testing.T) {
	s := &settingsDir{parent: t.TempDir(), discard: os.RemoveAll}
	dir, err := s.current()
	if err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(filepath.Join(dir, "mtab")); err != nil || target != "/proc/self/mounts" {
		t.Errorf("mtab leads to %q (%v), want what a step sees of its own mounts", target, err)
	}
}
