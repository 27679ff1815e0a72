// Package manifest reads the manifests of the repo tool: XML files that name many git repositories, and where each goes.
package manifest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"atelier/internal/fault"
)

// Project is a repository that a manifest names.
type Project struct {
	URL      string
	Revision string // a branch, refs/heads/…, refs/tags/… or the id of a commit; empty for the default branch
	Path     string // directory below that of the checkout, clean, without a way out of it
	Depth    int    // of the history; 0 for all of it
	Files    []File
}

// File is a file of a project that gets a second place. Both paths are clean and lead to nowhere outside.
type File struct {
	From string // below the project's directory
	To   string // below the directory of the checkout
	Link bool   // a link to From, not a copy
}

// The limits on what a manifest may be.
const (
	MaxSize     = 1 << 20 // bytes of a file
	maxFiles    = 50      // that include each other
	maxProjects = 2000
)

// Read reads a manifest and those that it includes. The address is that of the manifests' repository; relative ones of remotes are seen from
// it. Everything that is wrong is a fault.Invalid error; errors of open, which opens a file of the repository by its clean path, are
// returned.
func Read(address, file string, open func(name string) (io.ReadCloser, error)) ([]Project, error) {
	r := reader{address: address, open: open, remotes: make(map[string]remote)}
	if err := r.file(file); err != nil {
		return nil, err
	}
	projects := make([]Project, 0, len(r.projects))
	for _, p := range r.projects {
		project, err := r.project(p)
		if err != nil {
			return nil, err
		}
		projects = append(projects, project)
	}
	// What is in the directory of another comes after that.
	slices.SortStableFunc(projects, func(a, b Project) int { return strings.Compare(a.Path, b.Path) })
	for i := 1; i < len(projects); i++ {
		if projects[i].Path == projects[i-1].Path {
			return nil, wrong("two projects go to the path %q", projects[i].Path)
		}
	}
	if len(projects) == 0 {
		return nil, wrong("%s names no projects", file)
	}
	return projects, nil
}

func wrong(format string, args ...any) error {
	return fault.New(fault.Invalid, "the manifest cannot be used: "+format, args...)
}

// The elements of a manifest. What is not here says nothing about which files are in the workspace.
type (
	document struct {
		XMLName  xml.Name  `xml:"manifest"`
		Elements []element `xml:",any"`
	}
	element struct {
		XMLName    xml.Name
		Name       string    `xml:"name,attr"`
		Fetch      string    `xml:"fetch,attr"`
		Remote     string    `xml:"remote,attr"`
		Revision   string    `xml:"revision,attr"`
		Path       string    `xml:"path,attr"`
		CloneDepth int       `xml:"clone-depth,attr"`
		Groups     string    `xml:"groups,attr"`
		Elements   []element `xml:",any"`
		From       string    `xml:"src,attr"`
		To         string    `xml:"dest,attr"`
	}
	remote struct{ fetch, revision string }
)

type reader struct {
	address  string
	open     func(name string) (io.ReadCloser, error)
	files    int
	remotes  map[string]remote
	standard element // the default element
	projects []element
}

