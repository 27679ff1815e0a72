package source

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"atelier/internal/fault"
	"atelier/internal/needs"
	"atelier/internal/source/sourcetest"
)

func TestCredentialCovers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		credential, address string
		want                bool
	}{
		{"https://git.example.org", "https://git.example.org/team/app.git", true},
		{"https://git.example.org/", "https://git.example.org/team/app.git", true},
		{"https://git.example.org/team", "https://git.example.org/team/app.git", true},
		{"https://git.example.org/team/", "https://git.example.org/team/app.git", true},
		{"https://git.example.org/team/app.git", "https://git.example.org/team/app.git", true},
		{"https://git.example.org:443/team", "https://GIT.example.org/team/app", true},
		{"https://git.example.org/team", "https://git.example.org/teams/app", false},
		{"https://git.example.org/team", "https://git.example.org/team/../other/app", false},
		{"https://git.example.org/team", "https://git.example.org/team/%2e%2e/other/app", false},
		{"https://git.example.org/team", "https://git.example.org/other/app", false},
		{"https://git.example.org/team", "http://git.example.org/team/app", false},
		{"https://git.example.org/team", "https://git.example.org:8443/team/app", false},
		{"https://git.example.org/team", "https://git.example.org.evil.example/team/app", false},
		{"https://git.example.org/team", "git@git.example.org:team/app", false},
		{"https://git.example.org/team", "file:///team/app", false},
		{"", "https://git.example.org/team/app", false},
		{"", "", false},
	} {
		if got := (Credential{URL: test.credential}).Covers(test.address); got != test.want {
			t.Errorf("%q covers %q: %t", test.credential, test.address, got)
		}
	}
}

const horse = "correct 'horse' $HOME \"%s\\n" // that no shell and no format may touch

// guarded serves root to those who have the password, and notes what was asked with credentials.
type guarded struct {
	remote
	mu    sync.Mutex
	asked int
	proud []string // paths that were asked for with an Authorization
}

func newGuarded(t *testing.T, root string) *guarded {
	g := &guarded{}
	inner := sourcetest.Guarded("me", horse, sourcetest.Handler(t, root))
	g.remote = overTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.asked++
		if r.Header.Get("Authorization") != "" {
			g.proud = append(g.proud, r.URL.Path)
		}
		g.mu.Unlock()
		inner.ServeHTTP(w, r)
	}))
	return g
}

func (g *guarded) credential(path string) Credential {
	return Credential{Name: "ours", URL: strings.TrimSuffix(g.base, "/") + path, User: "me", Password: horse}
}

func TestCredential(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	a := newApp(t, root)
	g := newGuarded(t, root)
	t.Run("opens everything, for its owner alone", func(t *testing.T) {
		t.Parallel()
		w := newWorkspace(t, g.remote)
		stranger := w.client
		owner := stranger.With(g.credential("/app"))
		got, err := owner.Resolve(t.Context(), g.url("app"), Ref{Branch: "main"})
		if err != nil || got.ID != a.tip {
			t.Fatal(got, err)
		}
		if text, err := owner.ReadFile(t.Context(), g.url("app"), a.tip, "build.yml", 100); string(text) != "version: 3" {
			t.Error(string(text), err)
		}
		for name, c := range map[string]*Client{
			"nobody":           stranger,
			"a wrong password": stranger.With(Credential{Name: "ours", URL: g.base, User: "me", Password: "battery"}),
			"another address":  stranger.With(g.credential("/other")),
		} {
			_, err := c.ReadFile(t.Context(), g.url("app"), a.tip, "build.yml", 100)
			if !fault.Is(err, fault.Forbidden) {
				t.Errorf("%s reads what the mirror holds: %v", name, err)
			}
			if _, err := c.Resolve(t.Context(), g.url("app"), Ref{Commit: a.tip}); !fault.Is(err, fault.Forbidden) {
				t.Errorf("%s finds what the mirror holds: %v", name, err)
			}
		}
		w.client = owner
		w.must(t, Checkout{URL: g.url("app"), Branch: "main", Depth: 1})
		if got := w.read(t, "build.yml"); got != "version: 3" {
			t.Error(got)
		}
		if config := w.read(t, ".git/config"); strings.Contains(config, "horse") || strings.Contains(config, "credential") {
			t.Errorf("the workspace keeps %s", config)
		}
		if strings.Contains(w.said.String(), "horse") {
			t.Errorf("the log shows %s", &w.said)
		}
	})
	t.Run("beside other configuration by variables", func(t *testing.T) {
		t.Parallel()
		r := g.remote
		r.environ = append(append([]string{}, r.environ...), "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.sslCAInfo", "GIT_CONFIG_VALUE_0="+caOf(r))
		r.environ = withoutVariable(r.environ, "GIT_SSL_CAINFO")
		if got, err := r.client(t).With(g.credential("")).Resolve(t.Context(), r.url("app"), Ref{}); err != nil || got.ID != a.tip {
			t.Error(got, err)
		}
	})
	t.Run("in the place of the server's", func(t *testing.T) {
		t.Parallel()
		r := g.remote
		r.home = t.TempDir()
		r.environ = append(append([]string{}, r.environ...), "HOME="+r.home)
		r.configure(t, "[credential]\n\thelper = \"!f() { echo $1 >> "+r.home+"/asked; echo username=me; echo password=stale; }; f\"\n")
		if got, err := r.client(t).With(g.credential("")).Resolve(t.Context(), r.url("app"), Ref{}); err != nil || got.ID != a.tip {
			t.Error(got, err)
		}
		if asked, err := os.ReadFile(r.home + "/asked"); err == nil { // a helper that keeps what works would keep the password
			t.Errorf("the server's helper was told to %s", asked)
		}
	})
}

