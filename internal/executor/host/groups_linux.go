package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// controllers are those of the kernel that limit builds.
var controllers = []string{"memory", "cpu", "pids"}

// groups is where the control groups of an executor's builds are made: in one directory with version 2 of control groups,
// or, with version 1, in one for each controller.
type groups struct {
	unified bool
	dirs    []string // in the order of controllers with version 1
}

// newGroups returns a place for the groups of the executor whose directory is given, below the group that this process is in. The
// place is the same for later lives of the executor there.
func newGroups(executorDir string) (*groups, error) {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(executorDir))
	own, err := ownGroups()
	if err != nil {
		return nil, err
	}
	g := &groups{}
	name := fmt.Sprintf("atelier-%08x", hash.Sum32())
	if dir := own[""]; dir != "" && hasAll(dir) {
		if dir, err = delegated(dir); err != nil {
			return nil, fmt.Errorf("control groups are not this server's to make (%w); start it as a service with Delegate=yes", err)
		}
		g.unified, g.dirs = true, []string{filepath.Join(dir, name)}
	} else {
		for _, controller := range controllers {
			dir := own[controller]
			if dir == "" {
				return nil, fmt.Errorf("the kernel offers no controller %s of control groups here; in a container, give it control groups it may write to", controller)
			}
			g.dirs = append(g.dirs, filepath.Join(dir, name))
		}
	}
	for _, dir := range g.dirs {
		if err := makeDir(dir); err != nil {
			g.leave()
			return nil, fmt.Errorf("control groups cannot be made (%w); run the server as root, or as a service with Delegate=yes", err)
		}
	}
	if g.unified {
		err = g.write(0, "cgroup.subtree_control", enableAll())
	}
	return g, err
}

// ownGroups returns the directory of the group that this process is in, for each controller of version 1, and for version 2 under
// the empty name.
func ownGroups() (map[string]string, error) {
	mounts, err1 := os.ReadFile("/proc/self/mountinfo")
	memberships, err2 := os.ReadFile("/proc/self/cgroup")
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("find the control groups: %w", err)
	}
	return parseGroups(string(mounts), string(memberships)), nil
}

// parseGroups takes what the kernel says of mounts and of memberships apart.
func parseGroups(mounts, memberships string) map[string]string {
	paths := map[string]string{} // by controller
	for line := range strings.Lines(memberships) {
		if fields := strings.SplitN(strings.TrimSpace(line), ":", 3); len(fields) == 3 {
			for controller := range strings.SplitSeq(fields[1], ",") {
				paths[controller] = fields[2]
			}
		}
	}
	own := map[string]string{}
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(line, " - ")
		mount, kind := strings.Fields(before), strings.Fields(after)
		if len(mount) < 5 || len(kind) < 3 || !strings.HasPrefix(kind[0], "cgroup") {
			continue
		}
		names := strings.Split(kind[2], ",")
		if kind[0] == "cgroup2" {
			names = []string{""}
		}
		for _, name := range names {
			path, member := paths[name]
			if rel, err := filepath.Rel(mount[3], path); member && err == nil && filepath.IsLocal(rel) {
				own[name] = filepath.Join(mount[4], rel)
			}
		}
	}
	return own
}

// hasAll reports whether a group of version 2 has all controllers.
func hasAll(dir string) bool {
	text, _ := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	have := strings.Fields(string(text))
	return !slices.ContainsFunc(controllers, func(c string) bool { return !slices.Contains(have, c) })
}

func enableAll() string { return "+" + strings.Join(controllers, " +") }

// serverGroup is the group that a server moves to: version 2 wants processes in no group that has groups with limits.
const serverGroup = "atelier-server"

// delegated makes the group of this process one that can have groups with limits, and returns it.
func delegated(own string) (string, error) {
	if filepath.Base(own) == serverGroup {
		own = filepath.Dir(own)
	}
	server := filepath.Join(own, serverGroup)
	if err := makeDir(server); err != nil {
		return "", err
	}
	if err := writeFile(filepath.Join(server, "cgroup.procs"), strconv.Itoa(os.Getpid())); err != nil {
		return "", err
	}
	return own, writeFile(filepath.Join(own, "cgroup.subtree_control"), enableAll())
}

