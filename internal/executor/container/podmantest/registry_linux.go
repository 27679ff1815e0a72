package podmantest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// The credentials of every registry.
const (
	RegistryUser     = "builder"
	RegistryPassword = "keep out"
)

// Registry is a registry on this machine that has one image, [Registry.Image], for who has the credentials.
type Registry struct {
	Host  string
	Image string       // busybox
	Asked atomic.Int64 // how often somebody asked for the image's manifest

	blobs map[string][]byte // by path
	types map[string]string
}

// StartRegistry starts a registry that ends with the test.
func StartRegistry(t testing.TB) *Registry {
	t.Helper()
	r := &Registry{blobs: make(map[string][]byte), types: make(map[string]string)}
	layer, err := os.ReadFile(archive(t, "busybox", []string{"busybox"}))
	if err != nil {
		t.Fatal(err)
	}
	const media = "application/vnd.oci.image."
	config := r.add(t, media+"config.v1+json", map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	r.put("/v2/team/small/manifests/1", media+"manifest.v1+json", marshal(t, map[string]any{
		"schemaVersion": 2, "mediaType": media + "manifest.v1+json", "config": config, "layers": []any{r.blob(media+"layer.v1.tar", layer)},
	}))
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.Host = strings.TrimPrefix(server.URL, "http://")
	r.Image = r.Host + "/team/small:1"
	return r
}

// ServeHTTP implements [http.Handler].
func (r *Registry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if user, password, _ := request.BasicAuth(); user != RegistryUser || password != RegistryPassword {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you?"}]}`, http.StatusUnauthorized)
		return
	}
	if request.URL.Path == "/v2/" {
		return
	}
	data, ok := r.blobs[request.URL.Path]
	if !ok {
		http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"there is no such image"}]}`, http.StatusNotFound)
		return
	}
	if strings.Contains(request.URL.Path, "/manifests/") {
		r.Asked.Add(1)
	}
	w.Header().Set("Content-Type", r.types[request.URL.Path])
	w.Header().Set("Docker-Content-Digest", digest(data))
	_, _ = w.Write(data)
}

func (r *Registry) put(path, mediaType string, data []byte) {
	r.blobs[path], r.types[path] = data, mediaType
}

// add stores a blob of JSON and returns its descriptor.
func (r *Registry) add(t testing.TB, mediaType string, content any) map[string]any {
	t.Helper()
	return r.blob(mediaType, marshal(t, content))
}

func (r *Registry) blob(mediaType string, data []byte) map[string]any {
	r.put("/v2/team/small/blobs/"+digest(data), mediaType, data)
	return map[string]any{"mediaType": mediaType, "digest": digest(data), "size": len(data)}
}

func digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
