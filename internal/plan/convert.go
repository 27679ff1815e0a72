package plan

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"atelier/internal/build"
)

// Convert writes an ACTION job as a build file that does the same: a checkout, then the enabled steps in order. Disabled steps
// become comments. An error is of the type [Problems].
func Convert(job build.Config, modules Modules) ([]byte, error) {
	var problems Problems
	var steps []*yaml.Node
	disabled := ""
	for i, s := range job.Steps {
		step, ok := convertStep(s, modules, func(key, message string) {
			problems = append(problems, Problem{Path: fmt.Sprintf("steps[%d]%s", i, key), Message: message})
		})
		switch {
		case !ok:
		case s.Enable != nil && !*s.Enable:
			disabled += commented(step)
		default:
			step.HeadComment, disabled = strings.TrimSuffix(disabled, "\n"), ""
			steps = append(steps, step)
		}
	}
	if len(steps) == 0 && len(problems) == 0 {
		problems = append(problems, Problem{Path: "steps", Message: "has no enabled steps, and a build file must have some"})
	}
	if err := problems.sorted(); err != nil {
		return nil, err
	}
	steps[len(steps)-1].FootComment = strings.TrimSuffix(disabled, "\n")
	stages := mappingOf("BUILD", &yaml.Node{Kind: yaml.SequenceNode, Content: steps})
	if source, ok := job.Source(); ok {
		checkout := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{convertSource(source, job.AutoUpdateSubmodules == "true")}}
		stages = mappingOf(stagePrepare, checkout, stageBuild, stages.Content[1])
	}
	root := mappingOf("version", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: "2.0"})
	if resource := convertResource(job); len(resource.Content) > 0 {
		root.Content = append(root.Content, textNode("env"), mappingOf("resource", resource))
	}
	root.Content = append(root.Content, textNode("steps"), stages)
	return encodeYAML(root)
}

func encodeYAML(n *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(n); err != nil {
		return nil, fmt.Errorf("write the build file: %w", err)
	}
	return b.Bytes(), e.Close()
}

// commented returns a step as the lines of a comment.
func commented(step *yaml.Node) string {
	text, err := encodeYAML(&yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{step}})
	if err != nil {
		return ""
	}
	var b strings.Builder
	b.WriteString("# disabled:\n")
	for line := range strings.Lines(string(text)) {
		b.WriteString("# " + line)
	}
	return b.String()
}

// convertResource is the env.resource of a job.
func convertResource(job build.Config) *yaml.Node {
	var pairs []any
	if arch := map[string]string{"x86-64": "X86", "arm": "ARM"}[job.Arch]; arch != "" {
		pairs = append(pairs, "type", textNode("docker"), "arch", textNode(arch))
	}
	if class := strings.ToUpper(job.Flavor); class != "" && class != "DEFAULT" {
		pairs = append(pairs, "class", textNode(class))
	}
	return mappingOf(pairs...)
}

// convertSource is the checkout of a job's repository. Its branch is the one that a build is started for.
func convertSource(s build.Source, submodules bool) *yaml.Node {
	pairs := []any{"scm", textNode("codehub"), "url", textNode(s.URL), "branch", textNode("${" + build.BranchParameter + "}")}
	if s.Depth != "" {
		pairs = append(pairs, "depth", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: s.Depth})
	}
	yes := boolNode(true)
	if submodules {
		pairs = append(pairs, "submodule", yes)
	}
	if s.LFS != nil && *s.LFS {
		pairs = append(pairs, "lfs", yes)
	}
	return mappingOf("checkout", mappingOf("name", textNode(checkoutName), "inputs", mappingOf(pairs...)))
}

