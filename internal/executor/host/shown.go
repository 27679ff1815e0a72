package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"atelier/internal/fault"
)

// view is what sandboxes show of the machine's files, read-only. What is not named here is not there.
type view struct {
	private []string // never shown, under any name that a mount gives it
	homes   []string // of the server's user: shown are directories of the path below, and what the operator names below
	path    []string // directories with programs
	named   []string // by the operator
}

// newView returns the view that leaves out what is private. The path is the steps' variable PATH.
func newView(private, named []string, path string) *view {
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	v := &view{path: filepath.SplitList(path), named: named}
	for _, p := range private {
		v.private = append(v.private, namesOf(resolve(p), string(mounts))...)
	}
	if home, err := os.UserHomeDir(); err == nil && filepath.IsAbs(home) && filepath.Clean(home) != "/" {
		v.homes = namesOf(resolve(home), string(mounts))
	}
	return v
}

// resolve follows the links of a path as far as it exists.
func resolve(path string) string {
	path = filepath.Clean(path)
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		return real
	}
	if filepath.Dir(path) == path {
		return path
	}
	return filepath.Join(resolve(filepath.Dir(path)), filepath.Base(path))
}

// namesOf returns a path, and the other paths under which mounts show the same, from the text of mountinfo.
func namesOf(path, mountinfo string) []string {
	type mount struct{ device, root, point string }
	var mounts []mount
	var own mount
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		m := mount{device: fields[2], root: unescape.Replace(fields[3]), point: unescape.Replace(fields[4])}
		if mounts = append(mounts, m); within(path, m.point) && len(m.point) >= len(own.point) {
			own = m // a later one at the same place covers it
		}
	}
	names := []string{path}
	rel, err := filepath.Rel(own.point, path)
	if own.point == "" || err != nil {
		return names
	}
	place := filepath.Join(own.root, rel) // in its file system
	for _, m := range mounts {
		if below, err := filepath.Rel(m.root, place); m.device == own.device && err == nil && filepath.IsLocal(below) {
			if name := filepath.Join(m.point, below); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// within reports whether a path is a directory or below it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// maxAround is how many entries a directory may have that holds something private and is shown without it.
const maxAround = 64

// show makes a file or directory visible without what is hidden in it. What is not there is left out.
func (a *arguments) show(path string, hidden []string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil //nolint:nilerr // what is not there is left out
	}
	if i := slices.IndexFunc(hidden, func(h string) bool { return within(real, h) }); i >= 0 {
		return fmt.Errorf("%s is private (%s)", path, hidden[i])
	}
	inner := slices.IndexFunc(hidden, func(h string) bool { return within(h, real) })
	if inner < 0 {
		a.add("--ro-bind", real, path)
		return nil
	}
	entries, err := os.ReadDir(real)
	if err == nil && len(entries) > maxAround {
		err = errors.New("it has too many other entries to show them without it")
	}
	if err != nil {
		return fmt.Errorf("%s holds %s, which is private: %w", path, hidden[inner], err)
	}
	a.add("--perms", "0755", "--dir", path)
	for _, entry := range entries {
		if err := a.showEntry(filepath.Join(path, entry.Name()), filepath.Join(real, entry.Name()), entry, hidden); err != nil {
			return err
		}
	}
	return nil
}

// showEntry makes an entry of a directory visible that holds something private, unless that is this one.
func (a *arguments) showEntry(path, real string, entry fs.DirEntry, hidden []string) error {
	switch {
	case slices.ContainsFunc(hidden, func(h string) bool { return within(real, h) }):
		return nil
	case entry.Type() == fs.ModeSymlink:
		target, err := os.Readlink(real)
		if err == nil {
			a.add("--symlink", target, path)
		}
		return nil
	case entry.IsDir() || entry.Type().IsRegular():
		return a.show(path, hidden)
	default:
		return nil // sockets and devices
	}
}

// arguments are those of bubblewrap.
type arguments struct {
	list []string
}

func (a *arguments) add(args ...string) { a.list = append(a.list, args...) }

// hidden returns what is shown only where somebody chose it.
func (v *view) hidden() []string { return append(slices.Clone(v.private), v.homes...) }

// show adds all that is visible. The settings are a directory that is /etc.
func (v *view) show(a *arguments, settings string) error {
	hidden := v.hidden()
	for _, dir := range []string{"/usr", "/opt"} {
		if err := a.show(dir, hidden); err != nil {
			return fault.Wrap(err, fault.Invalid, "%v; keep it elsewhere, for instance in /var/lib", err)
		}
	}
	for _, dir := range []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"} {
		if target, err := os.Readlink(dir); err == nil {
			a.add("--symlink", target, dir)
		} else if err := a.show(dir, hidden); err != nil {
			return fault.Wrap(err, fault.Invalid, "%v; keep it elsewhere, for instance in /var/lib", err)
		}
	}
	for _, dir := range []string{"/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/kernel/mm/transparent_hugepage"} {
		a.add("--ro-bind-try", dir, dir)
	}
	a.add("--ro-bind", settings, "/etc")
	for _, dir := range v.path {
		if filepath.IsAbs(dir) && isDirectory(dir) && !a.shown(dir) {
			_ = a.show(dir, v.hiddenFrom(dir)) // what is private is on nobody's path
		}
	}
	for _, path := range v.named {
		if err := a.show(path, v.hiddenFrom(path)); err != nil {
			return fault.Field("--sandbox-paths", "%v", err)
		}
	}
	return nil
}

// hiddenFrom returns what is hidden when a path is shown that somebody chose. What is chosen below a home can be seen, the home itself cannot.
func (v *view) hiddenFrom(path string) []string {
	hidden := slices.Clone(v.private)
	for _, home := range v.homes {
		if real := resolve(path); real == home || !within(real, home) {
			hidden = append(hidden, home)
		}
	}
	return hidden
}

// shown reports whether all of a directory is visible under its name already.
func (a *arguments) shown(dir string) bool {
	for i, arg := range a.list {
		if arg == "--ro-bind" && within(dir, a.list[i+2]) {
			return true
		}
	}
	return slices.ContainsFunc([]string{"/bin", "/sbin"}, func(top string) bool { return within(dir, top) })
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// checkNamed reports paths of the operator that cannot be shown.
func checkNamed(paths []string) error {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || !info.IsDir() && !info.Mode().IsRegular() {
			return fault.Field("--sandbox-paths", "must be files or directories that are there, found %q", path)
		}
		for _, own := range append([]string{"/proc", "/dev", insidePath}, scratch[:]...) {
			if real := resolve(path); within(own, real) || within(real, own) && !slices.Contains(scratch[:], own) {
				return fault.Field("--sandbox-paths", "must not be %s, nor hold it: a sandbox has its own; found %q", own, path)
			}
		}
	}
	return nil
}
