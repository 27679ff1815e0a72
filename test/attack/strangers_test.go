package attack_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"atelier/internal/address"
	"atelier/internal/executor/host"
	"atelier/internal/iam/signature"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// connect connects to a server from an address of loopback, as one source, and sends text.
func connect(t *testing.T, s *servertest.Server, from, text string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_, _ = io.WriteString(c, text) // it may be refused already
	return c
}

// answerOf reads an answer.
func answerOf(t *testing.T, c net.Conn) servertest.Answer {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return servertest.Answer{Status: r.StatusCode, Header: r.Header, Body: string(body)}
}

// clientFrom returns a client whose connections come from an address of loopback.
func clientFrom(t *testing.T, from string) *http.Client {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	transport := &http.Transport{DialContext: dialer.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// signIn asks for a token by a password and returns the status.
func signIn(s *servertest.Server, client *http.Client, name, password, forwarded string) (status int, err error) {
	body := fmt.Sprintf(`{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": %q, "password": %q, "domain": {"name": %q}}}}}}`, name, password, servertest.Domain)
	r, err := http.NewRequest(http.MethodPost, s.URL()+"/v3/auth/tokens", strings.NewReader(body)) //nolint:noctx // the client has a timeout
	if err != nil {
		return 0, err
	}
	if forwarded != "" {
		r.Header.Set("X-Forwarded-For", forwarded)
	}
	answer, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

// TestStalledBodies checks that bodies which stall, of whoever sends them, neither keep others from sending theirs nor stay.
func TestStalledBodies(t *testing.T) {
	t.Parallel()
	s := startServer(t, host.Off)
	secret := hookSecret(t, s, s.Project)
	large := strings.Repeat(" ", 66<<10)
	request := func(path string, headers ...string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n" + large
	}
	// Whose body is too large or who has no proof is answered at once, with the body on its way.
	for path, want := range map[string]int{
		"/v3/auth/tokens": 413, "/v1/job/create": 401, "/no/such/api": 404, "/v1/hooks/" + s.Project + "/github": 401,
		"/v1/hooks/" + s.Project + "/gitlab": 401, "/v1/hooks/" + strings.Repeat("0", 32) + "/github": 401,
	} {
		if got := answerOf(t, connect(t, s, "127.0.0.1", request(path))); got.Status != want {
			t.Errorf("%s: %d instead of %d: %s", path, got.Status, want, got.Body)
		}
	}
	// Those that could be right are read, and must give way.
	date := time.Now().UTC().Format("20060102T150405Z")
	for range 20 {
		connect(t, s, "127.0.0.1", request("/v1/hooks/"+s.Project+"/github", "X-Hub-Signature-256: sha256="+strings.Repeat("0", 64)))
		connect(t, s, "127.0.0.1", request("/v1/job/create", "X-Sdk-Date: "+date,
			"Authorization: SDK-HMAC-SHA256 Access="+s.Developer.Key.Access+", SignedHeaders=x-sdk-date, Signature="+strings.Repeat("0", 64)))
	}
	time.Sleep(time.Second) // the others have had their time
	if got := deliver(t, s, s.Project, secret, "x", strings.Repeat("x", 80_000)); got.Status != http.StatusAccepted {
		t.Errorf("a webhook among stalled ones: %d %s", got.Status, got.Body)
	}
	body := `{"pad": "` + strings.Repeat("x", 80_000) + `"}`
	if got := s.Call(s.Developer, http.MethodPost, "/v1/job/create", body); got.Status != http.StatusBadRequest {
		t.Errorf("a large request of the key's owner: %d %s", got.Status, got.Body)
	}
}

// TestLargeBodyIsAnswered checks that a client which sends all that it has before it reads gets the answer.
func TestLargeBodyIsAnswered(t *testing.T) {
	t.Parallel()
	s := startServer(t, host.Off)
	c := connect(t, s, "127.0.0.1", "POST /v1/job/create HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\n")
	if n, err := io.Copy(c, strings.NewReader(strings.Repeat(" ", 20_000_000))); err != nil {
		t.Errorf("after %d bytes: %v", n, err)
	}
	if got := answerOf(t, c); got.Status != http.StatusRequestEntityTooLarge || !strings.Contains(got.Body, `"request_id":"`+got.Header.Get("X-Request-Id")) {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

// TestUnsignedBody checks that JSON may come unsigned when a signed header says so, as the PHP SDK sends it, and not otherwise.
func TestUnsignedBody(t *testing.T) {
	t.Parallel()
	s := startServer(t, host.Off)
	send := func(header bool) int {
		r := s.Request(http.MethodPost, "/v1/job/create", `{"job_name": "php"}`)
		if header {
			r.Header.Set(signature.PayloadHeader, "UNSIGNED-PAYLOAD")
		}
		signature.Sign(r, nil, s.Developer.Key, time.Now())
		r.Header.Set(signature.PayloadHeader, "UNSIGNED-PAYLOAD")
		return s.Send(r).Status
	}
	if got := send(true); got != http.StatusBadRequest { // for it has no steps
		t.Errorf("unsigned, which is signed: %d", got)
	}
	if got := send(false); got != http.StatusUnauthorized {
		t.Errorf("unsigned, which is not signed: %d", got)
	}
}

// TestSignInFlood checks that wrong sign-ins of one address are limited however many come at once, and hold up nobody else.
func TestSignInFlood(t *testing.T) {
	t.Parallel()
	s := startServer(t, host.Off)
	flood, other := clientFrom(t, "127.0.0.66"), clientFrom(t, "127.0.0.8")
	var mu sync.Mutex
	count := make(map[int]int)
	var waiting sync.WaitGroup
	begun := make(chan struct{}, 200)
	for i := range cap(begun) {
		waiting.Go(func() {
			begun <- struct{}{}
			status, err := signIn(s, flood, fmt.Sprint("nobody", i), "wrong-password", "")
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				count[status]++
			}
		})
	}
	for range cap(begun) {
		<-begun
	}
	if status, err := signIn(s, other, s.Developer.Name, servertest.Password, ""); status != http.StatusCreated || err != nil {
		t.Errorf("a sign-in from elsewhere: %d, %v", status, err)
	}
	waiting.Wait()
	if count[401] > 60 || count[429] < 100 {
		t.Errorf("answers to the flood: %v", count)
	}
}

// TestBehindOneAddress checks that a stranger behind the same proxy locks out nobody, whether the server knows of the proxy or not.
func TestBehindOneAddress(t *testing.T) {
	t.Parallel()
	for name, proxies := range map[string]string{"known proxy": "127.0.0.0/8", "unknown proxy": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, host.Off, trust(proxies))
			client := clientFrom(t, "127.0.0.1")
			mustSignIn := func(name, from string) {
				t.Helper()
				if status, err := signIn(s, client, name, servertest.Password, from); status != http.StatusCreated || err != nil {
					t.Errorf("%s from %s: %d, %v", name, from, status, err)
				}
			}
			mustSignIn(s.Developer.Name, "192.0.2.1, 198.51.100.1")
			wrong := servertest.User{Key: signature.Key{Access: s.Developer.Key.Access, Secret: "wrong"}}
			for range 10 {
				if got := s.Call(wrong, http.MethodGet, "/v1/job/list", ""); got.Status != http.StatusUnauthorized {
					t.Errorf("a wrong signature: %d", got.Status)
				}
			}
			for i := range 12 {
				_, _ = signIn(s, client, s.Developer.Name, "wrong-password", fmt.Sprintf("192.0.2.%d, 203.0.113.66", i))
			}
			for i := range 60 {
				_, _ = signIn(s, client, fmt.Sprint("nobody", i), "wrong-password", fmt.Sprintf("192.0.2.%d, 203.0.113.66", i))
			}
			if status, _ := signIn(s, client, s.Developer.Name, servertest.Password, "198.51.100.1, 203.0.113.66"); status != http.StatusTooManyRequests {
				t.Errorf("the stranger may go on: %d", status)
			}
			if got := s.Call(s.Developer, http.MethodGet, "/v1/job/list", ""); got.Status != http.StatusOK {
				t.Errorf("the owner of the key: %d %s", got.Status, got.Body)
			}
			mustSignIn(s.Developer.Name, "192.0.2.1, 198.51.100.1")
			mustSignIn(s.Admin.Name, "198.51.100.2")
		})
	}
}

// trust has a server trust a network of proxies.
func trust(network string) func(*server.Config) {
	return func(c *server.Config) {
		if network != "" {
			c.Proxies = address.Proxies{netip.MustParsePrefix(network)}
		}
	}
}

// TestHeadersOfAnswers checks what every answer tells browsers.
func TestHeadersOfAnswers(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		s := startServer(t, host.Off, func(c *server.Config) { c.TLSSelfSigned = secure })
		for _, path := range []string{"/v1/job/list", "/no/such/api", "/", "/v3/auth/tokens"} {
			got := s.Send(s.Request(http.MethodGet, path, ""))
			if got.Header.Get("X-Content-Type-Options") != "nosniff" || (got.Header.Get("Strict-Transport-Security") != "") != secure {
				t.Errorf("%s, TLS %t: %v", path, secure, got.Header)
			}
		}
	}
}

// hookSecret sets the secret of a project's hooks.
func hookSecret(t *testing.T, s *servertest.Server, project string) string {
	t.Helper()
	var set struct {
		Result struct {
			Secret string `json:"secret"`
		} `json:"result"`
	}
	got := s.Call(s.Admin, http.MethodPost, "/v1/hooks/"+project+"/secret", "")
	if err := json.Unmarshal([]byte(got.Body), &set); err != nil || set.Result.Secret == "" {
		t.Fatalf("%d %s: %v", got.Status, got.Body, err)
	}
	return set.Result.Secret
}
