package source

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"atelier/internal/dialer"
	"atelier/internal/fault"
	"atelier/internal/source/sourcetest"
)

// neighbour is a server at a loopback address of its own that counts its connections.
func neighbour(t testing.TB, address string, handler http.Handler) (base string, connections *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", address+":0")
	if err != nil {
		t.Skipf("there is no address %s: %v", address, err)
	}
	connections = new(atomic.Int64)
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = listener
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL + "/", connections
}

func closedPort(t testing.TB, address string) string {
	t.Helper()
	listener, err := net.Listen("tcp", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	return listener.Addr().String()
}

// TestClosedAddresses: no way of writing an address leads to this machine, and all of them are answered alike.
func TestClosedAddresses(t *testing.T) {
	t.Parallel()
	base, connections := neighbour(t, "127.0.0.1", http.NotFoundHandler())
	_, open, _ := strings.Cut(strings.TrimSuffix(base, "/"), "//")
	_, port, _ := net.SplitHostPort(open)
	shut := closedPort(t, "127.0.0.1")
	r := remote{environ: sourcetest.Environ(t.TempDir()), dialer: dialer.New("--repository-networks", dialer.Private)}
	for _, address := range []string{
		"http://" + open + "/x.git", "http://" + shut + "/x.git", "https://" + open + "/x.git", "https://" + shut + "/x.git", "ssh://git@" + open + "/x.git", "ssh://git@" + shut + "/x.git",
		"http://127.0.0.1./x.git", "http://localhost:" + port + "/x.git", "http://LOCALHOST.:" + port + "/x.git", "http://a.localhost:" + port + "/x.git", "http://127.1:" + port + "/x.git", "http://2130706433:" + port + "/x.git", "http://0x7f.1:" + port + "/x.git",
		"http://017700000001:" + port + "/x.git", "http://0.0.0.0:" + port + "/x.git", "http://[::1]:" + port + "/x.git", "http://[::]:" + port + "/x.git", "http://[::ffff:127.0.0.1]:" + port + "/x.git", "http://[::ffff:7f00:1]:" + port + "/x.git",
		"http://169.254.169.254/latest", "http://[fd00:ec2::254]/latest", "git@127.0.0.1:x.git", "git@localhost:x.git", "git@[::1]:x.git", "ssh://git@2130706433:" + port + "/x.git",
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			w := newWorkspace(t, r)
			_, err := w.client.Resolve(t.Context(), address, Ref{Branch: "main"})
			_, _, branches := w.client.Branches(t.Context(), address)
			_, file := w.client.ReadFile(t.Context(), address, strings.Repeat("1", 40), "build.yml", 100)
			for what, err := range map[string]error{"resolve": err, "branches": branches, "file": file, "checkout": w.checkout(t, Checkout{URL: address, Branch: "main"})} {
				public, _ := fault.Public(err)
				want := "the repository " + address + " cannot be read: it leads to this server or to a network that is closed; whoever runs the server can open it with --repository-networks"
				if !fault.Is(err, fault.Invalid) || public != want {
					t.Errorf("%s: %v", what, err)
				}
			}
			if said := w.said.String(); strings.Contains(said, "refused") || strings.Contains(said, "timed out") || strings.Contains(said, "404") {
				t.Errorf("git says %s", said)
			}
		})
	}
	t.Cleanup(func() {
		if n := connections.Load(); n != 0 {
			t.Errorf("%d connections came to the server inside", n)
		}
	})
}

