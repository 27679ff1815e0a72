package main

import (
	"path/filepath"

	"atelier/internal/executor/host"
	"atelier/internal/fault"
)

// isolationFlags say what steps on the server's machine are kept from.
type isolationFlags struct {
	Sandbox      string   `help:"Isolation of steps on the host: ${enum}. auto refuses to start where there can be no sandbox, and says what else is lacking; require refuses then too; off runs steps as the server's user, with all that it may do." enum:"auto,require,off" default:"auto"`
	SandboxPaths []string `help:"More files and directories that steps on the host can read, beside programs and settings of the machine: tools in unusual places." placeholder:"PATH"`
	BuildUsers   string   `help:"Users that steps on the host run as when the server is root: a name, an id, or a range of ids, one for each build at a time." default:"60600-60855" placeholder:"USERS"`
	Private      []string `help:"More files and directories that steps on the host must not see. The data directory, files with settings, keys or passwords and the home of the server's user are hidden anyway." placeholder:"PATH"`
}

// config checks the flags and returns what they say. Some settings are files with secrets, which are hidden too.
func (f isolationFlags) config(secrets ...string) (host.Isolation, []error) {
	var errs []error
	users, err := host.ParseUsers(f.BuildUsers)
	if err != nil {
		errs = append(errs, fault.Field("--build-users", "%v", err))
	}
	paths := func(flag string, given []string) []string {
		absolute := make([]string, len(given))
		for i, path := range given {
			if absolute[i], err = filepath.Abs(path); err != nil || path == "" || absolute[i] == "/" {
				errs = append(errs, fault.Field(flag, "must be files or directories other than /, found %q", path))
			}
		}
		return absolute
	}
	private, show := paths("--private", f.Private), paths("--sandbox-paths", f.SandboxPaths)
	return host.Isolation{Want: host.Want(f.Sandbox), Users: users, Show: show, Private: append(private, settingFiles(secrets...)...)}, errs
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
