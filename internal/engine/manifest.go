package engine

import (
	"fmt"
	"io"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"

	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/manifest"
	"atelier/internal/plan"
	"atelier/internal/source"
)

// openManifests makes credentials of the user names and passwords that manifest_checkout steps have. They count on the manifest's host.
func (r *run) openManifests(steps []plan.Step, p *prepared) error {
	for i, step := range steps {
		m := step.Manifest
		if m == nil || m.User == "" {
			continue
		}
		u, err := url.Parse(m.URL)
		if err != nil || u.Host == "" {
			return fault.New(fault.Invalid, "the manifest_url %q is not an address", m.URL)
		}
		id := "manifest-" + strconv.Itoa(i) // no endpoint has such an id
		if p.credentials == nil {
			p.credentials = make(map[string]source.Credential)
		}
		p.credentials[id] = source.Credential{Name: "username of " + step.Name, URL: u.Scheme + "://" + u.Host, User: m.User, Password: m.Password}
		steps[i].EndpointID = id
		r.hide(p, m.Password)
	}
	return nil
}

// checkoutManifest checks the repositories out that a manifest names, one after the other, and before them the one that has the manifest.
func (r *run) checkoutManifest(session executor.Session, step plan.Step, out io.Writer) (executor.Result, error) {
	m := *step.Manifest
	own := path.Join(m.Path, ".repo", "manifests") // where the repo tool has it
	checkout := func(spec plan.Checkout) (executor.Result, error) {
		return session.Run(r.ctx, plan.Step{Keyword: step.Keyword, Name: step.Name, EndpointID: step.EndpointID, Checkout: &spec}, out)
	}
	if result, err := checkout(atRevision(plan.Checkout{URL: m.URL, Path: own, Depth: 1}, m.Branch)); err != nil || !result.Succeeded() {
		return result, err
	}
	projects, err := manifest.Read(m.URL, m.File, func(name string) (io.ReadCloser, error) { return session.ReadFile(path.Join(own, name)) })
	if why, public := fault.Public(err); public {
		return executor.Result{ExitCode: 1, Reason: why}, nil
	} else if err != nil {
		return executor.Result{}, err
	}
	for _, p := range projects {
		if _, err := fmt.Fprintf(out, "Project %s\n", printable(p.Path)); err != nil {
			return executor.Result{}, err
		}
		spec := atRevision(plan.Checkout{URL: p.URL, Path: path.Join(m.Path, p.Path), Depth: p.Depth, LFS: m.LFS}, p.Revision)
		if result, err := checkout(spec); err != nil || !result.Succeeded() {
			return result, err
		}
	}
	if command := placeFiles(m.Path, projects); command != "" {
		return session.Run(r.ctx, plan.Step{Keyword: step.Keyword, Name: step.Name, Script: &plan.Script{Command: command}}, out)
	}
	return executor.Result{}, nil
}

var commitID = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// atRevision returns a checkout of what a manifest calls a revision.
func atRevision(c plan.Checkout, revision string) plan.Checkout {
	tag, isTag := strings.CutPrefix(revision, "refs/tags/")
	switch {
	case isTag:
		c.Tag = tag
	case commitID.MatchString(revision):
		c.Commit = revision
	case revision != "HEAD":
		c.Branch = strings.TrimPrefix(revision, "refs/heads/")
	}
	return c
}

// placeFiles are the commands that give files of projects a second place, as a manifest says.
func placeFiles(dir string, projects []manifest.Project) string {
	var b strings.Builder
	for _, p := range projects {
		for _, f := range p.Files {
			to, from := path.Join(dir, f.To), path.Join(p.Path, f.From)
			fmt.Fprintf(&b, "mkdir -p -- %s\n", plan.Quoted("./"+path.Dir(to)))
			if f.Link {
				fmt.Fprintf(&b, "ln -sfn -- %s %s\n", plan.Quoted(strings.Repeat("../", strings.Count(f.To, "/"))+from), plan.Quoted("./"+to))
			} else {
				fmt.Fprintf(&b, "cp -f -- %s %s\n", plan.Quoted("./"+path.Join(dir, from)), plan.Quoted("./"+to))
			}
		}
	}
	return b.String()
}
