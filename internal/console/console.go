// Package console is what people open in a browser: their tasks, the builds of each, and the log of a build as it comes; and below /docs the
// explorer of the API.
//
// The pages are plain files without a build step. They call the public API with a token, as every other client does, so they can
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

//go:embed page/docs.html
var explorer string

//go:embed page/console.js page/docs.css page/docs.js page/icon.svg page/samples.js page/sdk.json page/style.css
var files embed.FS

// The page loads nothing from elsewhere, runs no script of others and cannot be framed.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// New returns the console of a server, which signs people in for a region. Its paths are /, /docs and those below /console/.
func New(region, domain string) http.Handler {
	fill := strings.NewReplacer("{{region}}", html.EscapeString(region), "{{domain}}", html.EscapeString(domain))
	pages := map[string]string{"/": fill.Replace(index), "/docs": fill.Replace(explorer)}
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
		case pages[r.URL.Path] != "":
			h.Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, pages[r.URL.Path]) // an error means that the browser is gone
		default:
			http.ServeFileFS(w, r, files, "page/"+strings.TrimPrefix(path.Clean(r.URL.Path), "/console/"))
		}
	})
}
