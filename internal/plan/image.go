package plan

import (
	"path"
	"strings"

	imageref "github.com/distribution/reference"
)

// ImageBuild builds an image from a Dockerfile of the workspace and pushes it to registries.
type ImageBuild struct {
	Organization string   // first part of the image's path in a registry
	Name         string   // the rest of it
	Tag          string   //
	Context      string   // directory below the workspace; empty for the workspace itself
	Dockerfile   string   // seen from Context
	Regions      []string // whose registries it is pushed to; empty for that of the service
	MetaData     bool     // note in the image which build it comes from
}

// imageBuild puts the settings of a build_image step together.
func (s *scope) imageBuild(in settings, job string) *ImageBuild {
	get := func(name, standard string) string {
		if text := in.texts[name]; text != "" {
			return text
		}
		return standard
	}
	b := &ImageBuild{
		Organization: get("organization", ""), Name: get("image_name", strings.ToLower(job)), Tag: get("image_tag", s.values["BUILDNUMBER"]),
		Context: in.directory("context_path"), Dockerfile: path.Clean(get("dockerfile_path", "Dockerfile")),
		Regions: in.lists["regions"], MetaData: in.texts["set_meta_data"] == "true",
	}
	if !below(b.Dockerfile) || b.Dockerfile == "." {
		in.report("dockerfile_path", "must be a file below the context, found %s", shown(in.texts["dockerfile_path"]))
	}
	for _, part := range []struct{ input, text string }{{"organization", b.Organization}, {"image_name", b.Name}} {
		if _, err := imageref.WithName("example.org/" + withPlaceholders(part.text)); err != nil && part.text != "" {
			in.report(part.input, "must have lower case letters, digits and . _ - / between them, found %s", shown(part.text))
		}
	}
	if named, err := imageref.WithName("example.org/x"); err == nil && b.Tag != "" {
		if _, err := imageref.WithTag(named, withPlaceholders(b.Tag)); err != nil {
			in.report("image_tag", "must have at most 128 letters, digits and . _ - and begin with none of . and -, found %s", shown(b.Tag))
		}
	}
	return b
}

// directory returns an input that is a directory below the workspace; empty for the workspace itself.
func (s settings) directory(name string) string {
	text := s.texts[name]
	dir := path.Clean(text)
	switch {
	case text == "" || dir == ".":
		return ""
	case !below(dir):
		s.report(name, "must be a directory below the workspace, found %s", shown(text))
	}
	return dir
}

// below reports whether a path, which is clean, does not lead out of where it is seen from.
func below(name string) bool {
	return !path.IsAbs(name) && name != ".." && !strings.HasPrefix(name, "../") && !strings.ContainsAny(name, "\\\x00")
}
