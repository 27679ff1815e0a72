package host

import (
	"io/fs"
	"os"
	"syscall"

	"atelier/internal/dirtree"
)

// give makes a file of the server one of the steps. No step may have been able to change the directory that it is in.
func (o owner) give(dir *dirtree.Dir, name string) error {
	if o.user == 0 {
		return nil
	}
	return dir.Chown(name, o.user, o.group)
}

// giveOpen makes a file of the steps of one that the server has made and opened, wherever that is.
func (o owner) giveOpen(f *os.File) error {
	if o.user == 0 {
		return nil
	}
	return f.Chown(o.user, o.group)
}

// owns reports whether a file is that of the steps. A step that may not read one of another user can still give it a name in the
// workspace, where the kernel lets users link files that are not theirs.
func (o owner) owns(info fs.FileInfo) bool {
	user := o.user
	if user == 0 {
		user = os.Geteuid()
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == user
}
