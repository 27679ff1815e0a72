// Package console is the page that people open in a browser: their tasks, the builds of each, and the log of a build as it comes.
//
// The page is plain files without a build step. It calls the public API with a token, as every other client does, so it can
// show nothing that the API would not.
package console

import (
	"embed"
	"html"
	"io"
	"net/http"
	"path"
	"strings"
)

//go:embed page/index.html
var index string

//go:embed page/console.js page/icon.svg page/style.css
var files embed.FS

// The page loads nothing from elsewhere, runs no script of others and cannot be framed.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Serves reports whether a path is the console's. All others are the API's.
func Serves(path string) bool { return path == "/" || strings.HasPrefix(path, "/console/") }

// New returns the console of a server, which signs people in for a region.
func New(region, domain string) http.Handler {
	index := strings.NewReplacer("{{region}}", html.EscapeString(region), "{{domain}}", html.EscapeString(domain)).Replace(index)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "the console can only be read", http.StatusMethodNotAllowed)
		case r.URL.Path == "/":
			h.Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, index) // an error means that the browser is gone
		default:
			http.ServeFileFS(w, r, files, "page/"+strings.TrimPrefix(path.Clean(r.URL.Path), "/console/"))
		}
	})
}