func caOf(r remote) string { return r.home + "/ca.pem" }

func withoutVariable(environ []string, name string) (out []string) {
	for _, v := range environ {
		if !strings.HasPrefix(v, name+"=") {
			out = append(out, v)
		}
	}
	return out
}

func TestCredentialProblems(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	newApp(t, root)
	g := newGuarded(t, root)
	wrong := g.credential("")
	wrong.Password = "battery"
	for name, test := range map[string]struct {
		credential Credential
		path, says string
	}{
		"none":            {Credential{}, "app", "a task gives it a service endpoint"},
		"wrong":           {wrong, "app", `the user name or the password of the service endpoint "ours" is wrong`},
		"for another":     {g.credential("/other"), "app", `the service endpoint "ours", which is for ` + g.base + `other, does not open it`},
		"not there":       {g.credential(""), "missing", `it does not exist, or the service endpoint "ours"`},
		"a neighbour's":   {g.credential("/ap"), "app", "does not open it"},
		"the one's below": {g.credential("/app/below"), "app", "does not open it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkspace(t, g.remote)
			w.client = w.client.With(test.credential)
			_, err := w.client.Resolve(t.Context(), g.url(test.path), Ref{})
			for _, err := range []error{err, w.checkout(t, Checkout{URL: g.url(test.path), Branch: "main"})} {
				public, _ := fault.Public(err)
				if !fault.Is(err, fault.Forbidden) || !strings.Contains(public, test.says) {
					t.Errorf("%v, want %q", err, test.says)
				}
				if strings.Contains(err.Error()+w.said.String(), "horse") {
					t.Errorf("the password is shown: %v\n%s", err, &w.said)
				}
			}
		})
	}
}

// A host that sends a request elsewhere must not learn others' credentials, nor give its own away.
func TestCredentialStaysWithItsAddress(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	newApp(t, root)
	other := newGuarded(t, root)
	thief := overTLS(t, sourcetest.Guarded("me", horse, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.TrimSuffix(other.base, "/")+r.URL.RequestURI(), http.StatusFound)
	})))
	thief.environ = append(thief.environ, "GIT_SSL_NO_VERIFY=1")
	credential := Credential{Name: "ours", URL: thief.base, User: "me", Password: horse}
	c := thief.client(t).With(credential)
	if got, err := c.Resolve(t.Context(), thief.url("app"), Ref{}); err == nil {
		t.Errorf("the repository of another host was opened: %+v", got)
	}
	if other.asked == 0 || len(other.proud) > 0 {
		t.Errorf("the other host was asked %d times, and got the credential for %q", other.asked, other.proud)
	}

	// On one host, the path decides.
	server := newGuarded(t, root)
	c = server.client(t).With(server.credential("/elsewhere"))
	if _, err := c.Resolve(t.Context(), server.url("elsewhere/../app"), Ref{}); err == nil {
		t.Error("the repository outside of the address was opened")
	}
	if len(server.proud) > 0 {
		t.Errorf("the host got the credential for %q", server.proud)
	}
}

func TestCredentialOpensSubmodules(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	newApp(t, root)
	outer := sourcetest.New(t, root+"/outer")
	outer.Git("submodule", "--quiet", "add", "../app", "inner") // by its place beside
	outer.Git("config", "--file", ".gitmodules", "submodule.inner.url", "../app")
	outer.Commit("with a submodule")
	g := newGuarded(t, root)
	w := newWorkspace(t, g.remote)
	w.client = w.client.With(g.credential(""))
	w.must(t, Checkout{URL: g.url("outer"), Branch: "main", Submodules: true, Depth: 1})
	if got := w.read(t, "inner/build.yml"); got != "version: 3" {
		t.Error(got)
	}
	w = newWorkspace(t, g.remote)
	w.client = w.client.With(g.credential("/outer"))
	if err := w.checkout(t, Checkout{URL: g.url("outer"), Branch: "main", Submodules: true, Depth: 1}); err == nil {
		t.Error("a submodule outside of the address was opened")
	}
}

func TestCredentialOpensLargeFiles(t *testing.T) {
	t.Parallel()
	needs.Program(t, "git-lfs")
	root := t.TempDir()
	repo := sourcetest.New(t, root+"/big")
	repo.Git("lfs", "install", "--local")
	repo.Git("lfs", "track", "*.bin")
	repo.Write("large.bin", "all of it\n")
	repo.Commit("large")
	object := strings.Fields(repo.Git("lfs", "ls-files", "--long"))[0]
	git := sourcetest.Handler(t, root)
	var server *httptest.Server
	r := overTLS(t, sourcetest.Guarded("me", horse, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/objects/batch"):
			w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
			_, _ = w.Write([]byte(`{"transfer":"basic","objects":[{"oid":"` + object + `","size":10,"authenticated":true,"actions":{"download":{"href":"` + server.URL + `"}}}]}`))
		default:
			git.ServeHTTP(w, r)
		}
	})))
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the host of the large file got the credential")
		}
		_, _ = w.Write([]byte("all of it\n"))
	}))
	t.Cleanup(server.Close)
	w := newWorkspace(t, r)
	w.client = w.client.With(Credential{Name: "ours", URL: r.base + "big", User: "me", Password: horse})
	w.must(t, Checkout{URL: r.url("big"), Branch: "main", LFS: true, Depth: 1})
	if got := w.read(t, "large.bin"); got != "all of it\n" {
		t.Error(got)
	}
}
