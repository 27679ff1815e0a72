package objects_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"atelier/internal/fault"
	"atelier/internal/objects"
	"atelier/internal/objects/objectstest"
)

func TestPut(t *testing.T) {
	t.Parallel()
	server := objectstest.Start(t, "builds")
	store, err := objects.New(objects.Config{Endpoint: server.URL, Credentials: server.Credentials})
	if err != nil {
		t.Fatal(err)
	}
	large := bytes.Repeat([]byte("0123456789abcdef"), 20<<20/16) // of several parts
	for key, content := range map[string][]byte{"app.tar": []byte("first"), "a dir/ä+b.txt": {}, "large": large} {
		headers := http.Header{"Content-Type": {"application/x-test"}, "X-Obs-Meta-Owner": {"team"}}
		for range 2 { // the second replaces the first
			if err := store.Put(t.Context(), "builds", key, headers, bytes.NewReader(content), int64(len(content))); err != nil {
				t.Fatal(key, err)
			}
		}
		got, header := server.Get(t, "builds", key)
		if !bytes.Equal(got, content) || header.Get("Content-Type") != "application/x-test" || header.Get("X-Amz-Meta-Owner") != "team" {
			t.Errorf("%s: %d bytes with %v", key, len(got), header)
		}
	}
}

func TestPutFails(t *testing.T) {
	t.Parallel()
	server := objectstest.Start(t, "builds")
	put := func(endpoint, credentials, bucket string, content io.Reader, size int64) error {
		store, err := objects.New(objects.Config{Endpoint: endpoint, Credentials: credentials})
		if err != nil {
			t.Fatal(err)
		}
		return store.Put(t.Context(), bucket, "app", nil, content, size)
	}
	wrong := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(wrong, []byte("[default]\naws_access_key_id = test\naws_secret_access_key = nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the file ended")
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"no bucket": {put(server.URL, server.Credentials, "nobody", strings.NewReader("x"), 1), "the object store refused app in the bucket nobody: NoSuchBucket"},
		"wrong key": {put(server.URL, wrong, "builds", strings.NewReader("x"), 1), "the object store refused app in the bucket builds: SignatureDoesNotMatch"},
		"no store":  {put("http://127.0.0.1:1", server.Credentials, "builds", strings.NewReader("x"), 1), "the object store could not be given app"},
	} {
		if why, public := fault.Public(test.err); !public || !strings.Contains(why, test.want) || strings.Contains(test.err.Error(), "nonsense") {
			t.Errorf("%s: %v", name, test.err)
		}
	}
	half := io.MultiReader(strings.NewReader("half"), failing{broken})
	if err := put(server.URL, server.Credentials, "builds", half, 100); err == nil {
		t.Error("an object was made of half a file")
	}
	if got, _ := server.Get(t, "builds", "app"); got != nil {
		t.Errorf("there is an object after all: %q", got)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestNew(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte("[other]\naws_access_key_id = a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ endpoint, file, want string }{
		{"obs.example.org", file, "must be an address such as https://obs.example.org, without a path"},
		{"https://obs.example.org/bucket", file, "must be an address"},
		{"https://a:b@obs.example.org", file, "must be an address"},
		{"https://obs.example.org", file, "cannot be read"},
		{"https://obs.example.org", file + "-none", "cannot be read"},
	} {
		if _, err := objects.New(objects.Config{Endpoint: test.endpoint, Credentials: test.file}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v", test, err)
		}
	}
}