// convertStep is the step of a build file that an ACTION step stands for; false when there is none, or when that was reported.
func convertStep(s build.ActionStep, modules Modules, problem func(key, message string)) (*yaml.Node, bool) {
	act, ok := modules.action(s.ModuleID)
	switch {
	case !ok:
		problem(".module_id", "found "+shown(s.ModuleID)+", which this version does not know")
		return nil, false
	case act.keyword == "docker" && len(s.Properties) == 0:
		return nil, false // it does nothing
	}
	before := 0
	note := func(key, message string) { before++; problem(key, message) }
	literal := &scope{values: map[string]string{}} // references stay as they are
	var inputs []any
	switch {
	case act.keyword == "upload_artifact":
		u := literal.uploadAction(s, note)
		inputs = given("path", u.Pattern, "version", u.Version, "name", u.Name)
	case act.keyword == "download_artifact":
		inputs = given("url", literal.downloadAction(s, note).URL)
	case act.keyword == "download_file":
		inputs = given("name", literal.fetchAction(s, note).Name)
	case act.plain:
		given := literal.settings(act, s, note)
		given.require(act)
		literal.plain(act, given, build.Config{Name: "any"}, &Step{})
		inputs = given.converted(act)
	default:
		for _, in := range act.inputs {
			if in.required && in.name != command.name { // versions of tools
				inputs = append(inputs, requiredText(s, in.name, note)...)
			}
		}
		inputs = append(inputs, given("command", literal.scriptAction(s, note).Command)...)
		if act.keyword == "maven" {
			inputs = append(inputs, convertRepositories(literal.repositoriesAction(s, note), note)...)
		}
		inputs = append(inputs, convertCache(act, literal.cachesAction(act, s, note))...)
		if act.keyword != "docker" {
			inputs = append(inputs, convertTests(literal.testsAction(act.keyword, s, note))...)
		}
	}
	if before > 0 {
		return nil, false
	}
	if ignoresFailure(s) {
		inputs = append(inputs, ignoreFail, boolNode(true))
	}
	pairs := []any{"name", textNode(s.Name)}
	if image, _, _ := textProperty(s, "image"); image != "" && !act.service {
		if !strings.Contains(image, "/") {
			image = catalogue + image
		}
		pairs = append(pairs, "image", textNode(image))
	}
	return mappingOf(act.keyword, mappingOf(append(pairs, "inputs", mappingOf(inputs...))...)), true
}

// convertCache is the switch of a step's caches, where it is not as usual.
func convertCache(act action, used []string) []any {
	usual := act.caches != nil && !act.cacheAsked
	if act.caches == nil || usual == (len(used) > 0) {
		return nil
	}
	return []any{"cache", boolNode(!usual)}
}

// convertTests is what a step's commands leave for reports.
func convertTests(t *Tests) []any {
	if t == nil {
		return nil
	}
	pairs := given("report_path", t.Results)
	pairs = append(pairs, "ignore_errors", boolNode(!t.Gate))
	if t.Coverage != "" {
		pairs = append(pairs, "coverage", boolNode(true), "coverage_report_path", textNode(t.Coverage))
	}
	return []any{unitTest.name, mappingOf(pairs...)}
}

// requiredText returns an input whose property has the same name, and which a build file must have.
func requiredText(s build.ActionStep, name string, problem func(key, message string)) []any {
	text, _, err := textProperty(s, name)
	if err != nil || text == "" {
		problem(".properties."+name, "is missing; a build file must name it")
	}
	return given(name, text)
}

// given returns the pairs of names and texts whose text is not empty.
func given(pairs ...string) []any {
	var out []any
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out = append(out, pairs[i], textNode(pairs[i+1]))
		}
	}
	return out
}

// mappingOf returns a map of names and nodes, which come by turns.
func mappingOf(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i < len(pairs); i += 2 {
		n.Content = append(n.Content, textNode(pairs[i].(string)), pairs[i+1].(*yaml.Node))
	}
	return n
}

// textNode returns a text, as a block when it has several lines.
func textNode(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	switch {
	case strings.HasSuffix(text, "\n\n"): // as a block, it would swallow the empty line before a comment
		n.Style = yaml.DoubleQuotedStyle
	case strings.Contains(text, "\n"):
		n.Style = yaml.LiteralStyle
	}
	return n
}