func (r *reader) file(name string) error {
	if r.files++; r.files > maxFiles {
		return wrong("more than %d files include each other", maxFiles)
	}
	f, err := r.open(name)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if len(data) > MaxSize {
		return wrong("%s has more than %d bytes", name, MaxSize)
	}
	var d document
	if err := xml.NewDecoder(bytes.NewReader(data)).Decode(&d); err != nil {
		return wrong("%s is not one: %v", name, err)
	}
	for _, e := range d.Elements {
		if err := r.element(name, e); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) element(file string, e element) error {
	switch e.XMLName.Local {
	case "remote":
		r.remotes[e.Name] = remote{e.Fetch, e.Revision}
	case "default":
		r.standard = e
	case "project":
		if len(r.projects) == maxProjects {
			return wrong("it names more than %d projects", maxProjects)
		}
		if slices.ContainsFunc(e.Elements, func(below element) bool { return below.XMLName.Local == "project" }) {
			return wrong("%s: the project %q has projects in it, which is not supported", file, e.Name)
		}
		if !slices.Contains(strings.FieldsFunc(e.Groups, func(c rune) bool { return c == ',' || c == ' ' }), "notdefault") {
			r.projects = append(r.projects, e)
		}
	case "remove-project":
		r.projects = slices.DeleteFunc(r.projects, func(p element) bool {
			return (e.Name == "" || p.Name == e.Name) && (e.Path == "" || p.Path == e.Path) && e.Name+e.Path != ""
		})
	case "include":
		name, ok := within(e.Name)
		if !ok {
			return wrong("%s includes %q, which is no file of its repository", file, e.Name)
		}
		return r.file(name)
	case "extend-project", "submanifest":
		return wrong("%s has an element %s, which is not supported", file, e.XMLName.Local)
	}
	return nil
}

// project puts together what an element, its remote and the defaults say.
func (r *reader) project(e element) (p Project, err error) {
	name := e.Remote
	if name == "" {
		name = r.standard.Remote
	}
	from, ok := r.remotes[name]
	if !ok {
		return p, wrong("the project %q names the remote %q, which there is not", e.Name, name)
	}
	if p.URL, err = r.join(from.fetch, e.Name); err != nil {
		return p, err
	}
	for _, revision := range []string{e.Revision, from.revision, r.standard.Revision} {
		if p.Revision == "" {
			p.Revision = revision
		}
	}
	if e.Path == "" {
		e.Path = e.Name
	}
	if p.Path, ok = within(e.Path); !ok {
		return p, wrong("the project %q goes to the path %q, which is none below the workspace", e.Name, e.Path)
	}
	if p.Depth = e.CloneDepth; p.Depth < 0 {
		return p, wrong("the project %q has a clone-depth of %d", e.Name, p.Depth)
	}
	for _, f := range e.Elements {
		if f.XMLName.Local != "copyfile" && f.XMLName.Local != "linkfile" {
			continue
		}
		file := File{Link: f.XMLName.Local == "linkfile"}
		var ok2 bool
		file.From, ok = within(f.From)
		if file.To, ok2 = within(f.To); !ok || !ok2 || file.To == "." {
			return p, wrong("the project %q puts %q to %q, which is not below the workspace", e.Name, f.From, f.To)
		}
		p.Files = append(p.Files, file)
	}
	return p, nil
}

// scpAddress is an address in the short form of ssh.
var scpAddress = regexp.MustCompile(`^([^/:]+@[^/:]+):(.*)$`)

// join returns the address of a project. That of its remote may be relative to that of the manifests.
func (r *reader) join(fetch, name string) (string, error) {
	base := strings.TrimRight(fetch, "/")
	if base == "." || base == ".." || strings.HasPrefix(base, "./") || strings.HasPrefix(base, "../") {
		// An address of a directory, as the tool takes that of the manifests: .. is what holds it.
		parent := strings.TrimRight(r.address, "/")
		if short := scpAddress.FindStringSubmatch(parent); short != nil {
			parent = "ssh://" + short[1] + "/" + short[2]
		}
		u, err := url.Parse(parent)
		if err != nil {
			return "", wrong("the remote is at %q, but the manifest's own address is none that it can be relative to", fetch)
		}
		u.Path = path.Join(u.Path, base)
		base = strings.TrimRight(u.String(), "/")
	}
	if base == "" {
		return "", wrong("the remote of the project %q has no fetch", name)
	}
	if name == "" {
		return "", wrong("a project has no name")
	}
	return base + "/" + strings.Trim(name, "/"), nil
}

// within returns the clean form of a path that does not lead out of where it is seen from.
func within(name string) (string, bool) {
	clean := path.Clean(name)
	ok := name != "" && !path.IsAbs(clean) && clean != ".." && !strings.HasPrefix(clean, "../") && !strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == '\\' }) &&
		!slices.Contains(strings.Split(clean, "/"), ".git")
	return clean, ok
}
