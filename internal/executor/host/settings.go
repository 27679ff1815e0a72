package host

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// settings are the entries of /etc that programs need, as patterns. What is not here may hold what is not for everybody, and can be named by
// the operator.
var settings = []string{
	// The loader, names and numbers.
	"alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "nsswitch.conf", "hosts", "host.conf", "gai.conf", "hostname", "networks", "netconfig",
	"services", "protocols", "rpc", "ethertypes", "localtime", "timezone", "locale.alias", "locale.conf", "login.defs", "shells",
	"os-release", "debian_version", "redhat-release", "system-release", "alpine-release", "lsb-release", "SuSE-release",
	// Certificates and what says how they are used. Private keys lie beside them, so no directory is named that holds such.
	"ca-certificates", "ca-certificates.conf", "ssl/certs", "ssl/cert.pem", "ssl/ca-bundle.pem", "ssl/openssl.cnf", "pki/ca-trust", "pki/java", "pki/tls/certs", "pki/tls/cert.pem",
	"pki/tls/openssl.cnf", "crypto-policies", "gnutls", "ssh/ssh_config", "ssh/ssh_config.d", "ssh/ssh_known_hosts",
	// Shells and tools.
	"profile", "profile.d", "bash.bashrc", "bashrc", "zsh", "inputrc", "skel", "terminfo", "magic", "magic.mime", "mime.types", "mailcap", "fonts", "xdg", "glvnd", "vulkan",
	"gitconfig", "gitattributes", "wgetrc", "dpkg", "rpm", "fakeroot*", "texmf", "papersize", "vimrc", "vim", "gdb", "debuginfod", "ImageMagick*", "mke2fs.conf", "sgml", "xml",
	// Languages and their tools.
	"java*", ".java", "jvm*", "maven*", "gradle*", "ant*", "perl", "python*", "pip.conf", "npmrc", "yarnrc", "php*", "ruby*", "gemrc", "R", "ghc*", "dotnet", "mono", "lua*", "emacs",
	"openmpi*", "postgresql-common", "chromium", "chromium.d", "subversion", "mercurial",
}

// settingsDir is the directory that sandboxes have as /etc: copies of what programs need of the machine's, and the users of builds. It is the
// server's own, so that one mount shows all of it, and is made anew when the machine's has changed, such as the servers of names.
type settingsDir struct {
	parent  string // in which it is made
	users   string // the contents of passwd and group
	groups  string
	hidden  []string
	discard func(dir string) error

	mu      sync.Mutex
	dir     string
	older   []string // sandboxes that were made with them show them as long as they live
	state   string   // of the machine's settings when dir was made
	checked time.Time
}

// settingsPeriod is how long a change of the machine's settings may go unnoticed.
const settingsPeriod = time.Second

// current returns the directory.
func (s *settingsDir) current() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir != "" && time.Since(s.checked) < settingsPeriod {
		return s.dir, nil
	}
	state := stateOfSettings()
	s.checked = time.Now()
	if s.dir != "" && s.state == state {
		return s.dir, nil
	}
	dir := filepath.Join(s.parent, "settings-"+rand.Text())
	if err := s.fill(dir); err != nil {
		return "", errors.Join(fmt.Errorf("make the sandboxes' /etc: %w", err), s.discard(dir))
	}
	if s.dir != "" {
		s.older = append(s.older, s.dir)
	}
	s.dir, s.state = dir, state
	return dir, nil
}

// drop removes the directory and those before it, which no sandbox may show any more. The next call of current makes another.
func (s *settingsDir) drop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var failed []error
	for _, dir := range append(s.older, s.dir) {
		if dir != "" {
			failed = append(failed, s.discard(dir))
		}
	}
	s.dir, s.older = "", nil
	return errors.Join(failed...)
}

// settingPaths returns the entries of /etc that are there of those that programs need.
func settingPaths() (paths []string) {
	for _, pattern := range settings {
		found, _ := filepath.Glob("/etc/" + pattern)
		paths = append(paths, found...)
	}
	return paths
}

