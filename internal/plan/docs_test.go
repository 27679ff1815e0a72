package plan_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"atelier/internal/plan"
)

// TestDocuments plans every build file of the page about them: there is nothing wrong with any, and nothing doubtful but what the page
// says of it. Together they show every key, every keyword and every input. That they run is shown by the tests of the API.
func TestDocuments(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/build-yml.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for i, block := range strings.Split(string(page), "```yaml\n")[1:] {
		file, _, _ := strings.Cut(block, "```")
		in := fileInput(file)
		for _, name := range []string{"INCREASENUM", "PROJECT_ID"} {
			in.System = append(in.System, plan.Param{Name: name, Value: "1"})
		}
		flow, isFlow, err := plan.ReadFlow(in)
		warnings := flow.Warnings
		if !isFlow {
			var p plan.Plan
			p, err = plan.New(in)
			warnings = p.Warnings
		}
		doubtful := slices.DeleteFunc(warnings, func(w string) bool {
			return strings.Contains(w, "without an effect in this version") || strings.Contains(w, "the code cache does not exist here")
		})
		if err != nil || len(doubtful) > 0 {
			t.Errorf("file %d of the page: %v %v\n%s", i+1, err, doubtful, file)
		}
		var content map[string]any
		if err := yaml.Unmarshal([]byte(file), &content); err != nil {
			t.Fatal(err)
		}
		noteKeys(seen, content)
	}
	want := append(plan.Vocabulary(), "params", "env", "env.resource.type", "env.resource.arch", "env.resource.class", "env.resource.pool", "env.cache", "envs",
		"steps.PRE_BUILD", "steps.BUILD", "step.name", "step.image", "buildflow.strategy", "buildflow.jobs", "buildflows", "buildflows.condition", "buildflows.strategy",
		"jobs.job", "jobs.build_ref", "jobs.depends_on", "jobs.params", "jobs.condition")
	for _, word := range want {
		if !seen[word] {
			t.Errorf("the page has no example of %s", word)
		}
	}
}

// noteKeys notes what a build file makes use of, in the words of the vocabulary.
func noteKeys(seen map[string]bool, file map[string]any) {
	var note func(prefix string, v any)
	note = func(prefix string, v any) {
		entries, _ := v.(map[string]any)
		for key, value := range entries {
			seen[prefix+key] = true
			note(prefix+key+".", value)
		}
	}
	mapsOf := func(v any) (out []map[string]any) {
		list, _ := v.([]any)
		for _, element := range list {
			m, _ := element.(map[string]any)
			out = append(out, m)
		}
		return out
	}
	note("", file)
	stages, _ := file["steps"].(map[string]any)
	for _, steps := range stages {
		for _, step := range mapsOf(steps) {
			for keyword, settings := range step {
				m, _ := settings.(map[string]any)
				seen[keyword] = true
				for _, key := range slices.Collect(maps.Keys(m)) {
					seen["step."+key] = true
				}
				note(keyword+".", m["inputs"])
				note("", m["inputs"]) // what keywords share
			}
		}
	}
	flows := append(mapsOf(file["buildflows"]), map[string]any{})
	flows[len(flows)-1], _ = file["buildflow"].(map[string]any)
	for _, flow := range flows {
		note("buildflows.", flow)
		for _, job := range mapsOf(flow["jobs"]) {
			note("jobs.", job)
		}
	}
}
