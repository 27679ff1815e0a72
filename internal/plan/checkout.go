package plan

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// checkout makes the step that a checkout of a build file stands for. A build was started for a branch, a tag or a commit of
// the job's own repository; for that repository the choice replaces what the file says, for any other the file decides.
func (r *reader) checkout(e entry, in map[string]value) *Checkout {
	optional := func(name string) string {
		if v := in[name].text; !unresolved(v) {
			return v
		}
		return "" // as if it were not given; a warning was written
	}
	c := Checkout{
		URL: in["url"].text, Branch: in["branch"].text, Tag: optional("tag"), Commit: optional("commit"), Depth: 1,
		Submodules: in["submodule"].text == "true", LFS: in["lfs"].text == "true", Path: r.directory(in["path"]),
	}
	if depth := in["depth"].text; depth != "" {
		c.Depth, _ = strconv.Atoi(depth) // checked as an input
	}
	_, scm := in["scm"]
	switch {
	case c.URL != "" || in["url"].wrong:
	case scm || r.in.Source.URL == "":
		r.report(e.at, e.path+".inputs.url", "is missing")
	default:
		c.URL = r.in.Source.URL
	}
	if in["scm"].text != "" && in["scm"].text != "codehub" {
		r.report(in["scm"].value, in["scm"].path, "must be codehub, found %s", shown(in["scm"].text))
	}
	own := r.in.Source
	if c.Branch == "" && !in["branch"].wrong {
		r.warn("has no branch; the task's is used", e.at, e.path)
		c.Branch = own.Branch
	}
	switch {
	case !sameRepository(c.URL, own.URL):
	case own.Fixed || c.Tag == "" && c.Commit == "":
		c.Branch, c.Tag, c.Commit = own.Branch, own.Tag, own.Commit
	}
	if !in["path"].wrong && slices.ContainsFunc(r.plan.Steps, func(s Step) bool { return s.Checkout != nil && s.Checkout.Path == c.Path }) {
		r.report(e.at, e.path+".inputs.path", "an earlier checkout goes into the same directory")
	}
	return &c
}

// endpoint returns the service endpoint of a checkout: its own, else the job's.
func (r *reader) endpoint(v value) string {
	if v.text != "" && !unresolved(v.text) {
		return v.text
	}
	own, _ := r.in.Job.Source()
	return own.EndpointID
}

// sameRepository compares addresses without the ending that servers treat as optional.
func sameRepository(a, b string) bool {
	short := func(s string) string { return strings.TrimSuffix(strings.TrimSuffix(s, "/"), ".git") }
	return short(a) == short(b)
}

// directory returns the directory of a checkout below the workspace; empty for the workspace itself.
func (r *reader) directory(v value) string {
	if v.text == "" {
		return ""
	}
	dir := path.Clean(v.text)
	if path.IsAbs(dir) || dir == ".." || strings.HasPrefix(dir, "../") || strings.Contains(v.text, `\`) {
		r.report(v.value, v.path, "must be a directory below the workspace, found %s", shown(v.text))
	}
	if dir == "." {
		return ""
	}
	return dir
}
