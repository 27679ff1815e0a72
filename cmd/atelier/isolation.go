package main

import (
	"path/filepath"

	"atelier/internal/executor/host"
	"atelier/internal/fault"
)

// isolationFlags say what steps on the server's machine are kept from.
type isolationFlags struct {
	Sandbox    string   `help:"Isolation of steps on the host: ${enum}. auto uses what the machine has and says what it lacks; require refuses to start without it." enum:"auto,require,off" default:"auto"`
	BuildUsers string   `help:"Users that steps on the host run as when the server is root: a name, an id, or a range of ids, one for each build at a time." default:"60600-60855" placeholder:"USERS"`
	Private    []string `help:"More files and directories that steps on the host must not see. The data directory, files with settings, keys or passwords and the home of the server's user are hidden anyway." placeholder:"PATH"`
}

// config checks the flags and returns what they say. Some settings are files with secrets, which are hidden too.
func (f isolationFlags) config(secrets ...string) (host.Isolation, []error) {
	var errs []error
	users, err := host.ParseUsers(f.BuildUsers)
	if err != nil {
		errs = append(errs, fault.Field("--build-users", "%v", err))
	}
	private := make([]string, len(f.Private))
	for i, path := range f.Private {
		if private[i], err = filepath.Abs(path); err != nil || path == "" || private[i] == "/" {
			errs = append(errs, fault.Field("--private", "must be files or directories other than /, found %q", path))
		}
	}
	return host.Isolation{Want: host.Want(f.Sandbox), Users: users, Private: append(private, settingFiles(secrets...)...)}, errs
}

// settingFiles returns the absolute paths of those files that were named and are files, not standard input.
func settingFiles(names ...string) (paths []string) {
	for _, name := range names {
		if path, err := filepath.Abs(name); err == nil && name != "" && name != "-" {
			paths = append(paths, path)
		}
	}
	return paths
}
