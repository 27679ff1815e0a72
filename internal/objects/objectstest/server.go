// Package objectstest starts a real S3 server for tests.
package objectstest

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"atelier/internal/needs"
)

// The keys of the server.
const (
	access = "test"
	secret = "not-a-secret-of-anyone"
)

// Server is an S3 server: a program of its own.
type Server struct {
	URL         string
	Credentials string // file in the form of ~/.aws/credentials

	client *minio.Client
}

// Start starts a server with buckets. It ends with the test.
func Start(t testing.TB, buckets ...string) *Server {
	t.Helper()
	program := needs.Program(t, "versitygw")
	dir := t.TempDir()
	for _, bucket := range buckets {
		if err := os.MkdirAll(filepath.Join(dir, "data", bucket), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	address := needs.FreeAddress(t)
	s := &Server{URL: "http://" + address, Credentials: filepath.Join(dir, "credentials")}
	text := "[default]\naws_access_key_id = " + access + "\naws_secret_access_key = " + secret + "\n"
	if err := os.WriteFile(s.Credentials, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	server := exec.CommandContext(context.Background(), program, "--access", access, "--secret", secret, "--port", address, "--quiet", "posix", filepath.Join(dir, "data"))
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	var err error
	if s.client, err = minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(access, secret, "")}); err != nil {
		t.Fatal(err)
	}
	needs.Listener(t, address)
	return s
}

// Get returns an object with its headers; nil when there is none.
func (s *Server) Get(t testing.TB, bucket, key string) ([]byte, http.Header) {
	t.Helper()
	core := minio.Core{Client: s.client}
	body, _, header, err := core.GetObject(t.Context(), bucket, key, minio.GetObjectOptions{})
	if minio.ToErrorResponse(err).Code == "NoSuchKey" {
		return nil, nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return content, header
}
