package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// TestServer checks that a server answers the official client, also after it was started again with the same data.
func TestServer(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]func(*server.Config){
		"plain":           func(*server.Config) {},
		"TLS":             func(c *server.Config) { c.TLSSelfSigned = true },
		"every interface": func(c *server.Config) { c.Listen = ":0" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := servertest.Start(t, option)
			job := s.MakeTask("hello", "true")
			for range 2 {
				list, err := s.Client(s.Developer).ShowJobListByProjectId(&model.ShowJobListByProjectIdRequest{ProjectId: s.Project, PageSize: 10})
				if err != nil {
					t.Fatal(err)
				}
				if len(*list.Jobs) != 1 || *(*list.Jobs)[0].Id != job {
					t.Errorf("the project has the tasks %v, want %s", *list.Jobs, job)
				}
				s.Restart()
			}
		})
	}
}

// TestCertificate checks for which names the server's own certificate is good, and what clients agree on with it.
func TestCertificate(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, func(c *server.Config) { c.TLSSelfSigned = true })
	pem, err := os.ReadFile(s.CertFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(s.URL(), "https://")
	for _, name := range []string{"localhost", "127.0.0.1", "::1", hostname} {
		c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool, ServerName: name, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Errorf("as %s: %v", name, err)
			continue
		}
		if got := c.ConnectionState().NegotiatedProtocol; got != "h2" {
			t.Errorf("as %s: the protocol is %q, want h2", name, got)
		}
		c.Close()
	}
	if c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool, ServerName: "example.org"}); err == nil {
		c.Close()
		t.Error("the certificate is good for a name that is not this machine's")
	}
	if c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool, ServerName: "localhost", MaxVersion: tls.VersionTLS11}); err == nil {
		c.Close()
		t.Error("the server speaks TLS 1.1")
	}
}

// TestOpen checks what keeps a server from opening, and that it then leaves everything to the next one.
func TestOpen(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	other := s.Config
	other.DataDir = t.TempDir()
	for _, tt := range []struct {
		name   string
		change func(*server.Config)
		want   string
	}{
		{"its directory is in use", func(c *server.Config) { c.DataDir = s.Config.DataDir }, "another server works in"},
		{"its address is in use", func(c *server.Config) { c.Listen = taken.Addr().String() }, "--listen: " + taken.Addr().String() + " is taken by another program"},
		{"half a certificate", func(c *server.Config) { c.TLSKey = "key.pem" }, "give both or none"},
		{"an unknown database", func(c *server.Config) { c.Database = "mysql://" }, "database: must begin with"},
		{"nothing", func(*server.Config) {}, ""},
	} {
		c := other
		tt.change(&c)
		opened, err := server.Open(t.Context(), c)
		if tt.want == "" && err == nil {
			err = opened.Close()
		}
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: the error is %v, want %q", tt.name, err, tt.want)
		}
	}
	if a := s.Call(s.Developer, http.MethodGet, "/v3/auth/projects", ""); a.Status != http.StatusOK {
		t.Errorf("the first server answers %d %s", a.Status, a.Body)
	}
}
