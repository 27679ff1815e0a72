package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"atelier/internal/fault"
	"atelier/internal/source/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// app is a repository with something of everything.
type app struct {
	*sourcetest.Repository
	first, second, tip, side string
}

func newApp(t testing.TB, root string) app {
	t.Helper()
	a := app{Repository: sourcetest.New(t, root+"/app")}
	a.Write("build.yml", "version: 1")
	a.first = a.Commit("first")
	a.Git("tag", "light")
	a.Git("tag", "--annotate", "--message", "a tag", "v1.0")
	a.Git("tag", "--annotate", "--message", "a tag of a tag", "nested", "v1.0")
	a.Git("tag", "tree", "HEAD^{tree}")
	a.Write("build.yml", "version: 2")
	a.second = a.Commit("second")
	a.Write("build.yml", "version: 3")
	a.Write("dir/with space/日本.txt", "hello\n")
	a.Write("large", strings.Repeat("x", 3<<20))
	for name, target := range map[string]string{"link.yml": "build.yml", "out.yml": "../../etc/passwd", "gone.yml": "gone"} {
		if err := os.Symlink(target, a.Dir+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	a.tip = a.Commit("tip of main\n\nwith ünïcödé")
	a.Git("switch", "--quiet", "--create", "feature/side", a.first)
	a.side = a.Commit("side")
	a.Git("switch", "--quiet", "main")
	a.Git("update-server-info")
	return a
}

func TestClient(t *testing.T) {
	t.Parallel()
	for name, reach := range map[string]func(t *testing.T, root string) remote{
		"file":  func(t *testing.T, root string) remote { return local(t, root) },
		"smart": func(t *testing.T, root string) remote { return smartHTTP(t, root, "") },
		"smart, v0": func(t *testing.T, root string) remote {
			return smartHTTP(t, root, "").configure(t, "[protocol]\n\tversion = 0\n")
		},
		"dumb": func(t *testing.T, root string) remote { return overTLS(t, http.FileServer(http.Dir(root))) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			a := newApp(t, root)
			r := reach(t, root)
			url := r.url("app")
			if name == "dumb" {
				url += "/.git"
			}
			testResolve(t, r.client(t), url, a)
			testReadFile(t, r.client(t), url, a)
		})
	}
}

func TestSSH(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	a := newApp(t, root)
	r := overSSH(t, root)
	c := r.client(t)
	for _, ref := range []Ref{{}, {Commit: a.tip}} {
		if got, err := c.Resolve(t.Context(), r.url("app"), ref); err != nil || got.ID != a.tip {
			t.Errorf("%+v: %+v, %v", ref, got, err)
		}
	}
	if got, err := c.ReadFile(t.Context(), r.url("app"), a.tip, "build.yml", 100); string(got) != "version: 3" {
		t.Error(string(got), err)
	}
}

func testResolve(t *testing.T, c *Client, url string, a app) {
	t.Helper()
	want := map[string]Commit{
		a.first:  {ID: a.first, Message: "first", Time: sourcetest.Time},
		a.second: {ID: a.second, Message: "second", Time: sourcetest.Time},
		a.tip:    {ID: a.tip, Message: "tip of main\n\nwith ünïcödé", Time: sourcetest.Time},
		a.side:   {ID: a.side, Message: "side", Time: sourcetest.Time},
	}
	for _, test := range []struct {
		ref    Ref
		id     string
		branch string
	}{
		{Ref{}, a.tip, "main"},
		{Ref{Branch: "main"}, a.tip, "main"},
		{Ref{Branch: "main"}, a.tip, "main"},
		{Ref{Branch: "feature/side"}, a.side, "feature/side"},
		{Ref{Tag: "light"}, a.first, ""},
		{Ref{Tag: "v1.0", Branch: "main"}, a.first, "main"},
		{Ref{Tag: "nested"}, a.first, ""},
		{Ref{Commit: a.second}, a.second, ""},
		{Ref{Commit: strings.ToUpper(a.second)}, a.second, ""},
		{Ref{Commit: a.second[:8], Tag: "v1.0", Branch: "main"}, a.second, "main"},
		{Ref{Commit: a.tip[:7]}, a.tip, ""},
	} {
		got, err := c.Resolve(t.Context(), url, test.ref)
		wanted := want[test.id]
		wanted.Branch = test.branch
		if diff := cmp.Diff(wanted, got); err != nil || diff != "" {
			t.Errorf("Resolve(%+v): %v\n%s", test.ref, err, diff)
		}
	}
	heads, standard, err := c.Branches(t.Context(), url)
	if diff := cmp.Diff(map[string]string{"main": a.tip, "feature/side": a.side}, heads); err != nil || diff != "" || standard != "main" {
		t.Errorf("the branches, of which the default is %q, %v:\n%s", standard, err, diff)
	}
	for _, test := range []struct {
		ref  Ref
		says string
	}{
		{Ref{Branch: "missing"}, "was read, but it has no branch missing"},
		{Ref{Branch: "mai"}, "was read, but it has no branch mai"},
		{Ref{Tag: "v9"}, "was read, but it has no tag v9"},
		{Ref{Tag: "tree"}, "was read, but it has no tag tree of a commit"},
		{Ref{Commit: strings.Repeat("0", 39) + "1"}, "was read, but it has no commit 0"},
		{Ref{Commit: "0000001"}, "was read, but it has no commit 0000001"},
	} {
		_, err := c.Resolve(t.Context(), url, test.ref)
		if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("Resolve(%+v): %v, want not found and %q", test.ref, err, test.says)
		}
	}
}

