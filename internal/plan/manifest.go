package plan

import (
	"path"
	"strings"
)

// ManifestCheckout puts the repositories into the workspace that a manifest of the repo tool names.
type ManifestCheckout struct {
	URL      string // of the repository with the manifest
	Branch   string // of it, or another revision; HEAD for its default branch
	File     string // the manifest
	Path     string // directory below the workspace for all of it; empty for the workspace itself
	LFS      bool
	User     string // who reads the repositories of the manifest's host; empty for what the server has
	Password string
}

// manifestCheckout puts the settings of a manifest_checkout step together.
func manifestCheckout(in settings) *ManifestCheckout {
	m := &ManifestCheckout{
		URL: in.texts["manifest_url"], Branch: in.texts["manifest_branch"], File: in.texts["manifest_file"], Path: in.directory("path"),
		LFS: in.texts["lfs"] == "true", User: in.texts["username"], Password: in.texts["password"],
	}
	if m.Branch == "" {
		m.Branch = "HEAD"
	}
	if m.File == "" {
		m.File = "default.xml"
	}
	if m.File = path.Clean(m.File); m.File == "." || !below(m.File) {
		in.report("manifest_file", "must be a file of the repository, found %s", shown(in.texts["manifest_file"]))
	}
	address := addressWithPlaceholders(m.URL)
	web := strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://")
	if (m.User != "" || m.Password != "") && !web {
		in.report("username", "is for addresses of the form https://host/path; the manifest's is another one")
	}
	if (m.User == "") != (m.Password == "") {
		in.report("password", "must be given together with username")
	}
	return m
}
