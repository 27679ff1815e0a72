// Package host runs builds as processes of the machine that the server runs on.
//
// A build has a directory of its own, which holds its workspace, a home and a place for temporary files, and a supervisor: a
// small process that starts the build's commands one after another and owns everything that comes of them. See package
// supervisor. What keeps a step from the server's files and from other builds is said by [Isolation].
package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"atelier/internal/dirtree"
	"atelier/internal/executor"
	"atelier/internal/ext4"
	"atelier/internal/fault"
	"atelier/internal/source"
)

// Config is what an [Executor] is made of.
type Config struct {
	// Dir holds a directory for each build. It is absolute and belongs to this executor alone.
	Dir string

	// Workspace is a directory in which all builds run, one at a time, as it is: it is neither made nor emptied nor removed.
	// Default: each build has a workspace of its own below Dir.
	Workspace string

	// Source checks repositories out.
	Source *source.Client

	// Path is where the steps find programs, as in the variable PATH. Default: the usual directories.
	Path string

	// Grace is how long the processes of a step that is stopped have to end by themselves; default [executor.Grace].
	Grace time.Duration

	// Isolation says what steps are kept from.
	Isolation Isolation

	// Hurry is closed when steps that are stopped have no more time to end by themselves; nil for never.
	Hurry <-chan struct{}

	// Log gets what the operator should know of what builds have left behind; nil for none.
	Log *slog.Logger
}

const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Executor runs builds on the host. It implements [executor.Executor].
type Executor struct {
	dir    string
	fixed  string // the workspace of all builds; empty when each has its own
	source *source.Client
	path   string
	grace  time.Duration
	hurry  <-chan struct{}
	shell  string // with its directory
	user   string // the name of the server's user

	bubblewrap  *bubblewrap        // makes the sandboxes that steps run in; nil for none
	sandboxes   *pool[*sandbox]    // with the directories of builds
	supervisors *pool[*supervisor] // outside of sandboxes
	buildDirs   *pool[string]      // of builds without a sandbox
	users       *userPool          // whom steps run as; nil for the server's own user
	groups      *groups            // that limit builds; nil for none
	gaps        []string           // of what was to be isolated
	trash       *dirtree.Trash     // removes what builds leave
	log         *slog.Logger

	// patience is how long a supervisor has for what takes it a moment. One that takes longer was stopped by a step, or waits
	// for a process that the kernel cannot end.
	patience time.Duration
}

var _ executor.Executor = (*Executor)(nil)

// New returns an executor.
func New(config Config) (*Executor, error) {
	if !filepath.IsAbs(config.Dir) {
		return nil, fmt.Errorf("the directory of builds, %q, is not absolute", config.Dir)
	}
	if err := checkSystem(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of builds: %w", err)
	}
	ext4.Spread(config.Dir)
	dir, err := filepath.EvalSymlinks(config.Dir) // so that a shell calls the workspace as its steps' environment does
	if err != nil {
		return nil, fmt.Errorf("find the directory of builds: %w", err)
	}
	fixed := config.Workspace
	if fixed != "" {
		if fixed, err = filepath.EvalSymlinks(fixed); err != nil {
			return nil, fmt.Errorf("find the workspace: %w", err)
		}
	}
	e := &Executor{
		dir: dir, fixed: fixed, source: config.Source, path: cmp.Or(config.Path, usualPath),
		grace: cmp.Or(config.Grace, executor.Grace), hurry: config.Hurry, patience: 5 * time.Second,
		log: cmp.Or(config.Log, slog.New(slog.DiscardHandler)),
	}
	if e.trash, err = dirtree.OpenTrash(dir, leftover, e.log); err != nil {
		return nil, fmt.Errorf("open the directory of builds: %w", err)
	}
	e.supervisors = newPool(e.makeSupervisor, (*supervisor).alive, (*supervisor).close)
	e.sandboxes = newPool(e.makeSandbox, (*sandbox).alive, (*sandbox).close)
	e.buildDirs = newPool(e.makeBuildDir, isDir, e.discard)
	e.user = strconv.Itoa(os.Geteuid())
	if found, err := user.Current(); err == nil {
		e.user = found.Username
	}
	if e.shell = e.find("bash"); e.shell == "" {
		e.shell = e.find("sh")
	}
	if e.shell == "" {
		return nil, errors.Join(fmt.Errorf("there is neither bash nor sh in %s", e.path), e.trash.Close())
	}
	if err := e.isolate(config.Isolation); err != nil {
		return nil, errors.Join(err, e.trash.Close())
	}
	return e, nil
}

// find returns where on the path a program is, or an empty string.
func (e *Executor) find(program string) string {
	for _, dir := range filepath.SplitList(e.path) {
		file := filepath.Join(dir, program)
		if info, err := os.Stat(file); err == nil && filepath.IsAbs(dir) && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file
		}
	}
	return ""
}

// BuildDir returns the directory of a build, which holds its workspace, home and tmp while it is open.
func (e *Executor) BuildDir(record string) string { return filepath.Join(e.dir, record) }