// stateOfSettings returns a text that is another one when the machine's settings have changed.
func stateOfSettings() string {
	var b strings.Builder
	for _, path := range append(settingPaths(), "/etc/resolv.conf") {
		if info, err := os.Stat(path); err == nil {
			fmt.Fprintln(&b, path, info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

// fill makes the directory.
func (s *settingsDir) fill(dir string) error {
	if err := makeOpenDir(dir); err != nil {
		return err
	}
	for name, content := range map[string]string{"passwd": s.users, "group": s.groups} {
		if err := writeSetting(filepath.Join(dir, name), strings.NewReader(content), 0o644); err != nil {
			return err
		}
	}
	// A copy would tell steps of the machine's mounts: they see their own.
	if err := os.Symlink("/proc/self/mounts", filepath.Join(dir, "mtab")); err != nil {
		return err
	}
	for _, path := range append(settingPaths(), "/etc/resolv.conf") { // the last is often a link to a place that is not shown
		to := filepath.Join(dir, strings.TrimPrefix(path, "/etc/"))
		if parent := filepath.Dir(to); parent != dir && !isDirectory(parent) {
			if err := makeOpenDir(parent); err != nil {
				return err
			}
		}
		if err := s.copy(path, to, 0); err != nil {
			return err
		}
	}
	return nil
}

// maxSettingDepth bounds directories that links make endless.
const maxSettingDepth = 12

// copy copies a file or directory of which all is for everybody on the machine; what is not, or is not there, is left out. Links to programs
// and their files stay links, from which programs read, for instance, the name of the time zone.
func (s *settingsDir) copy(path, to string, depth int) error {
	info, err := os.Lstat(path)
	real := resolve(path)
	if err != nil || depth > maxSettingDepth || slices.ContainsFunc(s.hidden, func(h string) bool { return within(real, h) }) {
		return nil //nolint:nilerr // what is not there is not shown
	}
	if info.Mode().Type() == fs.ModeSymlink && within(real, "/usr") {
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil //nolint:nilerr // likewise
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil || !forEverybody(info) {
		return err
	}
	switch {
	case info.Mode().IsRegular():
		return writeSetting(to, f, info.Mode().Perm()&0o755)
	case !info.IsDir():
		return nil
	}
	if err := makeOpenDir(to); err != nil {
		return err
	}
	entries, err := f.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := s.copy(filepath.Join(path, entry.Name()), filepath.Join(to, entry.Name()), depth+1); err != nil {
			return err
		}
	}
	return nil
}

// makeOpenDir makes a directory that everybody can read, whatever the server's umask is.
func makeOpenDir(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Chmod(dir, 0o755) //nolint:gosec // that is what it is for
}

// writeSetting makes a file that everybody can read.
func writeSetting(path string, content io.Reader, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) { // two patterns have the same name
		return nil
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// forEverybody reports whether all users of the machine can read a file or directory.
func forEverybody(info fs.FileInfo) bool {
	need := fs.FileMode(0o004)
	if info.IsDir() {
		need = 0o005
	}
	return info.Mode()&need == need
}

// nameOf returns how a user of builds is called in a sandbox.
func nameOf(user int) string { return "build-" + strconv.Itoa(user) }

// listOfUsers returns the contents of passwd and group in a sandbox, in which the users are known whom steps run as. Programs such as ssh look
// there for the name and the home of their user.
func listOfUsers(users Users, shell string) (passwd, group string) {
	var p, g strings.Builder
	p.WriteString("root:x:0:0:root:/:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n")
	g.WriteString("root:x:0:\ntty:x:5:\nnogroup:x:65534:\n")
	for id := users.First; id <= users.Last; id++ {
		own := id
		if users.Group != 0 {
			own = users.Group
		}
		fmt.Fprintf(&p, "%s:x:%d:%d::%s:%s\n", nameOf(id), id, own, filepath.Join(insidePath, "home"), shell)
		if users.Group == 0 || id == users.First {
			fmt.Fprintf(&g, "%s:x:%d:\n", nameOf(own), own)
		}
	}
	return p.String(), g.String()
}
