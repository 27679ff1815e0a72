package console_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"atelier/internal/console"
)

func TestConsole(t *testing.T) {
	t.Parallel()
	handler := console.New(`cn-"1"`, "acme")
	tests := []struct {
		method, path string
		status       int
		kind, holds  string
	}{
		{http.MethodGet, "/", http.StatusOK, "text/html; charset=utf-8", `data-region="cn-&#34;1&#34;"`},
		{http.MethodGet, "/", http.StatusOK, "text/html; charset=utf-8", `value="acme"`},
		{http.MethodGet, "/docs", http.StatusOK, "text/html; charset=utf-8", `data-region="cn-&#34;1&#34;"`},
		{http.MethodGet, "/console/docs.js", http.StatusOK, "text/javascript; charset=utf-8", "/openapi.json"},
		{http.MethodGet, "/console/samples.js", http.StatusOK, "text/javascript; charset=utf-8", "export"},
		{http.MethodGet, "/console/sdk.json", http.StatusOK, "application/json", "RunJobRequest"},
		{http.MethodGet, "/console/console.js", http.StatusOK, "text/javascript; charset=utf-8", "/v3/auth/tokens"},
		{http.MethodGet, "/console/style.css", http.StatusOK, "text/css; charset=utf-8", "color-scheme"},
		{http.MethodGet, "/console/icon.svg", http.StatusOK, "image/svg+xml", "<svg"},
		{http.MethodGet, "/console/none", http.StatusNotFound, "text/plain; charset=utf-8", "not found"},
		{http.MethodGet, "/console/../console.go", http.StatusBadRequest, "text/plain; charset=utf-8", "invalid"},
		{http.MethodGet, "/console/", http.StatusNotFound, "text/plain; charset=utf-8", "not found"},
		{http.MethodPost, "/", http.StatusMethodNotAllowed, "text/plain; charset=utf-8", "only be read"},
	}
	for _, tt := range tests {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, nil))
		if w.Code != tt.status || w.Header().Get("Content-Type") != tt.kind || !strings.Contains(w.Body.String(), tt.holds) {
			t.Errorf("%s %s: %d %s, want %d %s with %q:\n%s", tt.method, tt.path, w.Code, w.Header().Get("Content-Type"), tt.status, tt.kind, tt.holds, w.Body)
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: the policy is %q", tt.path, csp)
		}
	}
}