func testReadFile(t *testing.T, c *Client, url string, a app) {
	t.Helper()
	for _, test := range []struct{ commit, name, want string }{
		{a.first, "build.yml", "version: 1"},
		{a.tip, "build.yml", "version: 3"},
		{a.second, "./build.yml", "version: 2"},
		{a.tip, "dir/with space/日本.txt", "hello\n"},
		{a.tip, "link.yml", "version: 3"},
	} {
		got, err := c.ReadFile(t.Context(), url, test.commit, test.name, 100)
		if err != nil || string(got) != test.want {
			t.Errorf("ReadFile(%s, %s) = %q, %v, want %q", test.commit, test.name, got, err, test.want)
		}
	}
	for _, test := range []struct {
		commit, name string
		kind         fault.Kind
		says         string
	}{
		{a.tip, "missing.yml", fault.NotFound, "no file missing.yml in commit " + a.tip},
		{a.first, "link.yml", fault.NotFound, "no file link.yml"},
		{a.tip, "missing 5", fault.NotFound, "no file missing 5"},
		{a.tip, "dir", fault.NotFound, "not a file"},
		{a.tip, "out.yml", fault.NotFound, "link"},
		{a.tip, "gone.yml", fault.NotFound, "link"},
		{a.tip, "large", fault.Limit, "has 3145728 bytes, at most 100"},
		{a.tip, "../build.yml", fault.Invalid, "not that of a file"},
		{a.tip, "/etc/passwd", fault.Invalid, "not that of a file"},
		{a.tip, "", fault.Invalid, "not that of a file"},
		{a.tip, "a\nb", fault.Invalid, "not that of a file"},
		{a.tip[:10], "build.yml", fault.Invalid, "not that of a file"},
		{strings.Repeat("0", 39) + "1", "build.yml", fault.NotFound, "has no commit 000"},
	} {
		_, err := c.ReadFile(t.Context(), url, test.commit, test.name, 100)
		if !fault.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("ReadFile(%s, %s): %v, want %q", test.commit, test.name, err, test.says)
		}
	}
	// The limit itself is allowed.
	if got, err := c.ReadFile(t.Context(), url, a.tip, "large", 3<<20); err != nil || len(got) != 3<<20 {
		t.Errorf("large file: %d bytes, %v", len(got), err)
	}
}