// TestLedElsewhere: what a repository that may be read names, or redirects to, is judged like the repository.
func TestLedElsewhere(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	lib := sourcetest.New(t, root+"/lib")
	lib.Write("file", "lib")
	commit := lib.Commit("lib")
	inner, connections := neighbour(t, "127.0.0.2", sourcetest.Handler(t, root))
	moved := sourcetest.New(t, root+"/moved")
	moved.Write(".gitmodules", "[submodule \"a\"]\n\tpath = a\n\turl = /to/lib\n")
	backend := sourcetest.Handler(t, root)
	outer, _ := neighbour(t, "127.0.0.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to, ok := strings.CutPrefix(r.URL.RequestURI(), "/to/"); ok {
			http.Redirect(w, r, inner+to, http.StatusMovedPermanently)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	for name, to := range map[string]string{"named": inner + "lib", "sent": outer + "to/lib", "ssh": "ssh://git@127.0.0.2/lib"} {
		repo := sourcetest.New(t, root+"/"+name)
		repo.Write(".gitmodules", "[submodule \"a\"]\n\tpath = a\n\turl = "+to+"\n")
		repo.Git("update-index", "--add", "--cacheinfo", "160000,"+commit+",a")
		repo.Git("add", ".gitmodules")
		repo.Git("commit", "--quiet", "--message", "with a submodule")
	}
	r := remote{base: outer, environ: sourcetest.Environ(t.TempDir())}
	one, both := netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("127.0.0.0/8")

	r.dialer = dialer.New("--repository-networks", []netip.Prefix{one})
	w := newWorkspace(t, r)
	_, err := w.client.Resolve(t.Context(), outer+"to/lib", Ref{Branch: "main"})
	for what, err := range map[string]error{
		"redirection":           err,
		"redirected checkout":   w.checkout(t, Checkout{URL: outer + "to/lib", Branch: "main", Path: "1"}),
		"submodule":             w.checkout(t, Checkout{URL: outer + "named", Branch: "main", Submodules: true, Path: "2"}),
		"redirected submodule":  w.checkout(t, Checkout{URL: outer + "sent", Branch: "main", Submodules: true, Path: "3"}),
		"submodule over ssh":    w.checkout(t, Checkout{URL: outer + "ssh", Branch: "main", Submodules: true, Path: "4"}),
		"shallow and submodule": w.checkout(t, Checkout{URL: outer + "named", Branch: "main", Submodules: true, Path: "5", Depth: 1}),
	} {
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "--repository-networks") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections came to the server inside", n)
	}

	r.dialer = dialer.New("--repository-networks", []netip.Prefix{both})
	w = newWorkspace(t, r)
	w.must(t, Checkout{URL: outer + "named", Branch: "main", Submodules: true, Path: "named"})
	w.must(t, Checkout{URL: outer + "sent", Branch: "main", Submodules: true, Path: "sent"})
	if w.read(t, "named/a/file")+w.read(t, "sent/a/file") != "liblib" || connections.Load() == 0 {
		t.Errorf("submodules of another host were not fetched\n%s", &w.said)
	}
}

// TestOperatorSSH: the operator's configuration of ssh says how a host is reached, but not which hosts are.
func TestOperatorSSH(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := remote{environ: sourcetest.Environ(dir), home: dir, dialer: dialer.New("--repository-networks", dialer.Private)}
	r.configure(t, "[core]\n\tsshCommand = ssh -F "+dir+"/config -o ConnectTimeout=5\n")
	writeFile(t, dir+"/config", "Host jump.example.org\nProxyCommand sleep 5 > "+dir+"/jumped-%h\nHost alias\nHostName 127.0.0.1\nHost 127.0.0.1\nProxyCommand sleep 5 > "+dir+"/passed\n")
	c := r.client(t)
	if _, err := c.Resolve(t.Context(), "git@jump.example.org:x.git", Ref{}); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if _, err := os.Stat(dir + "/jumped-jump.example.org"); err != nil {
		t.Error(err)
	}
	if _, err := c.Resolve(t.Context(), "git@127.0.0.1:x.git", Ref{}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if _, err := os.Stat(dir + "/passed"); err == nil {
		t.Error("a host that is closed was connected to")
	}
	if _, err := c.Resolve(t.Context(), "git@alias:x.git", Ref{}); !fault.Is(err, fault.Invalid) { // which has a name for ssh alone
		t.Error(err)
	}
}

func TestOperatorProxy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		environ, configured, target, want string
	}{
		{"", "", "https://git.example.org", ""},
		{"https_proxy=http://proxy:3128", "", "https://git.example.org", "http://proxy:3128"},
		{"https_proxy=http://proxy:3128", "", "http://git.example.org", ""},
		{"http_proxy=proxy:3128", "", "http://git.example.org", "http://proxy:3128"},
		{"HTTP_PROXY=proxy:3128", "", "http://git.example.org", ""}, // as for curl
		{"HTTPS_PROXY=http://proxy:3128 NO_PROXY=.example.org", "", "https://git.example.org", ""},
		{"ALL_PROXY=socks5://proxy:1080 no_proxy=10.0.0.0/8", "", "https://git.example.org", "socks5://proxy:1080"},
		{"ALL_PROXY=socks5://proxy:1080 no_proxy=10.0.0.0/8", "", "https://10.1.2.3", ""},
		{"https_proxy=http://proxy:3128", "http://other:8080", "https://git.example.org", "http://other:8080"},
	} {
		target, err := url.Parse(tt.target)
		if err != nil {
			t.Fatal(err)
		}
		got, err := operatorProxy(strings.Fields(tt.environ), tt.configured)(target)
		if err != nil || got == nil && tt.want != "" || got != nil && got.String() != tt.want {
			t.Errorf("%+v: %v, %v", tt, got, err)
		}
	}
}
