package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"atelier/internal/fault"
	"atelier/internal/needs"
	"atelier/internal/source/sourcetest"
)

// direct runs git as a child of the test.
type direct struct {
	dir       string // new
	workspace string
	environ   []string
}

func (d direct) Check(string) error { return nil }

func (d direct) Place(_ context.Context, dir string) error {
	at := filepath.Join(d.workspace, dir)
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(d.dir)
	for _, e := range entries {
		err = errors.Join(err, os.Rename(filepath.Join(d.dir, e.Name()), filepath.Join(at, e.Name())))
	}
	return err
}

func (d direct) Git(ctx context.Context, dir string, args, env []string, out io.Writer) (int, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = filepath.Join(d.dir, dir), slices.Concat(d.environ, env)
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// workspace is where a test checks out.
type workspace struct {
	*sourcetest.Repository
	client *Client
	said   bytes.Buffer
}

func newWorkspace(t testing.TB, r remote) *workspace {
	return &workspace{Repository: sourcetest.Open(t, t.TempDir()), client: r.client(t)}
}

func (w *workspace) checkout(t testing.TB, spec Checkout) error {
	t.Helper()
	w.said.Reset()
	return w.client.Checkout(t.Context(), direct{t.TempDir(), w.Dir, w.client.Environ()}, spec, &w.said)
}

// must checks out and fails the test if that fails.
func (w *workspace) must(t testing.TB, spec Checkout) {
	t.Helper()
	if err := w.checkout(t, spec); err != nil {
		t.Fatalf("%+v: %v\n%s", spec, err, &w.said)
	}
}

func (w *workspace) read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.Dir, name))
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

func TestCheckout(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	a := newApp(t, root)
	smart := smartHTTP(t, root, "")
	old := smartHTTP(t, root, "").configure(t, "[protocol]\n\tversion = 0\n") // commits are given out only with a branch
	for name, test := range map[string]struct {
		remote  remote
		spec    Checkout
		id      string
		commits string // of the history
	}{
		"default branch":                {local(t, root), Checkout{Depth: 1}, a.tip, "1"},
		"branch":                        {local(t, root), Checkout{Branch: "main", Depth: 2}, a.tip, "2"},
		"whole history":                 {local(t, root), Checkout{Branch: "main"}, a.tip, "3"},
		"branch with a slash":           {smart, Checkout{Branch: "feature/side", Depth: 1}, a.side, "1"},
		"huge depth":                    {local(t, root), Checkout{Branch: "main", Depth: 1 << 40}, a.tip, "3"},
		"tag":                           {local(t, root), Checkout{Tag: "light", Branch: "main", Depth: 1}, a.first, "1"},
		"annotated tag":                 {smart, Checkout{Tag: "nested", Depth: 1}, a.first, "1"},
		"commit":                        {local(t, root), Checkout{Commit: a.second, Tag: "light", Branch: "main", Depth: 1}, a.second, "1"},
		"commit, upper case":            {smart, Checkout{Commit: strings.ToUpper(a.second), Depth: 1}, a.second, "1"},
		"commit of another branch":      {smart, Checkout{Commit: a.side, Branch: "main", Depth: 1}, a.side, "1"},
		"short commit":                  {smart, Checkout{Commit: a.second[:7], Depth: 1}, a.second, "2"},
		"commit, deepened":              {old, Checkout{Commit: a.first, Branch: "main", Depth: 1}, a.first, "1"},
		"commit, in the whole":          {old, Checkout{Commit: a.first, Depth: 1}, a.first, "1"},
		"commit, tip of another branch": {old, Checkout{Commit: a.side, Branch: "main", Depth: 1}, a.side, "1"},
		"commit, whole history":         {old, Checkout{Commit: a.second, Branch: "main"}, a.second, "2"},
		"below the workspace":           {local(t, root), Checkout{Branch: "main", Depth: 1, Path: "src/app"}, a.tip, "1"},
		"below, written oddly":          {local(t, root), Checkout{Branch: "main", Depth: 1, Path: "./src//app/"}, a.tip, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkspace(t, test.remote)
			w.Write("there before", "")
			test.spec.URL = test.remote.url("app")
			w.must(t, test.spec)
			if test.spec.Path != "" {
				w.Repository = sourcetest.Open(t, filepath.Join(w.Dir, "src/app"))
			}
			for args, want := range map[string]string{
				"rev-parse HEAD":             test.id,
				"rev-list --count HEAD":      test.commits,
				"rev-parse --abbrev-ref @":   "HEAD", // detached
				"config remote.origin.url":   test.spec.URL,
				"status --short -uno":        "",
				"cat-file -p HEAD:build.yml": w.read(t, "build.yml"),
			} {
				if got := w.Git(strings.Fields(args)...); got != want {
					t.Errorf("git %s: %q, want %q\n%s", args, got, want, &w.said)
				}
			}
			if strings.Contains(w.said.String(), "hint:") || w.said.Len() > 2000 {
				t.Errorf("too many words:\n%s", &w.said)
			}
		})
	}
}

