package attack_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"atelier/internal/server/servertest"
)

// TestConnections checks that strangers who connect and send half of something, from one address and from many, neither end
// connections of users, nor keep them from connecting, nor take the descriptors that builds need. The server is a process of its
// own, with few of them.
func TestConnections(t *testing.T) {
	t.Parallel()
	const descriptors = 300
	address, pid := startProgram(t, descriptors)
	client := clientFrom(t, "127.0.0.1") // which keeps its connection
	token := tokenOf(t, client, address)
	ask := func(client *http.Client, why string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/v1/job/list", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Auth-Token", token)
		answer, err := client.Do(r)
		if err != nil {
			t.Errorf("%s: %v", why, err)
			return
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %d, %v", why, answer.StatusCode, err)
		}
	}
	ask(client, "before")
	halves := []string{"", "GET / HTTP/1.1\r\nHost:", "POST /v3/auth/tokens HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{"}
	for i := range 250 {
		from := "127.0.0.1"
		if i >= 125 {
			from = fmt.Sprintf("127.0.1.%d", i%50)
		}
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
		c, err := dialer.DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, _ = io.WriteString(c, halves[i%len(halves)])
	}
	for why, client := range map[string]*http.Client{
		"a kept connection": client, "a new one from the strangers' address": clientFrom(t, "127.0.0.1"), "a new one from elsewhere": clientFrom(t, "127.0.0.8"),
	} {
		ask(client, why)
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	if len(open) > descriptors*2/3 {
		t.Errorf("%d of %d descriptors are taken", len(open), descriptors)
	}
}

// startProgram starts the program with so many descriptors, and returns its address and process id.
func startProgram(t *testing.T, descriptors uint64) (address string, pid int) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "atelier")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "atelier/cmd/atelier").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(servertest.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "prlimit", fmt.Sprintf("--nofile=%d", descriptors), program, "serve", "--data-dir", filepath.Join(dir, "data"),
		"--listen", "127.0.0.1:0", "--admin-password-file", password, "--sandbox", "off")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() })
	listening := regexp.MustCompile(`msg=listening url=http://(\S+)`)
	found := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				found <- m[1]
			}
		}
	}()
	select {
	case address = <-found:
	case <-time.After(patience):
		t.Fatal("the server does not start")
	}
	return address, cmd.Process.Pid
}

// tokenOf signs in the administrator of a server that was started as a program.
func tokenOf(t *testing.T, client *http.Client, address string) string {
	t.Helper()
	body := fmt.Sprintf(`{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "admin", "password": %q, "domain": {"name": "atelier"}}}},
		"scope": {"project": {"name": "cn-north-4"}}}}`, servertest.Password)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/v3/auth/tokens", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusCreated {
		t.Fatalf("%d %s", answer.StatusCode, text)
	}
	return answer.Header.Get("X-Subject-Token")
}
