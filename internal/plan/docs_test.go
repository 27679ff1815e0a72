package plan_test

import (
	"os"
	"strings"
	"testing"

	"atelier/internal/plan"
)

// TestDocuments plans every build file of the page about them: there is nothing wrong with any, and nothing doubtful.
func TestDocuments(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/build-yml.md")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for i, block := range strings.Split(string(page), "```yaml\n")[1:] {
		file, _, _ := strings.Cut(block, "```")
		in := fileInput(file)
		for _, name := range []string{"INCREASENUM", "PROJECT_ID", "codeBranch"} {
			in.System = append(in.System, plan.Param{Name: name, Value: "1"})
		}
		flow, isFlow, err := plan.ReadFlow(in)
		warnings := flow.Warnings
		if !isFlow {
			var p plan.Plan
			p, err = plan.New(in)
			warnings = p.Warnings
		}
		if err != nil || len(warnings) > 0 {
			t.Errorf("file %d of the page: %v %v\n%s", i+1, err, warnings, file)
		}
		files++
	}
	if files < 8 {
		t.Errorf("the page has %d build files", files)
	}
}