func TestCheckoutProblems(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	newApp(t, root)
	r, none := local(t, root), strings.Repeat("0", 39)+"1"
	for name, test := range map[string]struct {
		spec Checkout
		kind fault.Kind
		says string
	}{
		"no such branch":         {Checkout{Branch: "missing", Depth: 1}, fault.NotFound, "has no branch missing"},
		"no such tag":            {Checkout{Tag: "missing", Depth: 1}, fault.NotFound, "has no tag missing"},
		"tag of a tree":          {Checkout{Tag: "tree", Depth: 1}, fault.Unavailable, "git checkout"},
		"no such commit":         {Checkout{Commit: none, Branch: "main", Depth: 1}, fault.NotFound, "has no commit " + none},
		"no such short commit":   {Checkout{Commit: none[:8]}, fault.NotFound, "has no commit " + none[:8]},
		"no such repository":     {Checkout{URL: r.url("app/.git/objects")}, fault.Forbidden, "does not exist, or"},
		"address not allowed":    {Checkout{URL: "ext::sh"}, fault.Invalid, "remote helper"},
		"password":               {Checkout{URL: "https://me:secret@example.org/a"}, fault.Invalid, "credentials of the server"},
		"branch like an option":  {Checkout{Branch: "--upload-pack=x"}, fault.Invalid, "hyphen"},
		"commit like an option":  {Checkout{Commit: "--upload-pack=x"}, fault.Invalid, "hexadecimal"},
		"path out of it":         {Checkout{Path: "a/../../b"}, fault.Invalid, "below the workspace"},
		"absolute path":          {Checkout{Path: "/a"}, fault.Invalid, "below the workspace"},
		"path in a repository":   {Checkout{Path: "a/.git/b"}, fault.Invalid, "below the workspace"},
		"path with control":      {Checkout{Path: "a\nb"}, fault.Invalid, "below the workspace"},
		"commit of another kind": {Checkout{Commit: strings.Repeat("0", 64)}, fault.Invalid, "another kind"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.spec.URL == "" {
				test.spec.URL = r.url("app")
			}
			err := newWorkspace(t, r).checkout(t, test.spec)
			if !fault.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v, want kind %d and %q", err, test.kind, test.says)
			}
		})
	}
}

// What the server's user has in his configuration for his own work must not change builds; what he has for access must help.
func TestCheckoutWithConfiguration(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	a := newApp(t, root)
	r := smartHTTP(t, root, "correct-horse")
	hooks, ran := t.TempDir(), t.TempDir()+"/ran"
	if err := os.WriteFile(hooks+"/post-checkout", []byte("#!/bin/sh\ntouch "+ran), 0o755); err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(r.base, "https://")
	r.configure(t, "[url \"https://me:correct-horse@"+host+"\"]\n\tinsteadOf = https://"+host+"\n[core]\n\thooksPath = "+hooks+
		"\n[init]\n\ttemplateDir = "+hooks+"\n\tdefaultBranch = -x\n[submodule]\n\trecurse = true\n[fetch]\n\tprune = true\n\tfsckObjects = true\n")
	w := newWorkspace(t, r)
	w.must(t, Checkout{URL: r.url("app"), Branch: "main", Depth: 1})
	if got := w.Git("rev-parse", "HEAD"); got != a.tip {
		t.Errorf("HEAD = %s, want %s", got, a.tip)
	}
	if err := w.checkout(t, Checkout{URL: r.url("missing"), Branch: "main", Depth: 1, Path: "other"}); !fault.Is(err, fault.Forbidden) {
		t.Error(err)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a hook ran")
	}
	_ = filepath.Walk(w.Dir+"/.git", func(name string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() && strings.Contains(w.read(t, strings.TrimPrefix(name, w.Dir)), "correct-horse") {
			t.Errorf("the password is in %s", name)
		}
		return err
	})
	if strings.Contains(w.said.String(), "horse") {
		t.Errorf("the password was printed:\n%s", &w.said)
	}
}

