package dialer

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// start starts a proxy that may go to some networks, and returns a client that uses it and trusts a server.
func start(t testing.TB, networks string, upstream Upstream, server *httptest.Server) (*Proxy, *http.Client) {
	t.Helper()
	p, err := New("--networks", prefixes(t, networks)).StartProxy(upstream)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	address, err := url.Parse(p.URL())
	if err != nil {
		t.Fatal(err)
	}
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.Proxy = http.ProxyURL(address)
	t.Cleanup(transport.CloseIdleConnections)
	return p, &http.Client{Transport: transport}
}

// inner is a server on the loopback interface that counts its requests. What is asked of it below /to is sent to an address.
func inner(t testing.TB, start func(http.Handler) *httptest.Server) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var hits atomic.Int64
	server := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		for name := range r.Header {
			if strings.HasPrefix(name, "Proxy-") || strings.HasPrefix(name, "X-Forwarded") {
				t.Errorf("the header %s was passed on", name)
			}
		}
		if to, ok := strings.CutPrefix(r.URL.Path, "/to/"); ok {
			http.Redirect(w, r, "http://"+to, http.StatusFound)
			return
		}
		if _, err := io.Copy(w, io.MultiReader(strings.NewReader(r.Host+" "), r.Body)); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server, &hits
}

func TestProxy(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(http.Handler) *httptest.Server{"plain": httptest.NewServer, "tls": httptest.NewTLSServer} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, _ := inner(t, begin)
			_, client := start(t, "127.0.0.0/8", nil, server)
			body := strings.Repeat("x", 1<<20)
			answer, err := client.Post(server.URL, "text/plain", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			got, err := io.ReadAll(answer.Body)
			if host := strings.SplitN(server.URL, "//", 2)[1]; err != nil || string(got) != host+" "+body {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

// TestProxyRefuses: a closed address is not connected to, and the answer is the same whether its port is open.
func TestProxyRefuses(t *testing.T) {
	t.Parallel()
	server, hits := inner(t, httptest.NewServer)
	p, client := start(t, private, nil, server)
	shut, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	shut.Close()
	var said []string
	for _, address := range []string{server.URL, "http://" + shut.Addr().String()} {
		answer, err := client.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		said = append(said, answer.Status+string(text))
		if err != nil || answer.StatusCode != http.StatusForbidden || !strings.Contains(string(text), "--networks") {
			t.Errorf("%s, %s, %v", answer.Status, text, err)
		}
		if _, err := client.Get(strings.Replace(address, "http:", "https:", 1)); err == nil || !strings.Contains(err.Error(), "Forbidden") {
			t.Errorf("by a tunnel: %v", err)
		}
	}
	if said[0] != said[1] || hits.Load() != 0 || Refused(p.Failure()) == nil {
		t.Errorf("%q, %d requests, %v", said, hits.Load(), p.Failure())
	}
}

// TestProxyRedirection: a redirection is a connection like another.
func TestProxyRedirection(t *testing.T) {
	t.Parallel()
	server, hits := inner(t, httptest.NewServer)
	second, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("there is one loopback address alone")
	}
	second.Close()
	p, client := start(t, "127.0.0.1", nil, server)
	answer, err := client.Get(server.URL + "/to/" + second.Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden || hits.Load() != 1 || Refused(p.Failure()) == nil {
		t.Errorf("%s, %d requests, %v", answer.Status, hits.Load(), p.Failure())
	}
}

// TestProxyPassword: a build that finds the proxy's port has no use for it.
func TestProxyPassword(t *testing.T) {
	t.Parallel()
	server, hits := inner(t, httptest.NewServer)
	p, _ := start(t, "127.0.0.0/8", nil, server)
	address, _ := url.Parse(p.URL())
	for _, user := range []*url.Userinfo{nil, url.UserPassword("upstream", ""), url.UserPassword("upstream", "wrong")} {
		address.User = user
		client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(address)}}
		answer, err := client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusProxyAuthRequired {
			t.Error(answer.Status)
		}
	}
	if hits.Load() != 0 {
		t.Errorf("%d requests", hits.Load())
	}
}

// TestProxyUnknown: a name that nobody knows is told from a refusal, which is the graver one.
func TestProxyUnknown(t *testing.T) {
	t.Parallel()
	f := newFake(nil, nil)
	p, err := f.StartProxy(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	address, _ := url.Parse(p.URL())
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(address)}}
	get := func(to string) int {
		answer, err := client.Get(to)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	if status := get("http://nobody.example.org/"); status != http.StatusBadGateway {
		t.Error(status)
	}
	if _, ok := errors.AsType[*net.DNSError](p.Failure()); !ok {
		t.Error(p.Failure())
	}
	get("http://127.0.0.1/")
	get("http://nobody.example.org/")
	if Refused(p.Failure()) == nil {
		t.Error(p.Failure())
	}
}

// TestUpstream: an operator's proxy is asked for what is open, and for nothing else. It stands on the loopback interface, which is the
// operator's affair.
func TestUpstream(t *testing.T) {
	t.Parallel()
	server, hits := inner(t, httptest.NewServer)
	upper, _ := start(t, "127.0.0.0/8", nil, server)
	var asked atomic.Int64
	upstream := func(target *url.URL) (*url.URL, error) {
		asked.Add(1)
		return url.Parse(upper.URL())
	}
	_, client := start(t, "127.0.0.0/8", upstream, server)
	answer, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK || hits.Load() != 1 || asked.Load() != 1 {
		t.Errorf("%s, %d requests, the upstream was asked %d times", answer.Status, hits.Load(), asked.Load())
	}
	secure, _ := inner(t, httptest.NewTLSServer)
	_, client = start(t, "127.0.0.0/8", upstream, secure)
	if answer, err := client.Get(secure.URL); err != nil {
		t.Error(err)
	} else {
		answer.Body.Close()
	}
	p, client := start(t, private, upstream, secure)
	if _, err := client.Get(secure.URL); err == nil || Refused(p.Failure()) == nil {
		t.Errorf("%v, %v", err, p.Failure())
	}
}

// TestConnect runs the program that ssh starts, in the way that ssh does.
func TestConnect(t *testing.T) {
	t.Parallel()
	server, hits := inner(t, httptest.NewServer)
	for networks, want := range map[string]string{"127.0.0.0/8": "HTTP/1.0 200 OK", private: ""} {
		p, _ := start(t, networks, nil, server)
		option, err := SSHOption()
		if err != nil {
			t.Fatal(err)
		}
		address := server.Listener.Addr().(*net.TCPAddr)
		command, _ := strings.CutPrefix(option, "ProxyCommand ")
		command = strings.NewReplacer("%h", address.IP.String(), "%p", address.AddrPort().String()[strings.LastIndex(address.String(), ":")+1:], "%%", "%").Replace(command)
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", "exec "+command)
		cmd.Env = append(os.Environ(), p.SSHEnviron()...)
		cmd.Stdin = strings.NewReader("GET / HTTP/1.0\r\n\r\n")
		out, err := cmd.Output()
		if got, _, _ := bytes.Cut(out, []byte("\r\n")); string(got) != want || (err == nil) != (want != "") {
			t.Errorf("with %s: %q, %v", networks, out, err)
		}
	}
	if hits.Load() != 1 {
		t.Errorf("%d requests", hits.Load())
	}
}
