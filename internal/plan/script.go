package plan

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// About is what a script says of the build that it belongs to.
type About struct {
	JobID, JobName, ProjectID string
	Kind                      string // YAML or ACTION
	Class                     string // of the executor, such as 2U8G
	TimeoutMinutes            int
	Stages                    []Stage // of the plan's steps, in order
}

// Stage is how a step is called in records and logs.
type Stage struct {
	Name string // such as stage1
	ID   string // UUID
}

// Script writes a plan as the text that an operation shows as the script of a build. Every text goes through hide first.
func (p Plan) Script(about About, hide func(string) string) (string, error) {
	text := func(s string) *yaml.Node { return textNode(hide(s)) }
	var stages []any
	for i, step := range p.Steps {
		stage := []any{"meta", mappingOf("uuid", textNode(about.Stages[i].ID), "displayName", text(step.Name))}
		if step.Image != "" {
			stage = append(stage, "env", mappingOf("dockerImage", text(step.Image)))
		}
		task := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{mappingOf(step.Keyword, step.task(text))}}
		stages = append(stages, about.Stages[i].Name, mappingOf(append(stage, "tasks", task)...))
	}
	return about.write(stages, hide)
}

// Script does the same for a flow, whose stages are its jobs.
func (f Flow) Script(about About, hide func(string) string) (string, error) {
	var stages []any
	for i, j := range f.Jobs {
		after := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, name := range j.DependsOn {
			after.Content = append(after.Content, textNode(hide(name)))
		}
		stages = append(stages, about.Stages[i].Name, mappingOf(
			"meta", mappingOf("uuid", textNode(about.Stages[i].ID), "displayName", textNode(hide(j.Name))),
			"buildRef", textNode(hide(j.BuildRef)), "dependsOn", after,
		))
	}
	return about.write(stages, hide)
}

func (a About) write(stages []any, hide func(string) string) (string, error) {
	text, err := encodeYAML(mappingOf(
		"version", textNode("2.0"),
		"timeout", mappingOf("limit", numberNode(a.TimeoutMinutes), "unit", textNode("minute")),
		"devcloud_metadata", mappingOf(
			"label", textNode(a.Class), "buildType", textNode(a.Kind), "jobName", textNode(hide(a.JobName)), "jobId", textNode(a.JobID),
			"serviceType", textNode("codeci"), "projectId", textNode(a.ProjectID),
		),
		"stages", mappingOf(stages...),
	))
	if err != nil {
		return "", fmt.Errorf("write the script of a build: %w", err)
	}
	return string(text), nil
}

// task is what a step does.
func (s Step) task(text func(string) *yaml.Node) *yaml.Node {
	var pairs []any
	add := func(name, value string) {
		if value != "" {
			pairs = append(pairs, name, text(value))
		}
	}
	switch {
	case s.Checkout != nil:
		c := s.Checkout
		add("url", c.URL)
		add("branch", c.Branch)
		add("tag", c.Tag)
		add("commit", c.Commit)
		add("path", c.Path)
		if c.Depth > 0 {
			pairs = append(pairs, "depth", numberNode(c.Depth))
		}
		pairs = append(pairs, "submodule", boolNode(c.Submodules), "lfs", boolNode(c.LFS))
	case s.Script != nil:
		add("command", s.Script.Command)
	case s.Upload != nil:
		add("path", s.Upload.Pattern)
		add("version", s.Upload.Version)
		add("name", s.Upload.Name)
	case s.Download != nil:
		add("url", s.Download.URL)
	case s.Fetch != nil:
		add("name", s.Fetch.Name)
	case s.Docker != nil:
		add("command", s.Docker.Commands)
	case s.Build != nil:
		b := s.Build
		add("organization", b.Organization)
		add("image_name", b.Name)
		add("image_tag", b.Tag)
		add("context_path", b.Context)
		add("dockerfile_path", b.Dockerfile)
		add("regions", strings.Join(b.Regions, ", "))
	}
	if m := s.Manifest; m != nil { // without the password
		add("manifest_url", m.URL)
		add("manifest_branch", m.Branch)
		add("manifest_file", m.File)
		add("path", m.Path)
		pairs = append(pairs, "lfs", boolNode(m.LFS))
	}
	if s.Sign != nil { // without the passwords
		add("file_path", s.Sign.Pattern)
		add("keystore_file", s.Sign.Keystore)
		add("alias", s.Sign.Alias)
		add("apksigner_commond", s.Sign.Arguments)
	}
	if s.Store != nil {
		add("artifact_path", s.Store.Pattern)
		add("bucket_name", s.Store.Bucket)
		add("obs_directory", s.Store.Directory)
		add("artifact_dest_name", s.Store.Name)
		pairs = append(pairs, "upload_directory", boolNode(s.Store.Tree))
	}
	if s.IgnoreFail {
		pairs = append(pairs, ignoreFail, boolNode(true))
	}
	return mappingOf(pairs...)
}

func numberNode(n int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(n)}
}

func boolNode(b bool) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(b)}
}