func TestSubmodules(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	inner, middle, outer := sourcetest.New(t, root+"/inner"), sourcetest.New(t, root+"/middle"), sourcetest.New(t, root+"/outer")
	inner.Write("file", "pinned")
	inner.Commit("pinned")
	middle.Git("submodule", "--quiet", "add", "../inner", "deep/inner dir")
	middle.Commit("with a submodule")
	inner.Write("file", "newer")
	inner.Commit("newer") // so that the pinned commit is no tip
	outer.Git("submodule", "--quiet", "add", "--name", "some name", root+"/middle", "middle")
	outer.Git("config", "--file", ".gitmodules", "submodule.some name.url", "../middle")
	outer.Commit("with a submodule that has one")
	for name, test := range map[string]struct {
		remote remote
		depth  int
	}{
		"file, whole":              {local(t, root), 0},
		"file, shallow":            {local(t, root), 1},
		"smart, shallow":           {smartHTTP(t, root, ""), 1},
		"no commits by id, not it": {smartHTTP(t, root, "").configure(t, "[protocol]\n\tversion = 0\n"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkspace(t, test.remote)
			w.must(t, Checkout{URL: test.remote.url("outer"), Branch: "main", Depth: test.depth, Submodules: true, Path: "src"})
			if got := w.read(t, "src/middle/deep/inner dir/file"); got != "pinned" {
				t.Errorf("the submodule holds %q\n%s", got, &w.said)
			}
			w = newWorkspace(t, test.remote)
			w.must(t, Checkout{URL: test.remote.url("outer"), Branch: "main", Depth: test.depth})
			if entries, _ := os.ReadDir(w.Dir + "/middle"); len(entries) > 0 {
				t.Errorf("submodules were fetched that nobody asked for: %v", entries)
			}
		})
	}
}

// A repository decides what its submodules are. It must not decide more than that.
func TestWickedSubmodules(t *testing.T) {
	t.Parallel()
	root, outside := t.TempDir(), t.TempDir()
	secret := sourcetest.New(t, outside+"/secret")
	secret.Write("file", "secret")
	commit := secret.Commit("secret")
	sourcetest.New(t, root+"/lib").Commit("lib")
	touched := outside + "/touched"
	for name, test := range map[string]struct{ modules, says string }{
		"out of the roots":  {"[submodule \"a\"]\n\tpath = a\n\turl = file://" + outside + "/secret\n", "must be file://"},
		"relative path":     {"[submodule \"a\"]\n\tpath = a\n\turl = ../../" + filepath.Base(filepath.Dir(outside)) + "/../secret\n", ".gitmodules of"},
		"plain path":        {"[submodule \"a\"]\n\tpath = a\n\turl = " + outside + "/secret\n", "not the address of a remote repository"},
		"helper":            {"[submodule \"a\"]\n\tpath = a\n\turl = ext::touch% " + touched + "\n", ".gitmodules of"},
		"option":            {"[submodule \"a\"]\n\tpath = a\n\turl = --upload-pack=touch\n", "submodule"},
		"password":          {"[submodule \"a\"]\n\tpath = a\n\turl = https://me:pass@example.org/a\n", "credentials of the server"},
		"line end":          {"[submodule \"a\"]\n\tpath = a\n\turl = \"https://example.org/a\\nfile:///etc\"\n", ".gitmodules of"},
		"second of two":     {"[submodule \"a\"]\n\tpath = a\n\turl = ../lib\n[submodule \"b\"]\n\tpath = b\n\turl = /etc\n", "not the address of a remote repository"},
		"command":           {"[submodule \"a\"]\n\tpath = a\n\turl = ../lib\n\tupdate = !touch " + touched + "\n", ""},
		"not even a config": {"[submodule", "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := sourcetest.New(t, filepath.Join(root, strings.ReplaceAll(name, " ", "-")))
			repo.Write(".gitmodules", test.modules)
			for _, path := range strings.Split("ab", "")[:strings.Count(test.modules, "path")] {
				repo.Git("update-index", "--add", "--cacheinfo", "160000,"+commit+","+path)
			}
			repo.Git("add", ".gitmodules")
			repo.Git("commit", "--quiet", "--message", "wicked")
			w := newWorkspace(t, local(t, root))
			err := w.checkout(t, Checkout{URL: repo.URL(), Depth: 1, Submodules: true})
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %q\n%s", err, test.says, &w.said)
			}
			if _, err := os.Stat(w.Dir + "/a/file"); err == nil {
				t.Error("the submodule was fetched")
			}
			if _, err := os.Stat(touched); err == nil {
				t.Error("a command ran")
			}
		})
	}
}

