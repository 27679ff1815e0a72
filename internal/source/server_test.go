package source

import (
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sync"
	"testing"

	"atelier/internal/dialer"
	"atelier/internal/needs"
	"atelier/internal/source/sourcetest"
)

// remote is a way to reach the repositories in a directory.
type remote struct {
	base    string // of addresses
	policy  Policy
	environ []string
	home    string
	dialer  *dialer.Dialer
}

// toLoopback returns a dialer that may go to servers of tests.
func toLoopback() *dialer.Dialer {
	return dialer.New("--repository-networks", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
}

func (r remote) url(name string) string { return r.base + name }

// client returns a client that uses the remote.
func (r remote) client(t testing.TB) *Client {
	t.Helper()
	c, err := New(Config{Policy: r.policy, Dir: filepath.Join(t.TempDir(), "mirrors"), Environ: r.environ, Dialer: r.dialer})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// configure writes the git configuration of the server's user.
func (r remote) configure(t testing.TB, text string) remote {
	t.Helper()
	writeFile(t, r.home+"/.gitconfig", text)
	return r
}

func writeFile(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// local reaches root by file://.
func local(t testing.TB, root string) remote {
	home := t.TempDir()
	return remote{base: "file://" + root + "/", policy: Policy{FileRoots: []string{root}}, environ: sourcetest.Environ(home), home: home}
}

// smartHTTP serves root with git's own server over TLS. A password, if there is one, is asked for.
func smartHTTP(t testing.TB, root, password string) remote {
	t.Helper()
	backend := sourcetest.Handler(t, root)
	return overTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, given, _ := r.BasicAuth(); password != "" && given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
}

// overTLS serves a handler with a certificate that only the returned environment trusts.
func overTLS(t testing.TB, handler http.Handler) remote {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	home := t.TempDir()
	ca := filepath.Join(home, "ca.pem")
	writeFile(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	return remote{base: server.URL + "/", environ: append(sourcetest.Environ(home), "GIT_SSL_CAINFO="+ca), home: home, dialer: toLoopback()}
}

// overSSH serves root with the installed sshd. Each connection gets an sshd of its own, which reads from the socket, so no
// daemon has to be found ready or be ended.
func overSSH(t testing.TB, root string) remote {
	t.Helper()
	sshd := needs.Program(t, "sshd", "/usr/sbin/sshd") // which is not on everybody's path
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where it locks up the part that faces strangers
			t.Fatal(err)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, key := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", dir+"/"+key).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v\n%s", err, out)
		}
	}
	writeFile(t, dir+"/sshd_config", fmt.Sprintf("HostKey %s/host\nAuthorizedKeysFile %s/user.pub\nStrictModes no\nUsePAM no\n"+
		"PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nAcceptEnv GIT_PROTOCOL\nPidFile none\n", dir, dir))
	address := acceptSSH(t, exec.Command(sshd, "-i", "-e", "-f", dir+"/sshd_config"))
	_, port, _ := net.SplitHostPort(address)
	hostKey, err := os.ReadFile(dir + "/host.pub")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir+"/known_hosts", fmt.Sprintf("[127.0.0.1]:%s %s", port, hostKey))
	writeFile(t, dir+"/ssh_config", fmt.Sprintf("IdentityFile %s/user\nIdentitiesOnly yes\nUserKnownHostsFile %s/known_hosts\n", dir, dir))
	home := t.TempDir()
	return remote{base: fmt.Sprintf("ssh://%s@%s%s/", me.Username, address, root), environ: sourcetest.Environ(home), home: home, dialer: toLoopback()}.
		configure(t, "[core]\n\tsshCommand = ssh -F "+dir+"/ssh_config\n")
}

// acceptSSH runs a copy of the command for each connection to the returned address.
func acceptSSH(t testing.TB, sshd *exec.Cmd) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			file, err := conn.(*net.TCPConn).File()
			conn.Close()
			if err != nil {
				t.Error(err)
				return
			}
			cmd := exec.Command(sshd.Path, sshd.Args[1:]...)
			cmd.Stdin, cmd.Stdout = file, file
			running.Go(func() {
				defer file.Close()
				_ = cmd.Run() // that it fails shows at the client
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return listener.Addr().String()
}