func makeDir(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // the kernel's
		return err
	}
	return nil
}

// writeFile writes to a file of the kernel, which is there.
func writeFile(file, text string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func (g *groups) write(i int, file, text string) error {
	return writeFile(filepath.Join(g.dirs[i], file), text)
}

// clear ends what is in groups of an earlier life, and removes them.
func (g *groups) clear(ctx context.Context) error {
	var failed []error
	for _, dir := range g.dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("list the control groups that were left behind: %w", err)
		}
		for _, entry := range entries {
			if entry.IsDir() {
				failed = append(failed, removeGroup(ctx, filepath.Join(dir, entry.Name())))
			}
		}
	}
	return errors.Join(failed...)
}

// leave removes the place, unless there are groups in it.
func (g *groups) leave() {
	for _, dir := range g.dirs {
		_ = syscall.Rmdir(dir)
	}
}

// removeGroup removes a group when all its processes are gone, and sees to it that they go.
func removeGroup(ctx context.Context, dir string) error {
	for {
		err := syscall.Rmdir(dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if writeFile(filepath.Join(dir, "cgroup.kill"), "1") != nil { // there since Linux 5.14, in version 2
			text, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			for pid := range strings.FieldsSeq(string(text)) {
				if id, err := strconv.Atoi(pid); err == nil && id > 0 {
					_ = syscall.Kill(id, syscall.SIGKILL)
				}
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove the control group %s: %w", dir, err)
		case <-time.After(time.Millisecond): // that a process has gone for good is no event
		}
	}
}

// group is the control group of one supervisor and of all that comes of it. A nil group has no limits.
type group struct {
	groups
	limits   limits // that are set
	patience time.Duration
}

// add makes a group and puts processes into it.
func (g *groups) add(pids []int, patience time.Duration) (*group, error) {
	name := rand.Text()
	made := &group{groups: groups{unified: g.unified}, patience: patience}
	for i, dir := range g.dirs {
		made.dirs = append(made.dirs, filepath.Join(dir, name))
		err := makeDir(made.dirs[i])
		for _, pid := range pids {
			err = errors.Join(err, made.write(i, "cgroup.procs", strconv.Itoa(pid)))
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("make a control group: %w", err), made.remove())
		}
	}
	return made, nil
}

// limit sets the limits of a build, unless they are set already.
func (g *group) limit(l limits) error {
	if g == nil || g.limits == l {
		return nil
	}
	g.limits = limits{} // until all are set

	const period = 100000 // microseconds
	var failed error
	set := func(i int, file, text string) {
		if err := g.write(i, file, text); err != nil {
			failed = errors.Join(failed, fmt.Errorf("limit the build: %w", err))
		}
	}
	if g.unified {
		set(0, "memory.max", strconv.FormatInt(l.memory, 10))
		set(0, "cpu.max", fmt.Sprintf("%d %d", l.processors*period, period))
		set(0, "pids.max", strconv.Itoa(l.processes))
		_ = g.write(0, "memory.swap.max", "0") // not there on a machine without
	} else {
		set(0, "memory.limit_in_bytes", strconv.FormatInt(l.memory, 10))
		set(1, "cpu.cfs_period_us", strconv.Itoa(period))
		set(1, "cpu.cfs_quota_us", strconv.Itoa(l.processors*period))
		set(2, "pids.max", strconv.Itoa(l.processes))
	}
	if failed == nil {
		g.limits = l
	}
	return failed
}

// outOfMemory returns how many processes the kernel has ended so far because there was no memory left in the group.
func (g *group) outOfMemory() int {
	if g == nil {
		return 0
	}
	file := "memory.oom_control"
	if g.unified {
		file = "memory.events"
	}
	text, _ := os.ReadFile(filepath.Join(g.dirs[0], file))
	for line := range strings.Lines(string(text)) {
		if count, ok := strings.CutPrefix(line, "oom_kill "); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(count))
			return n
		}
	}
	return 0
}

// remove removes the group, and ends what is left in it.
func (g *group) remove() error {
	if g == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), g.patience)
	defer cancel()
	var failed []error
	for _, dir := range g.dirs {
		failed = append(failed, removeGroup(ctx, dir))
	}
	return errors.Join(failed...)
}