func TestNestedTooDeep(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	repo := sourcetest.New(t, root+"/nest")
	commit := repo.Commit("bottom")
	repo.Write(".gitmodules", "[submodule \"a\"]\n\tpath = a\n\turl = ../nest\n")
	for range maxLevels + 1 {
		repo.Git("update-index", "--add", "--cacheinfo", "160000,"+commit+",a")
		repo.Git("add", ".gitmodules")
		repo.Git("commit", "--quiet", "--message", "one more")
		commit = repo.Git("rev-parse", "HEAD")
	}
	w := newWorkspace(t, local(t, root))
	if err := w.checkout(t, Checkout{URL: repo.URL(), Submodules: true}); !fault.Is(err, fault.Limit) {
		t.Errorf("%v\n%s", err, &w.said)
	}
}

func TestLFS(t *testing.T) {
	t.Parallel()
	needs.Program(t, "git-lfs")
	root := t.TempDir()
	repo := sourcetest.New(t, root+"/app")
	repo.Git("lfs", "install", "--local")
	repo.Git("lfs", "track", "*.bin")
	repo.Write("large.bin", "a large file")
	repo.Commit("with a large file")
	r := local(t, root)

	w := newWorkspace(t, r)
	w.must(t, Checkout{URL: r.url("app"), Depth: 1, LFS: true, Path: "with"})
	if got := w.read(t, "with/large.bin"); got != "a large file" {
		t.Errorf("the large file holds %q\n%s", got, &w.said)
	}
	if got := sourcetest.Open(t, w.Dir+"/with").Git("status", "--short"); got != "" {
		t.Errorf("changed: %s", got)
	}
	w.must(t, Checkout{URL: r.url("app"), Depth: 1, Path: "without"})
	if got := w.read(t, "without/large.bin"); !strings.HasPrefix(got, "version https://git-lfs") {
		t.Errorf("without large files it holds %q", got)
	}

	repo.Git("config", "--file", ".lfsconfig", "lfs.url", "file:///etc/shadow")
	repo.Commit("somewhere else")
	if err := w.checkout(t, Checkout{URL: r.url("app"), Depth: 1, LFS: true, Path: "wicked"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v\n%s", err, &w.said)
	}
}

// TestLinkedLFSConfiguration has a link to a configuration file of the server's in the place of the repository's.
func TestLinkedLFSConfiguration(t *testing.T) {
	t.Parallel()
	needs.Program(t, "git-lfs")
	root := t.TempDir()
	repo := sourcetest.New(t, root+"/app")
	private := t.TempDir() + "/config"
	if err := errors.Join(os.WriteFile(private, []byte("[remote \"x\"]\n\turl = https://user:secret@example.org\n"), 0o600),
		os.Symlink(private, repo.Dir+"/.lfsconfig")); err != nil {
		t.Fatal(err)
	}
	repo.Commit("linked")
	r := local(t, root)
	w := newWorkspace(t, r)
	err := w.checkout(t, Checkout{URL: r.url("app"), Depth: 1, LFS: true})
	if why, _ := fault.Public(err); !strings.Contains(why, "cannot be read") || strings.Contains(why+w.said.String(), "secret") {
		t.Errorf("%v\n%s", err, &w.said)
	}
}

func TestWithoutLFS(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	newApp(t, root)
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(git, bin+"/git"); err != nil {
		t.Fatal(err)
	}
	r := local(t, root)
	// git looks for the program in its own directory first, where distributions do not put git-lfs.
	r.environ = append(r.environ, "PATH="+bin)
	w := newWorkspace(t, r)
	// A step may have made a repository around the one that is to be: what that says of lfs is none of git's business.
	planted, obeyed := sourcetest.New(t, w.Dir), root+"/obeyed"
	planted.Git("config", "alias.lfs", "!: > "+obeyed)
	err = w.checkout(t, Checkout{URL: r.url("app"), Depth: 1, LFS: true, Path: "app"})
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "git-lfs is not installed") {
		t.Error(err)
	}
	if _, err := os.Stat(obeyed); err == nil {
		t.Error("git ran what a step wanted")
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	text := "From https://token@example.org/a\nssh://git@example.org/b\rhttp://u:p@h/c and https://x:y@z"
	want := "From https://***@example.org/a\nssh://git@example.org/b\rhttp://***@h/c and https://***@z"
	for cut := range len(text) {
		var out bytes.Buffer
		c := &clean{out: &out}
		for _, part := range []string{text[:cut], text[cut:]} {
			if _, err := c.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Flush(); err != nil || out.String() != want {
			t.Fatalf("cut at %d: %q, %v", cut, &out, err)
		}
	}
}