// insideDir returns what the steps of a build call its directory.
func (e *Executor) insideDir(record string) string {
	if e.bubblewrap != nil {
		return insidePath
	}
	return e.BuildDir(record)
}

// Workspace implements [executor.Executor].
func (e *Executor) Workspace(record string) string {
	return cmp.Or(e.fixed, filepath.Join(e.insideDir(record), "workspace"))
}

// Open implements [executor.Executor].
func (e *Executor) Open(ctx context.Context, build executor.Build) (executor.Session, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if !filepath.IsLocal(build.Record) || strings.ContainsAny(build.Record, "/\x00") || build.Record == "." || strings.HasPrefix(build.Record, leftover) {
		return nil, fmt.Errorf("the record id %q cannot name a directory", build.Record)
	}
	s := &session{
		executor: e, record: build.Record, dir: e.BuildDir(build.Record), insidePath: e.insideDir(build.Record),
		caches: build.Caches, credentials: build.Credentials, limits: limitsOf(build.Resource.Class),
	}
	env, err := Environment(s.insidePath, e.Workspace(build.Record), build)
	if err != nil {
		return nil, err
	}
	if e.users != nil {
		if s.owner, err = e.users.take(ctx); err != nil {
			return nil, err
		}
	}
	user := e.userName(s.owner)
	s.env = lastOfEach(append([]string{"PATH=" + e.path, "SHELL=" + e.shell, "USER=" + user, "LOGNAME=" + user}, env...)) // SHELL: which bash would look for in the list of users
	if err := s.enter(); err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

// userName returns how the user is called whom the steps of a build run as.
func (e *Executor) userName(owner owner) string {
	switch {
	case owner.user != 0:
		return nameOf(owner.user)
	case e.bubblewrap != nil:
		return nameOf(os.Geteuid())
	default:
		return e.user
	}
}

// enter makes the directory of a build and starts what it runs in.
func (s *session) enter() (err error) {
	if s.executor.bubblewrap != nil {
		err = s.enterSandbox()
	} else {
		err = s.enterHost()
	}
	if err == nil {
		err = s.supervisor.group.limit(s.limits)
	}
	if err != nil {
		return err
	}
	if err := s.openDirs(); err != nil {
		return fmt.Errorf("open the build's directory: %w", err)
	}
	for _, name := range append(s.executor.subdirectories(), scriptFile, ".") {
		if err := s.owner.give(s.buildDir, name); err != nil {
			return fmt.Errorf("give the build's directory to its user: %w", err)
		}
	}
	return nil
}

// openDirs opens the directories of the build, before any step can change them.
func (s *session) openDirs() (err error) {
	e := s.executor
	s.Directory = executor.Directory{Name: "workspace", Own: s.owner.giveOpen, Allowed: s.owner.owns}
	if e.fixed != "" { // the files there may be anybody's
		s.Name, s.Allowed = ".", nil
	}
	if s.Parent, err = os.OpenRoot(cmp.Or(e.fixed, s.dir)); err != nil {
		return err
	}
	if s.buildDir, err = e.trash.Dir().OpenDir(s.record); err != nil {
		return errors.Join(err, s.Parent.Close())
	}
	return nil
}

func (s *session) enterSandbox() error {
	ready, err := s.executor.sandboxes.take()
	if err != nil {
		return fmt.Errorf("start the build's sandbox: %w", err)
	}
	if err := nameBuildDir(ready.dir, s.dir); err != nil {
		return errors.Join(fmt.Errorf("make the build's directory: %w", err), ready.close())
	}
	s.made, s.fresh, s.supervisor = true, true, ready.supervisor
	return nil
}

func (s *session) enterHost() error {
	dir, err := s.executor.buildDirs.take()
	if err != nil {
		return fmt.Errorf("make the build's directory: %w", err)
	}
	if err := nameBuildDir(dir, s.dir); err != nil {
		return errors.Join(fmt.Errorf("make the build's directory: %w", err), s.executor.discard(dir))
	}
	s.made, s.fresh = true, true
	if s.supervisor, err = s.executor.supervisors.take(); err != nil {
		return fmt.Errorf("start the build's supervisor: %w", err)
	}
	return nil
}

// makeSupervisor starts a supervisor in a control group of its own.
func (e *Executor) makeSupervisor() (*supervisor, error) {
	v, err := startSupervisor(e.dir, e.patience)
	if err != nil {
		return nil, err
	}
	return v, e.confine(v)
}

// confine puts a supervisor that has done nothing yet into a group of its own, or ends it.
func (e *Executor) confine(v *supervisor) (err error) {
	if e.groups == nil {
		return nil
	}
	if v.group, err = e.groups.add(v.pids(), e.patience); err == nil {
		err = v.group.limit(limitsOf("")) // which most builds have, so that they need not set them
	}
	if err != nil {
		return errors.Join(err, v.close())
	}
	return nil
}

// recoverTime is how long what builds have left behind has to end and to be removed before the first build begins.
const recoverTime = 20 * time.Second

// Recover implements [executor.Executor]. What cannot be ended or removed now is a warning, since builds can run nevertheless: files are
// tried again later, and no build gets the user of a process that lives on.
func (e *Executor) Recover(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recoverTime)
	defer cancel()
	if err := e.closePools(); err != nil { // which could not be told from what is left of an earlier life
		e.log.Warn("what was made for builds cannot be ended", "error", err)
	}
	entries, err := os.ReadDir(e.dir)
	if err != nil {
		return fmt.Errorf("list the builds that were left behind: %w", err)
	}
	// A supervisor whose server was killed ends all that it watches. Only what it does not find has to be looked for.
	if err := awaitSupervisors(ctx, e.dir, e.patience); err != nil {
		e.log.Warn("supervisors of an earlier life cannot be ended", "error", err)
	}
	if e.groups != nil {
		if err := e.groups.clear(ctx); err != nil {
			e.log.Warn("control groups of an earlier life cannot be removed", "error", err)
		}
	}
	for _, entry := range entries {
		if entry.IsDir() && !strings.HasPrefix(entry.Name(), leftover) {
			e.recoverBuild(ctx, entry)
		}
	}
	if err := e.trash.Empty(ctx); err != nil {
		e.log.Warn("what was set aside cannot be listed", "error", err)
	}
	for range firstReady {
		e.refill()
	}
	return nil
}

