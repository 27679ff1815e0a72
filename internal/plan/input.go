package plan

import (
	"slices"

	"atelier/internal/build"
)

// Input is everything that a plan is made from.
type Input struct {
	Job     build.Config
	File    *File        // the build file; nil for a job whose steps are its own
	Params  []Param      // the build's: values given at the start over the job's defaults. They rank above those of the file
	System  []Param      // set by the service; nobody can redefine them
	Source  Source       // the job's repository, as far as it has one
	Classes []string     // of executors, upper case
	Modules Modules      // of the operator
	Steps   int          // the most that a build file may have; 0 for [build.MaxSteps]
	Flow    *FlowContext // of a build that is part of a flow; nil for one that stands alone

	// Untrusted are the parameters whose values come from somebody who may run the task and not edit it. They may stand wherever a value may,
	// but not where a script makes a value part of a program.
	Untrusted []string
}

// File is a build file.
type File struct {
	Path string // in the repository, for messages
	Data []byte
}

// Source is the job's repository, and what of it the build takes.
type Source struct {
	URL    string
	Branch string
	Tag    string
	Commit string // whole
	Fixed  bool   // a tag or a commit was chosen when the build was started, so the file's own do not count
}

// checkout returns the step that puts the job's repository into the workspace.
func (s Source) checkout() Checkout {
	return Checkout{URL: s.URL, Branch: s.Branch, Tag: s.Tag, Commit: s.Commit}
}

// params returns the build's parameters. Every task has the one that names the branch, also one that does not define it.
func (in Input) params() []Param {
	if in.Source.Branch == "" || slices.ContainsFunc(in.Params, func(p Param) bool { return p.Name == build.BranchParameter }) {
		return in.Params
	}
	return append(slices.Clone(in.Params), Param{Name: build.BranchParameter, Value: in.Source.Branch})
}

// untrusted returns the names of parameters that do not have their values from who may edit the task: besides those that the input names,
// what people call branches, tags and themselves.
func (in Input) untrusted() map[string]bool {
	names := map[string]bool{build.BranchParameter: true, build.TagParameter: true, "EXECUTOR": true}
	for _, name := range in.Untrusted {
		names[name] = true
	}
	return names
}

// New makes the plan of a build. An error is of the type [Problems].
func New(in Input) (Plan, error) {
	if in.File == nil {
		return planActions(in)
	}
	return planFile(in)
}

// checkoutName is what people see of a checkout that no file and no task names.
const checkoutName = "Checkout"

// scope is where references to parameters are looked up.
type scope struct {
	values    map[string]string
	order     []string        // of definition
	untrusted map[string]bool // whose values are, or hold, what somebody chose who may only run the task
	aliases   []string        // of the order, that scripts need under an alias
	quoted    []string        // of the order, that scripts need as a quoted word
}

// newScope returns what steps see: the parameters of the file, those of the build over them, and those of the service over all.
// A value may refer to other parameters; cycles are reported with the name of a parameter on them.
func newScope(file []Param, in Input, cycle func(name string, way []string)) scope {
	raw := make(map[string]string)
	var order []string
	for _, p := range slices.Concat(file, in.params(), in.System) {
		if _, known := raw[p.Name]; !known {
			order = append(order, p.Name)
		}
		raw[p.Name] = p.Value
	}
	s := scope{values: make(map[string]string, len(raw)), order: order, untrusted: in.untrusted()}
	for _, p := range in.System {
		s.values[p.Name] = p.Value // as it is
	}
	for name := range s.untrusted { // nobody chooses which other parameter's value goes where this one does
		if value, given := raw[name]; given {
			s.values[name] = value
		}
	}
	for _, name := range order {
		s.resolve(name, raw, nil, cycle)
	}
	return s
}

// maxReferences is how far references to references are followed.
const maxReferences = 10

// resolve works out the value of one parameter, and before it those that it refers to.
func (s *scope) resolve(name string, raw map[string]string, way []string, cycle func(string, []string)) {
	if _, done := s.values[name]; done {
		return
	}
	if slices.Contains(way, name) || len(way) == maxReferences {
		cycle(name, append(way, name))
		s.values[name] = raw[name] // so that the cycle is reported once
		return
	}
	s.values[name] = replaceReferences(raw[name], func(other string) (string, bool) {
		if _, known := raw[other]; !known {
			return "", false
		}
		s.resolve(other, raw, append(slices.Clone(way), name), cycle)
		if s.untrusted[other] {
			s.untrusted[name] = true
		}
		return s.values[other], true
	})
}

// value returns the final value of a parameter.
func (s *scope) value(name string) (string, bool) {
	value, ok := s.values[name]
	return value, ok
}

// expand replaces the references in a text. What it does not know stays as it is.
func (s *scope) expand(text string) string { return replaceReferences(text, s.value) }

// env returns all parameters with their final values, and what the scripts of the steps so far need besides.
func (s *scope) env() []Param {
	out := make([]Param, len(s.order))
	for i, name := range s.order {
		out[i] = Param{Name: name, Value: s.values[name]}
	}
	for _, name := range s.aliases {
		out = append(out, Param{Name: aliasPrefix + name, Value: s.values[name]})
	}
	for _, name := range s.quoted {
		out = append(out, Param{Name: quotedPrefix + name, Value: Quoted(s.values[name])})
	}
	return out
}
