package source

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// settings are configuration that git gets with every command: no hooks, nothing that stays in the background, and no
// submodules behind the policy's back, whatever the configuration files of the machine say. Neither a mirror nor a workspace has
// to survive a power cut, so nothing waits for the disk.
var settings = []string{
	"-c", "core.hooksPath=/dev/null",
	"-c", "core.fsmonitor=false",
	"-c", "gc.auto=0",
	"-c", "maintenance.auto=false",
	"-c", "submodule.recurse=false",
	"-c", "fetch.recurseSubmodules=false",
	"-c", "credential.interactive=false",
	"-c", "advice.detachedHead=false",
	"-c", "core.fsync=none",
	"-c", "fetch.unpackLimit=1", // few files instead of many
}

// keptVariables and keptPrefixes name the variables of the server that git gets: where the server's user has configuration,
// keys and credentials, and how the outside is reached.
var (
	keptVariables = []string{
		"PATH", "HOME", "USER", "LOGNAME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "TMPDIR", "SSH_AUTH_SOCK",
		"GIT_SSH", "GIT_SSH_VARIANT", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY",
	}
	keptPrefixes = []string{
		"GIT_SSL_", "GIT_CONFIG_GLOBAL=", "GIT_CONFIG_SYSTEM=", "GIT_CONFIG_NOSYSTEM=",
		"GIT_CONFIG_COUNT=", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_",
	}
)

// promptless is the environment that keeps git from asking anybody, and its messages in one language.
func (p Policy) promptless() []string {
	protocols := "https:http:ssh"
	if len(p.FileRoots) > 0 {
		protocols += ":file"
	}
	return []string{"GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=" + protocols, "GIT_LFS_SKIP_SMUDGE=1", "LC_ALL=C.UTF-8"}
}

// gitEnviron returns the environment for git on the server's machine.
func (c *Client) gitEnviron(server []string) []string {
	var kept []string
	sshCommand := ""
	for _, v := range server {
		name, value, _ := strings.Cut(v, "=")
		if slices.Contains(keptVariables, name) || slices.ContainsFunc(keptPrefixes, func(p string) bool { return strings.HasPrefix(v, p) }) {
			kept = append(kept, v)
		}
		if c.dialer == nil && (name == "no_proxy" || name == "NO_PROXY") { // or it would lead past the dialer
			kept = append(kept, v)
		}
		if name == "GIT_SSH_COMMAND" {
			sshCommand = value
		}
	}
	kept = append(kept, "GIT_CEILING_DIRECTORIES="+filepath.Dir(c.dir))
	kept = append(kept, c.policy.promptless()...)
	if sshCommand == "" {
		sshCommand = c.gitSetting(kept, "core.sshCommand")
	}
	if sshCommand == "" && !slices.ContainsFunc(kept, func(v string) bool { return strings.HasPrefix(v, "GIT_SSH=") }) {
		sshCommand = "ssh"
	}
	if sshCommand != "" {
		kept = append(kept, "GIT_SSH_COMMAND="+withoutPrompts(c.routed(sshCommand)))
	}
	return kept
}

// gitSetting returns what git's configuration on this machine has for a name; empty when it has nothing.
func (c *Client) gitSetting(env []string, name string) string {
	out, _ := runGit(context.Background(), command{dir: c.dir, env: env, args: []string{"config", "--get", name}})
	return strings.TrimSpace(string(out))
}

// withoutPrompts tells OpenSSH not to ask for passwords. Another program that the operator chose is left as it is.
func withoutPrompts(sshCommand string) string {
	if words := strings.Fields(sshCommand); len(words) > 0 && path.Base(words[0]) == "ssh" {
		return sshCommand + " -o BatchMode=yes"
	}
	return sshCommand
}

// command is one run of git by the server itself.
type command struct {
	dir   string
	env   []string
	stdin string
	limit int    // of the standard output, in bytes; 0 for 1 MiB
	url   string // of the repository that it connects to; empty when it works here alone
	args  []string
}

// git runs a command with the client's environment.
func (c *Client) git(ctx context.Context, cmd command) ([]byte, error) {
	if cmd.dir == "" {
		cmd.dir = c.dir
	}
	if cmd.url == "" {
		cmd.env = c.commandEnviron(route{})
		return runGit(ctx, cmd)
	}
	way, err := c.openRoute()
	if err != nil {
		return nil, err
	}
	defer way.close()
	cmd.env = c.commandEnviron(way)
	out, err := runGit(ctx, cmd)
	if _, failed := errors.AsType[*gitError](err); failed {
		if why := way.failure("the repository " + cmd.url); why != nil {
			err = why
		}
	}
	return out, err
}

// gitError is a git command that failed.
type gitError struct {
	what   string // the subcommand
	stderr string // its end, without credentials
	cause  error
}

func (e *gitError) Error() string {
	return fmt.Sprintf("git %s: %v: %s", e.what, e.cause, strings.TrimSpace(e.stderr))
}

func (e *gitError) Unwrap() error { return e.cause }

// runGit returns what the command printed to its standard output. The error is the cause of ctx, or a *gitError.
func runGit(ctx context.Context, c command) ([]byte, error) {
	return run(ctx, "git", append(slices.Clone(settings), c.args...), c)
}

// run does the same for another program, such as the ssh that git uses.
func run(ctx context.Context, program string, args []string, c command) ([]byte, error) {
	stdout, stderr := &head{limit: c.limit}, &tail{limit: 8 << 10}
	if stdout.limit == 0 {
		stdout.limit = 1 << 20
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.stdin), stdout, stderr
	// In a session of its own no helper can ask a terminal, and all of them can be ended together. They are asked to end, so
	// that they remove their lock files.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 3 * time.Second
	err := cmd.Run()
	switch {
	case ctx.Err() != nil && err != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, errTooMuch):
		return stdout.Bytes(), errTooMuch
	case err != nil:
		return nil, &gitError{what: subcommand(c.args), stderr: withoutCredentials(stderr.String()), cause: err}
	}
	return stdout.Bytes(), nil
}

// subcommand returns the first word of args that is neither a global option nor an option's value.
func subcommand(args []string) string {
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "-c":
			i++
		case !strings.HasPrefix(args[i], "-"):
			return args[i]
		}
	}
	return ""
}
