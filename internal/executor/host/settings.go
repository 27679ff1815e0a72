package host

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// settings are the entries of /etc that programs need, as patterns. What is not here may hold what is not for everybody, and can be named by
// the operator.
var settings = []string{
	// The loader, names and numbers.
	"alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "nsswitch.conf", "hosts", "host.conf", "gai.conf", "hostname", "networks", "netconfig",
	"services", "protocols", "rpc", "ethertypes", "localtime", "timezone", "locale.alias", "locale.conf", "login.defs", "shells", "mtab",
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

// small is how many files a directory of settings may have whose files are copied. It takes less than a mount.
const small = 8

// showSettings makes /etc: copies of files, so that it does not matter what they are links to, and mounts of directories with many. All of it
// is for everybody on the machine.
func (a *arguments) showSettings(users, groups string, hidden []string) error {
	a.add("--perms", "0755", "--dir", "/etc")
	if err := a.write("/etc/passwd", users); err != nil {
		return err
	}
	if err := a.write("/etc/group", groups); err != nil {
		return err
	}
	if names, err := os.ReadFile("/etc/resolv.conf"); err == nil { // often a link to a place that is not shown
		if err := a.write("/etc/resolv.conf", string(names)); err != nil {
			return err
		}
	}
	for _, pattern := range settings {
		found, _ := filepath.Glob("/etc/" + pattern)
		for _, path := range found {
			if err := a.showSetting(path, hidden); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *arguments) showSetting(path string, hidden []string) error {
	info, err := os.Lstat(path)
	real := resolve(path)
	switch {
	case err != nil || slices.ContainsFunc(hidden, func(h string) bool { return within(real, h) }):
		return nil
	case info.Mode().Type() == fs.ModeSymlink && within(real, "/usr"):
		target, err := os.Readlink(path)
		if err == nil {
			a.add("--symlink", target, path) // programs read the name of the zone from it
		}
		return nil
	}
	if info, err = os.Stat(path); err != nil || !forEverybody(info) {
		return nil
	}
	if info.Mode().IsRegular() {
		return a.copy(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil || !info.IsDir() {
		return nil
	}
	if len(entries) > small || slices.ContainsFunc(entries, fs.DirEntry.IsDir) {
		return a.show(path, hidden)
	}
	a.add("--perms", "0755", "--dir", path)
	for _, entry := range entries {
		if err := a.showSetting(filepath.Join(path, entry.Name()), hidden); err != nil {
			return err
		}
	}
	return nil
}

// forEverybody reports whether all users of the machine can read a file or directory.
func forEverybody(info fs.FileInfo) bool {
	need := fs.FileMode(0o004)
	if info.IsDir() {
		need = 0o005
	}
	return info.Mode()&need == need
}

// copy has bubblewrap make a copy of a file, which whoever may read it can.
func (a *arguments) copy(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || !forEverybody(info) { // it may be another one by now
		return f.Close()
	}
	a.file(path, f)
	return nil
}

// write has bubblewrap make a file.
func (a *arguments) write(path, content string) error {
	f, err := memoryFile(content)
	if err != nil {
		return fmt.Errorf("make the sandbox's %s: %w", path, err)
	}
	a.file(path, f)
	return nil
}

func (a *arguments) file(path string, f *os.File) {
	a.add("--perms", "0644", "--file", strconv.Itoa(firstFile+len(a.files)), path)
	a.files = append(a.files, f)
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
