package plan

import (
	"slices"

	"go.yaml.in/yaml/v4"
)

// lookAlikeKeywords are the steps of the vendor's in-house build product, whose files have the name and the stages of those here.
var lookAlikeKeywords = []string{
	"build_execute", "when", "template", "codehub", "gitlab", "upload_cloud_artifact", "artget", "version_set", "compile_report", "get_build_metadata",
}

// recognise reports a file that was written for another product, which explains most of what is wrong with it.
func (r *reader) recognise(root *yaml.Node) {
	if lookAlikeSigns(root) >= 2 {
		r.report(root, "", "the file is written for a look-alike product, whose format shares only the names of the stages with this one")
		return
	}
	for _, d := range dialects {
		if d.is(root) {
			r.report(root, "", "the file is written for %s; a build file here has the keys version and steps, or version and buildflow", d.name)
			return
		}
	}
}

// lookAlikeSigns counts what only files of the look-alike product have.
func lookAlikeSigns(root *yaml.Node) (found int) {
	has := func(n *yaml.Node, keys ...string) {
		for _, key := range keys {
			if valueOf(n, key) != nil {
				found++
			}
		}
	}
	has(root, "notifications", "buildspace")
	env := valueOf(root, "env")
	has(env, "label")
	has(valueOf(env, "resource"), "image", "mode")
	steps := valueOf(root, "steps")
	has(steps, "POST_BUILD")
	if steps == nil || steps.Kind != yaml.MappingNode {
		return found
	}
	for i := 1; i < len(steps.Content); i += 2 {
		for _, step := range steps.Content[i].Content {
			has(step, lookAlikeKeywords...)
			if inner := valueOf(valueOf(step, "when"), "steps"); inner != nil {
				for _, step := range inner.Content {
					has(step, lookAlikeKeywords...)
				}
			}
		}
	}
	return found
}

// dialects are the formats of other services whose files are found under the name of a build file.
var dialects = []struct {
	name string
	is   func(root *yaml.Node) bool
}{
	{"Google Cloud Build", func(root *yaml.Node) bool { return elementsHave(valueOf(root, "steps"), "args", "entrypoint") }},
	{"Azure Pipelines", func(root *yaml.Node) bool { return elementsHave(valueOf(root, "steps"), "script", "task", "bash") }},
	{"GitHub Actions", func(root *yaml.Node) bool {
		jobs := valueOf(root, "jobs")
		return jobs != nil && jobs.Kind == yaml.MappingNode && valueOf(root, "on") != nil
	}},
	{"GitLab CI", func(root *yaml.Node) bool {
		return root.Kind == yaml.MappingNode && valueOf(root, "version") == nil && slices.ContainsFunc(root.Content, func(n *yaml.Node) bool { return valueOf(n, "script") != nil })
	}},
}

// elementsHave reports whether an element of a list has one of the keys.
func elementsHave(list *yaml.Node, keys ...string) bool {
	return list != nil && list.Kind == yaml.SequenceNode && slices.ContainsFunc(list.Content, func(n *yaml.Node) bool {
		return slices.ContainsFunc(keys, func(key string) bool { return valueOf(n, key) != nil })
	})
}