// recoverBuild ends and removes what a build left behind. While a process of it lives, its directory stays, so that the next start
// knows of it as well.
func (e *Executor) recoverBuild(ctx context.Context, dir fs.DirEntry) {
	if err := sweep(ctx, dir.Name(), 0); err != nil {
		e.log.Warn("processes that a build left behind cannot be ended; no other build gets their user", "record", dir.Name(), "error", err)
		if info, err := e.trash.Dir().Stat(dir.Name()); err == nil && e.users != nil {
			e.users.retire(info.Owner())
		}
		return
	}
	if err := e.trash.Remove(ctx, e.trash.Dir(), dir.Name()); err != nil {
		e.log.Warn("the directory that a build left behind cannot be removed", "record", dir.Name(), "error", err)
	}
}

// Discard removes something below the directory of a build, whatever a step has made of it. No link may lead to it.
func (e *Executor) Discard(ctx context.Context, record, name string) error {
	dir, err := e.trash.Dir().OpenDir(path.Join(record, path.Dir(name)))
	if err != nil {
		return err
	}
	defer dir.Close()
	return e.trash.Remove(ctx, dir, path.Base(name))
}

// firstReady is how much is made before there is a build. Builds that follow one another without pause are quicker than
// sandboxes, for a while.
const firstReady = 4

// refill makes, in the background, what one more build needs.
func (e *Executor) refill() {
	if e.bubblewrap != nil {
		e.sandboxes.refill()
	} else {
		e.buildDirs.refill()
		e.supervisors.refill()
	}
}

// Close ends what no build has taken. No build may be opened any more.
func (e *Executor) Close() error {
	err := e.closePools()
	if e.groups != nil {
		e.groups.leave()
	}
	return errors.Join(err, e.trash.Close())
}

func (e *Executor) closePools() error {
	err := errors.Join(e.sandboxes.close(), e.supervisors.close(), e.buildDirs.close())
	if e.bubblewrap != nil {
		err = errors.Join(err, e.bubblewrap.settings.drop())
	}
	return err
}

// Limits of the kernel, in bytes.
const maxString = 128<<10 - 1 // of one variable with its name

// marker is the variable by which the processes of a build are found when nothing else leads to them.
const marker = "ATELIER_BUILD_RECORD_ID"

// Environment returns the environment of the steps of a build in a directory, without PATH: these variables and the build's own,
// nothing of the server's. What the build sets wins, except over what says where it runs.
func Environment(dir, workspace string, build executor.Build) ([]string, error) {
	env := []string{
		"HOME=" + filepath.Join(dir, "home"),
		"TMPDIR=" + filepath.Join(dir, "tmp"),
		"LANG=C.UTF-8",
		"TERM=dumb",
		"CI=true",
	}
	for _, p := range build.Env {
		if p.Name == "" || strings.ContainsAny(p.Name, "=\x00") {
			return nil, fault.New(fault.Invalid, "the parameter %q cannot be an environment variable: its name is empty or holds = or a zero byte", p.Name)
		}
		if strings.Contains(p.Value, "\x00") {
			return nil, fault.New(fault.Invalid, "the parameter %s cannot be an environment variable: its value holds a zero byte", p.Name)
		}
		if n := len(p.Name) + 1 + len(p.Value); n > maxString {
			return nil, fault.New(fault.Invalid, "the parameter %s cannot be an environment variable: with its name it has %d bytes, at most %d are allowed",
				p.Name, n, maxString)
		}
		env = append(env, p.Name+"="+p.Value)
	}
	env = append(env, "WORKSPACE="+workspace, marker+"="+build.Record)
	return lastOfEach(env), nil
}

// lastOfEach keeps, of variables with the same name, the last.
func lastOfEach(env []string) []string {
	at := make(map[string]int, len(env))
	var kept []string
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		if i, ok := at[name]; ok {
			kept[i] = v
			continue
		}
		at[name] = len(kept)
		kept = append(kept, v)
	}
	return kept
}
