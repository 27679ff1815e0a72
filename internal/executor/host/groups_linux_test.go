package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/needs"
)

// newLimited returns an executor whose builds have limits, where this machine lets the user of the test set them.
func newLimited(t *testing.T, sandboxed bool) *Executor {
	t.Helper()
	var e *Executor
	if sandboxed {
		e = newIsolated(t, t.TempDir())
	} else {
		e = newExecutor(t, t.TempDir())
		groups, err := newGroups(e.dir)
		if err != nil {
			needs.Skip(t, "cgroups", err)
		}
		e.groups = groups
	}
	if e.groups == nil {
		needs.Skip(t, "cgroups", e.Gaps())
	}
	return e
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for name, sandboxed := range map[string]bool{"plain": false, "sandbox": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newLimited(t, sandboxed)
			s := openBuild(t, e)
			if err := s.supervisor.group.limit(limits{processors: 1, memory: 64 << 20, processes: 40}); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			result, err := s.Run(t.Context(), script("x=$(head -c 300000000 /dev/zero | tr '\\0' x); echo ${#x}"), &out)
			if err != nil || result.Succeeded() || !strings.Contains(result.Reason, "more memory") {
				t.Errorf("too much memory: %+v, %v\n%s", result, err, &out)
			}
			refused(t, s, "exec sh -c 'for i in $(seq 60); do sleep 1000 & done'") // bash would try again for some seconds
			must(t, s, "true")                                                     // it has recovered
			must(t, openBuild(t, e), "for i in $(seq 60); do sleep 1000 & done")
			dirs := s.supervisor.group.dirs
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if err := e.closePools(); err != nil {
				t.Error(err)
			}
			for _, dir := range dirs {
				if _, err := os.Stat(dir); !os.IsNotExist(err) {
					t.Errorf("the group %s is left: %v", dir, err)
				}
			}
		})
	}
}

// TestLimitsLeftBehind checks that what is in a group of an earlier life ends.
func TestLimitsLeftBehind(t *testing.T) {
	t.Parallel()
	e := newLimited(t, false)
	left := exec.Command("sleep", "1000")
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	g, err := e.groups.add([]int{left.Process.Pid}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- left.Wait() }()
	if err := e.Recover(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("it ended with %v", err)
	}
	for _, dir := range g.dirs {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("the group %s is left: %v", dir, err)
		}
	}
}

// TestUnifiedGroups uses version 2, as far as this machine has it: without a controller of limits, groups still hold processes and end them.
func TestUnifiedGroups(t *testing.T) {
	t.Parallel()
	own, err := ownGroups()
	if err != nil || own[""] == "" {
		t.Skip("there are no control groups of version 2", err)
	}
	place := filepath.Join(own[""], "atelier-test-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(place, 0o755); err != nil { //nolint:gosec // the kernel's
		t.Skip(err)
	}
	t.Cleanup(func() { _ = syscall.Rmdir(place) })
	process := exec.Command("sleep", "1000")
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	groups := &groups{unified: true, dirs: []string{place}}
	g, err := groups.add([]int{process.Process.Pid}, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	if err := g.remove(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("it ended with %v", err)
	}
}

// TestUnifiedLimits checks what is written to the files of version 2.
func TestUnifiedLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := map[string]string{"memory.max": "8589934592", "cpu.max": "100000 100000", "pids.max": "8192", "memory.swap.max": "0"}
	for file := range want {
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "memory.events"), []byte("oom 5\noom_kill 3\noom_group_kill 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &group{groups: groups{unified: true, dirs: []string{dir}}}
	if err := g.limit(limits{processors: 1, memory: 8 << 30, processes: 8192}); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for file := range want {
		text, _ := os.ReadFile(filepath.Join(dir, file))
		got[file] = string(text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// What is set is written again when the class was another one meanwhile.
	set := func(l limits) string {
		if err := g.limit(l); err != nil {
			t.Fatal(err)
		}
		text, _ := os.ReadFile(filepath.Join(dir, "pids.max"))
		return string(text)
	}
	small, large := limits{processors: 1, memory: 8 << 30, processes: 4096}, limits{processors: 1, memory: 8 << 30, processes: 8192} // as long as texts
	for _, l := range []limits{large, small, large} {
		if got := set(l); got != strconv.Itoa(l.processes) {
			t.Errorf("%q processes are allowed, want %d", got, l.processes)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "pids.max"), []byte("max."), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := set(large); got != "max." {
		t.Errorf("the limit was written again: %q", got)
	}
	if n := g.outOfMemory(); n != 3 {
		t.Errorf("%d processes were ended, want 3", n)
	}
}

func TestParseGroups(t *testing.T) {
	t.Parallel()
	const hybrid = "25 20 0:20 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n" +
		"30 25 0:25 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n" +
		"31 25 0:26 /docker/x /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n" +
		"32 25 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
	for _, tt := range []struct {
		memberships string
		want        map[string]string
	}{
		{"4:memory:/docker/x/y\n3:cpu,cpuacct:/a\n0::/system.slice/atelier.service\n", map[string]string{
			"": "/sys/fs/cgroup/unified/system.slice/atelier.service", "cpu": "/sys/fs/cgroup/cpu,cpuacct/a",
			"cpuacct": "/sys/fs/cgroup/cpu,cpuacct/a", "memory": "/sys/fs/cgroup/memory/y",
		}},
		{"4:memory:/elsewhere\n", map[string]string{}}, // of which nothing is mounted here
		{"", map[string]string{}},
	} {
		got := parseGroups(hybrid, tt.memberships)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q: %s", tt.memberships, diff)
		}
	}
}

func TestLimitsOf(t *testing.T) {
	t.Parallel()
	for class, want := range map[string]int64{"2U8G": 8, "8U16G": 16, "16U64G": 64, "": 8, "large": 8, "0U1G": 8} {
		if got := limitsOf(class); got.memory != want<<30 || got.processors < 1 {
			t.Errorf("the limits of %q are %+v, want %d GiB", class, got, want)
		}
	}
	if small, large := limitsOf("2U8G").processes, limitsOf("16U32G").processes; small != 8192 || large != 65536 {
		t.Errorf("the numbers of processes are %d and %d", small, large)
	}
}
