package plan

import (
	"strings"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/glob"
)

// Upload puts files of the workspace into the release repository of the build's project.
type Upload struct {
	Pattern string // of the files; see package glob
	Version string // the directory in the repository; empty for the build's daily number
	Name    string // of the files there; empty for their own
}

// Download puts a file of the release repository into the workspace, under its own name.
type Download struct {
	URL string // an address, or the path of one, that ends in project id, version and name
}

// Fetch puts a file of the tenant's file management into the workspace, under its own name.
type Fetch struct{ Name string }

// check reports a name that no such file can have.
func (f Fetch) check(report func(input, why string)) {
	if strings.ContainsAny(f.Name, `/\`) {
		report("name", "must be the name of a file in file management, such as settings.xml, found "+shown(f.Name))
	}
}

// fetch reads the inputs of a build file's step.
func (r *reader) fetch(in map[string]value) *Fetch {
	f := &Fetch{Name: in["name"].text}
	f.check(func(input, why string) { r.report(in[input].value, in[input].path, "%s", why) })
	return f
}

// fetchAction reads the properties of an ACTION step.
func (s *scope) fetchAction(step build.ActionStep, problem func(key, message string)) *Fetch {
	f := &Fetch{Name: s.property(step, "name", problem)}
	if f.Name == "" {
		problem(".properties.name", "is missing")
		return f
	}
	f.check(func(input, why string) { problem(".properties."+input, why) })
	return f
}

// check reports what is wrong with an upload, by input of the build file.
func (u Upload) check(report func(input, why string)) {
	if _, err := glob.Parse(u.Pattern); err != nil && u.Pattern != "" { // that it is missing is reported
		why, _ := fault.Public(err)
		report("path", why)
	}
	if u.Version != "" {
		if why := build.CheckArtifactVersion(u.Version); why != "" {
			report("version", why)
		}
	}
	if u.Name != "" {
		if why := build.CheckArtifactName(u.Name); why != "" {
			report("name", why)
		}
	}
}

// check reports an address that no file of the release repository can have.
func (d Download) check(report func(input, why string)) {
	address := strings.ToLower(addressWithPlaceholders(d.URL))
	for _, prefix := range []string{"https://", "http://", "/"} {
		if strings.HasPrefix(address, prefix) || address == "" {
			return // that it is missing is reported
		}
	}
	report("url", "must be an address in the release repository, such as https://<host>/<project id>/<version>/<name>, found "+shown(d.URL))
}

// upload reads the inputs of a build file's step.
func (r *reader) upload(in map[string]value) *Upload {
	u := &Upload{Pattern: in["path"].text, Version: strings.TrimPrefix(in["version"].text, "/"), Name: in["name"].text}
	u.check(func(input, why string) { r.report(in[input].value, in[input].path, "%s", why) })
	return u
}

// download reads the inputs of a build file's step.
func (r *reader) download(in map[string]value) *Download {
	d := &Download{URL: in["url"].text}
	d.check(func(input, why string) { r.report(in[input].value, in[input].path, "%s", why) })
	return d
}

// uploadAction reads the properties of an ACTION step. The directory of the repository is made of both properties that name one.
func (s *scope) uploadAction(step build.ActionStep, problem func(key, message string)) *Upload {
	get := func(name string) string { return s.property(step, name, problem) }
	u := &Upload{Pattern: get("file"), Name: get("name")}
	directory, version := strings.TrimPrefix(get("customUploadPath"), "/"), strings.TrimPrefix(get("buildVersion"), "/")
	u.Version = directory
	if directory == "" || version != "" {
		u.Version = strings.TrimPrefix(directory+"/"+version, "/")
	}
	if u.Pattern == "" {
		problem(".properties.file", "is missing")
		return u
	}
	u.check(func(input, why string) {
		key := map[string]string{"path": "file", "version": "buildVersion", "name": "name"}[input]
		if input == "version" && directory != "" {
			key = "customUploadPath"
		}
		problem(".properties."+key, why)
	})
	return u
}

// downloadAction reads the properties of an ACTION step.
func (s *scope) downloadAction(step build.ActionStep, problem func(key, message string)) *Download {
	d := &Download{URL: s.property(step, "url", problem)}
	if d.URL == "" {
		problem(".properties.url", "is missing")
		return d
	}
	d.check(func(input, why string) { problem(".properties."+input, why) })
	return d
}

// property returns a property of an ACTION step with its references replaced; empty when it is not given.
func (s *scope) property(step build.ActionStep, name string, problem func(key, message string)) string {
	text, _, err := textProperty(step, name)
	if why, isWrong := fault.Public(err); isWrong {
		problem("", why)
	}
	return s.expand(text)
}
