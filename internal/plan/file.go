package plan

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"atelier/internal/build"
)

// reader makes the plan of a build file. What it finds wrong is collected in its document.
type reader struct {
	document
	in    Input
	own   []Param // the file's parameters, as they stand there
	scope scope
	plan  Plan
}

// planFile makes the plan of a build file.
func planFile(in Input) (Plan, error) {
	r := &reader{document: document{file: in.File.Path}, in: in}
	if root := r.parse(in.File.Data); root != nil {
		r.root(root)
	}
	if err := r.problems.sorted(); err != nil {
		return Plan{}, err
	}
	r.plan.Env = r.scope.env()
	return r.plan, nil
}

// advise notes what a user should know who writes the file.
func (r *reader) advise(text string, n *yaml.Node, path string) {
	p := Problem{File: r.file, Line: n.Line, Column: n.Column, Path: path, Message: text}
	r.plan.Advice = append(r.plan.Advice, p.String())
}

func (r *reader) warn(format string, n *yaml.Node, path string) {
	p := Problem{File: r.file, Line: n.Line, Column: n.Column, Path: path, Message: format}
	r.plan.Warnings = append(r.plan.Warnings, p.String())
}

// root reads a file with one task.
func (r *reader) root(n *yaml.Node) {
	keys, ok := r.top(n)
	if !ok {
		return
	}
	steps, has := keys["steps"]
	for _, flow := range flowKeys {
		e, found := keys[flow]
		switch {
		case found && has:
			r.report(e.at, flow, "stands beside steps; a file describes either one task or several")
		case found && r.in.Flow != nil:
			r.report(e.at, flow, "the build file of a flow's job cannot be a flow itself; flows have one level")
		case found:
			r.report(e.at, flow, "the file describes several tasks, and not one")
		}
		if found {
			return
		}
	}
	switch {
	case has:
		r.steps(steps)
	case valueOf(n, "build_flow") == nil && valueOf(n, "build_jobs") == nil: // meant as a flow, and reported
		r.report(n, "steps", "is missing")
	}
}

// top reads what the files of one and of several tasks share. The parameters come first, since every other value may refer to
// them. It returns the keys of the top level; false when there are none, which is reported.
func (r *reader) top(n *yaml.Node) (map[string]entry, bool) {
	r.recognise(n)
	keys := make(map[string]entry)
	entries := r.mapping(n, "", "a map with the keys version and steps")
	if len(entries) == 0 && len(r.problems) > 0 {
		return keys, false
	}
	for _, e := range entries {
		if !slices.Contains(topKeys, e.key) {
			r.unknownHere(e, topKeys)
			continue
		}
		keys[e.key] = e
	}
	r.version(n, keys)
	r.parameters(keys)
	r.environment(keys)
	return keys, true
}

var topKeys = []string{"version", "params", "env", "envs", "steps", "buildflow", "buildflows", "jobs"}

func (r *reader) version(root *yaml.Node, keys map[string]entry) {
	e, ok := keys["version"]
	if !ok {
		r.report(root, "version", "is missing; write version: 2.0")
		return
	}
	if v, ok := r.scalar(e.value, e.path); ok && v != "2.0" {
		r.report(e.value, e.path, "must be 2.0, found %s", shown(v))
	}
}

// parameters reads the file's own parameters and sets the scope.
func (r *reader) parameters(keys map[string]entry) {
	e, ok := keys["params"]
	if ok {
		r.own = r.paramList(e)
	} else {
		e.at = &yaml.Node{Line: 1, Column: 1}
	}
	r.scope = newScope(slices.Concat(r.in.Flow.params(), r.own), r.in, func(name string, way []string) {
		r.report(e.at, "params", "%s", cycleMessage(name, way))
	})
}

func (r *reader) paramList(list entry) []Param {
	var params []Param
	lines := make(map[string]int)
	for i, n := range r.list(list.value, list.path, "name and value pairs") {
		path := index(list.path, i)
		var p Param
		named := false
		for _, e := range r.mapping(n, path, "a map with the keys name and value") {
			if e.key != "name" && e.key != "value" {
				r.unknown(e, []string{"name", "value"})
				continue
			}
			value, ok := r.scalar(e.value, e.path)
			switch {
			case !ok:
				named = named || e.key == "name" // reported
			case e.key == "value":
				p.Value = value
			default:
				named = true
				if why := build.CheckParameterName(value); why != "" {
					r.report(e.value, e.path, "%s", why)
				} else if line, twice := lines[value]; twice {
					r.report(e.value, e.path, "%s is defined twice, first in line %d", shown(value), line)
				} else {
					lines[value] = e.at.Line
					p.Name = value
				}
			}
		}
		switch {
		case p.Name != "":
			params = append(params, p)
		case !named && r.follow(n).Kind == yaml.MappingNode:
			r.report(n, path+".name", "is missing")
		}
	}
	return params
}

// valueOf returns the value of a key, nil when there is none.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// expanded returns the text of a scalar with its references replaced. What stays unresolved is a warning.
func (r *reader) expanded(e entry) (string, bool) {
	raw, ok := r.scalar(e.value, e.path)
	if !ok {
		return "", false
	}
	s := r.scope.expand(raw)
	if unresolved(s) {
		r.warn("refers to a parameter that is not defined, and stays as it is: "+shown(raw), e.value, e.path)
	}
	return s, true
}

// oneOf reports a value that is not allowed and returns it in upper case.
func (r *reader) oneOf(e entry, value string, allowed []string) string {
	upper := strings.ToUpper(value)
	if !slices.Contains(allowed, upper) {
		r.report(e.value, e.path, "must be one of %s, found %s", strings.Join(allowed, ", "), shown(value))
	}
	return upper
}
