package source

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"

	"atelier/internal/dialer"
	"atelier/internal/fault"
	"atelier/internal/needs"
	"atelier/internal/source/sourcetest"
)

const large = "all of it\n"

// newLarge makes a repository with a large file, and returns the file's id. Its own idea of where that is may be given.
func newLarge(t *testing.T, dir, store string) (object string) {
	t.Helper()
	repo := sourcetest.New(t, dir)
	repo.Git("lfs", "install", "--local")
	repo.Git("lfs", "track", "*.bin")
	repo.Write("large.bin", large)
	if store != "" {
		repo.Write(".lfsconfig", "[lfs]\n\turl = "+store+"\n")
	}
	repo.Commit("large")
	return strings.Fields(repo.Git("lfs", "ls-files", "--long"))[0]
}

// batchAnswer is a store's answer that an object is at an address.
func batchAnswer(object, address string) string {
	return fmt.Sprintf(`{"transfer":"basic","objects":[{"oid":%q,"size":%d,"actions":{"download":{"href":%q,"header":{"X-Ticket":"yes"}}}}]}`, object, len(large), address)
}

// TestLargeFilesElsewhere: a store that may be asked names other hosts, or sends requests there; those are judged as well. git-lfs
// itself would connect to loopback addresses whatever proxy it is given.
func TestLargeFilesElsewhere(t *testing.T) {
	t.Parallel()
	needs.Program(t, "git-lfs")
	root := t.TempDir()
	var object string
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/objects/batch") {
			_, _ = w.Write([]byte(batchAnswer(object, "http://"+r.Host+"/file")))
			return
		}
		if r.Header.Get("X-Ticket") != "yes" {
			http.Error(w, "no ticket", http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(large))
	})
	inner, connections := neighbour(t, "127.0.0.2", serve)
	git := sourcetest.Handler(t, root)
	outer, _ := neighbour(t, "127.0.0.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, batch := strings.CutSuffix(r.URL.Path, ".git/info/lfs/objects/batch")
		switch {
		case strings.HasPrefix(r.URL.Path, "/away/"):
			http.Redirect(w, r, inner+"file", http.StatusFound)
		case r.URL.Path == "/file":
			serve.ServeHTTP(w, r)
		case !batch:
			git.ServeHTTP(w, r)
		case name == "/near":
			_, _ = w.Write([]byte(batchAnswer(object, "http://"+r.Host+"/file")))
		case name == "/named":
			_, _ = w.Write([]byte(batchAnswer(object, inner+"file")))
		case name == "/sent":
			_, _ = w.Write([]byte(batchAnswer(object, "http://"+r.Host+"/away/file")))
		case name == "/local":
			_, _ = w.Write([]byte(batchAnswer(object, strings.Replace(inner, "127.0.0.2", "localhost", 1)+"file")))
		default:
			http.Redirect(w, r, inner+"objects/batch", http.StatusTemporaryRedirect)
		}
	}))
	for _, name := range []string{"near", "named", "sent", "local", "moved"} {
		object = newLarge(t, root+"/"+name, "")
	}
	newLarge(t, root+"/configured", inner+"store")
	one, both := netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("127.0.0.0/8")
	r := remote{base: outer, environ: sourcetest.Environ(t.TempDir()), dialer: dialer.New("--repository-networks", []netip.Prefix{one})}
	w := newWorkspace(t, r)
	w.must(t, Checkout{URL: outer + "near", Branch: "main", LFS: true, Path: "near"})
	if got := w.read(t, "near/large.bin"); got != large {
		t.Errorf("%q\n%s", got, &w.said)
	}
	for _, name := range []string{"named", "sent", "local", "moved", "configured"} {
		err := w.checkout(t, Checkout{URL: outer + name, Branch: "main", LFS: true, Path: name})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "--repository-networks") {
			t.Errorf("%s: %v\n%s", name, err, &w.said)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections came to the server inside", n)
	}

	r.dialer = dialer.New("--repository-networks", []netip.Prefix{both})
	w = newWorkspace(t, r)
	for _, name := range []string{"named", "sent", "moved", "configured"} {
		w.must(t, Checkout{URL: outer + name, Branch: "main", LFS: true, Path: name})
		if got := w.read(t, name+"/large.bin"); got != large {
			t.Errorf("%s: %q\n%s", name, got, &w.said)
		}
		if config := w.read(t, name+"/.git/config"); strings.Contains(config, "127.0.0.1:") && strings.Contains(config, "lfs.url") {
			t.Errorf("the gateway stays in the configuration: %s", config)
		}
	}
}

// TestLargeFilesOverSSH: the host of a repository says by ssh where its large files are, and what opens them.
func TestLargeFilesOverSSH(t *testing.T) {
	t.Parallel()
	needs.Program(t, "git-lfs")
	root := t.TempDir()
	object := newLarge(t, root+"/app", "")
	store, _ := neighbour(t, "127.0.0.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/objects/batch") && r.Header.Get("Authorization") == "Ticket one":
			_, _ = w.Write([]byte(batchAnswer(object, "http://"+r.Host+"/file")))
		case r.Header.Get("X-Ticket") == "yes":
			_, _ = w.Write([]byte(large))
		default:
			http.NotFound(w, r)
		}
	}))
	home := t.TempDir()
	// What ssh would have a shell of the other side do.
	script := "#!/bin/sh\nfor last; do :; done\ncase \"$last\" in\ngit-lfs-authenticate*) echo \"$*\" >> " + home + "/asked; echo '{\"href\": \"" + store + "\", \"header\": {\"Authorization\": \"Ticket one\"}}' ;;\n*) exec sh -c \"$last\" ;;\nesac\n"
	if err := os.WriteFile(home+"/ssh", []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	r := remote{environ: append(sourcetest.Environ(home), "GIT_SSH_COMMAND="+home+"/ssh -o User=git", "GIT_SSH_VARIANT=ssh"), home: home, dialer: toLoopback()}
	w := newWorkspace(t, r)
	w.must(t, Checkout{URL: "ssh://git@127.0.0.1:2222" + root + "/app", Branch: "main", LFS: true, Depth: 1})
	if got := w.read(t, "large.bin"); got != large {
		t.Errorf("%q\n%s", got, &w.said)
	}
	asked, err := os.ReadFile(home + "/asked")
	if err != nil || !strings.Contains(string(asked), "-p 2222 git@127.0.0.1 git-lfs-authenticate '"+root+"/app' download") {
		t.Errorf("%q, %v", asked, err)
	}
}

func TestNetrc(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	writeFile(t, home+"/.netrc", "machine git.example.org login me password secret\nmachine other.example.org\n\tpassword two login you\nmachine")
	c := remote{environ: sourcetest.Environ(home)}.client(t)
	for host, want := range map[string]*url.Userinfo{"git.example.org": url.UserPassword("me", "secret"), "other.example.org": url.UserPassword("you", "two"), "example.org": nil, "": nil} {
		if got := c.netrc(host); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
}