func TestResolveFollowsTheBranch(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	r := local(t, root)
	repo, c := sourcetest.New(t, root+"/app"), r.client(t)
	if _, err := c.Resolve(t.Context(), r.url("app"), Ref{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("an empty repository: %v", err)
	}
	for i := range 5 {
		repo.Write("n", fmt.Sprint(i))
		want := repo.Commit(fmt.Sprint(i))
		got, err := c.Resolve(t.Context(), r.url("app"), Ref{Branch: "main"})
		if err != nil || got.ID != want {
			t.Fatalf("%s, %v, want %s", got.ID, err, want)
		}
		if text, err := c.ReadFile(t.Context(), r.url("app"), want, "n", 10); string(text) != fmt.Sprint(i) {
			t.Fatalf("%q, %v", text, err)
		}
	}
}

func TestMirrorIsOnlyACache(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	a, r := newApp(t, root), local(t, root)
	c := r.client(t)
	if _, err := c.Resolve(t.Context(), r.url("app"), Ref{}); err != nil {
		t.Fatal(err)
	}
	damage := func(do func(dir string) error) {
		if err := do(c.mirrors[mirrorKey{url: r.url("app")}].dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("a lock that was left behind", func(t *testing.T) {
		damage(func(dir string) error { return os.WriteFile(dir+"/shallow.lock", nil, 0o600) })
		if got, err := c.Resolve(t.Context(), r.url("app"), Ref{Branch: "feature/side"}); err != nil || got.ID != a.side {
			t.Error(got, err)
		}
	})
	t.Run("gone", func(t *testing.T) {
		damage(os.RemoveAll)
		if got, err := c.ReadFile(t.Context(), r.url("app"), a.tip, "build.yml", 100); string(got) != "version: 3" {
			t.Error(string(got), err)
		}
	})
	t.Run("used up", func(t *testing.T) {
		c.mirrors[mirrorKey{url: r.url("app")}].fetches = maxFetches
		old := c.mirrors[mirrorKey{url: r.url("app")}].dir
		if got, err := c.Resolve(t.Context(), r.url("app"), Ref{Tag: "light"}); err != nil || got.ID != a.first {
			t.Error(got, err)
		}
		if _, err := os.Stat(old); !os.IsNotExist(err) {
			t.Error("the old directory is still there:", err)
		}
	})
	t.Run("of an earlier client", func(t *testing.T) {
		writeFile(t, c.dir+"/notes", "not ours")
		if _, err := New(Config{Dir: c.dir}); err != nil {
			t.Fatal(err)
		}
		entries, _ := os.ReadDir(c.dir)
		if len(entries) != 1 || entries[0].Name() != "notes" {
			t.Error(entries)
		}
	})
}

func TestMirrorsAreFew(t *testing.T) {
	t.Parallel()
	c := remote{}.client(t)
	for i := range 2 * maxMirrors {
		m, err := c.enter(t.Context(), fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 { // the first stays in use
			c.leave(m)
		}
	}
	if len(c.mirrors) != maxMirrors || c.mirrors[mirrorKey{url: "0"}] == nil || c.mirrors[mirrorKey{url: fmt.Sprint(2*maxMirrors - 1)}] == nil {
		t.Errorf("%d mirrors are left", len(c.mirrors))
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	a, r := newApp(t, root), local(t, root)
	c := r.client(t)
	var wg sync.WaitGroup
	for _, ref := range []Ref{{}, {Branch: "feature/side"}, {Tag: "v1.0"}, {Commit: a.second}, {Branch: "main"}, {Commit: a.first[:9]}} {
		for range 3 {
			wg.Go(func() {
				got, err := c.Resolve(t.Context(), r.url("app"), ref)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := c.ReadFile(t.Context(), r.url("app"), got.ID, "build.yml", 100); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
}

func TestSHA256(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	repo, r := sourcetest.New(t, root+"/app", "--object-format=sha256"), local(t, root)
	repo.Write("build.yml", "version: 1")
	want := repo.Commit("first")
	c := r.client(t)
	for _, ref := range []Ref{{}, {Branch: "main"}, {Commit: want}} {
		if got, err := c.Resolve(t.Context(), r.url("app"), ref); err != nil || got.ID != want {
			t.Errorf("%+v: %+v, %v", ref, got, err)
		}
	}
	if got, err := c.ReadFile(t.Context(), r.url("app"), want, "build.yml", 100); string(got) != "version: 1" {
		t.Error(string(got), err)
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	newApp(t, root)
	protected := smartHTTP(t, root, "correct horse")
	redirected := overTLS(t, http.RedirectHandler("file:///etc/app/info/refs?service=git-upload-pack", http.StatusMovedPermanently))
	closed := overTLS(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }))
	untrusted := smartHTTP(t, root, "")
	untrusted.environ = sourcetest.Environ(untrusted.home)
	for name, test := range map[string]struct {
		remote remote
		path   string
		kind   fault.Kind
		says   string
	}{
		"no such repository":            {local(t, root), "", fault.Invalid, "must be file://"},
		"no repository there":           {local(t, root), "app/dir", fault.Forbidden, "does not exist, or"},
		"no such repository by https":   {smartHTTP(t, root, ""), "missing", fault.Forbidden, "does not exist, or"},
		"no credentials":                {protected, "app", fault.Forbidden, "credentials of the server"},
		"certificate of a stranger":     {untrusted, "app", fault.Unavailable, "certificate"},
		"redirected to a file":          {redirected, "app", fault.Unavailable, "does not answer"},
		"closed connection":             {closed, "app", fault.Unavailable, "does not answer"},
		"nobody listens":                {remote{base: "https://127.0.0.1:1/", environ: sourcetest.Environ(t.TempDir())}, "app", fault.Unavailable, "does not answer"},
		"no such host":                  {remote{base: "https://host.invalid/", environ: sourcetest.Environ(t.TempDir())}, "app", fault.Unavailable, "not known"},
		"not allowed":                   {remote{base: "ext::sh -c ", environ: sourcetest.Environ(t.TempDir())}, "app", fault.Invalid, "space"},
		"rewritten to something wicked": {smartHTTP(t, root, "").configure(t, "[url \"ext::touch \"]\n\tinsteadOf = https://\n"), "app", fault.Invalid, "not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := test.remote.client(t).Resolve(t.Context(), test.remote.url(test.path), Ref{})
			if !fault.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want kind %d and %q", err, test.kind, test.says)
			}
			if public, _ := fault.Public(err); strings.Contains(public, "mirror") || strings.Contains(public, "fatal") {
				t.Errorf("the client learns too much: %s", public)
			}
		})
	}
}

func TestCredentialsOfTheServer(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	a := newApp(t, root)
	r := smartHTTP(t, root, "correct-horse")
	host := strings.TrimPrefix(r.base, "https://")
	t.Run("from a helper", func(t *testing.T) {
		t.Parallel()
		r := r
		r.home = t.TempDir()
		r.environ = append(append([]string{}, r.environ...), "HOME="+r.home)
		r.configure(t, "[credential]\n\thelper = store\n")
		writeFile(t, r.home+"/.git-credentials", "https://me:correct-horse@"+strings.TrimSuffix(host, "/")+"\n")
		if got, err := r.client(t).Resolve(t.Context(), r.url("app"), Ref{}); err != nil || got.ID != a.tip {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("in a rewritten address, which no error shows", func(t *testing.T) {
		t.Parallel()
		r := r
		r.home = t.TempDir()
		r.environ = append(append([]string{}, r.environ...), "HOME="+r.home)
		r.configure(t, fmt.Sprintf("[url \"https://me:correct-horse@%s\"]\n\tinsteadOf = https://%s\n", host, host))
		c := r.client(t)
		if got, err := c.Resolve(t.Context(), r.url("app"), Ref{}); err != nil || got.ID != a.tip {
			t.Errorf("%+v, %v", got, err)
		}
		_, err := c.Resolve(t.Context(), r.url("missing"), Ref{})
		if err == nil || strings.Contains(err.Error(), "horse") {
			t.Errorf("the error shows the password: %v", err)
		}
	})
}

func TestSSHProblems(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	newApp(t, root)
	r := overSSH(t, root)
	for name, test := range map[string]struct{ command, path, says string }{
		"unknown host": {"-o UserKnownHostsFile=/dev/null", "app", "known hosts"},
		"no key":       {"-o IdentityFile=/dev/null -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no", "app", "credentials of the server"},
		"no such path": {"", "missing", "does not exist, or"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := r
			if test.command != "" {
				r.environ = append(append([]string{}, r.environ...), "GIT_SSH_COMMAND=ssh "+test.command)
			}
			_, err := r.client(t).Resolve(t.Context(), r.url(test.path), Ref{})
			if !fault.Is(err, fault.Forbidden) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %q", err, test.says)
			}
		})
	}
}

func TestResolveEndsWithItsContext(t *testing.T) {
	t.Parallel()
	asked, over := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r := overTLS(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		once.Do(func() { close(asked) })
		<-over
	}))
	t.Cleanup(func() { close(over) })
	reason := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-asked
		cancel(reason)
	}()
	began := time.Now()
	if _, err := r.client(t).Resolve(ctx, r.url("app"), Ref{}); !errors.Is(err, reason) {
		t.Error(err)
	}
	if time.Since(began) > time.Minute {
		t.Error("it took", time.Since(began))
	}
}

// The number of processes that are started for a build is part of what a build costs.
func TestFewProcesses(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	a, r := newApp(t, root), local(t, root)
	log := t.TempDir() + "/log"
	r.configure(t, "[trace2]\n\tnormalTarget = "+log+"\n")
	c := r.client(t)
	build := func(want ...string) {
		t.Helper()
		_ = os.Remove(log)
		found, err := c.Resolve(t.Context(), r.url("app"), Ref{Branch: "main"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.ReadFile(t.Context(), r.url("app"), found.ID, "build.yml", 100); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		var got []string // not what git starts itself: its name is a compound one
		for _, m := range regexp.MustCompile(` cmd_name [a-z-]+ \(([a-z-]+)\)`).FindAllStringSubmatch(string(text), -1) {
			got = append(got, m[1])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	build("config", "ls-remote", "init", "fetch", "cat-file", "cat-file")
	build("ls-remote", "cat-file")
	a.Commit("another")
	build("ls-remote", "fetch", "cat-file", "cat-file")
}

func BenchmarkClient(b *testing.B) {
	root := b.TempDir()
	a, r := newApp(b, root), local(b, root)
	c := r.client(b)
	build := func() {
		found, err := c.Resolve(b.Context(), r.url("app"), Ref{Branch: "main"})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.ReadFile(b.Context(), r.url("app"), found.ID, "build.yml", 100); err != nil {
			b.Fatal(err)
		}
	}
	build()
	b.Run("known commit", func(b *testing.B) {
		for b.Loop() {
			build()
		}
	})
	b.Run("new commit", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			a.Commit("another")
			b.StartTimer()
			build()
		}
	})
}

func TestParseCommit(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", maxMessage)
	for content, want := range map[string]Commit{
		"tree 1\nauthor A <a@b> 1 +0000\ncommitter C > <c@d> 1662705110 +0800\ngpgsig x\n y\n\n\nSubject\n\nBody\n\n": {
			Message: "Subject\n\nBody", Time: sourcetest.Time,
		},
		"committer x": {Time: time.Unix(0, 0).UTC()},
		"":            {},
		"tree 1\ncommitter C <> x +0\n\nlatin \xe9, nul \x00": {Message: "latin , nul", Time: time.Unix(0, 0).UTC()},
		"tree 1\n\n" + long: {Message: long[:maxMessage]},
	} {
		if diff := cmp.Diff(want, parseCommit("", []byte(content))); diff != "" {
			t.Errorf("parseCommit(%q): %s", content, diff)
		}
	}
}
