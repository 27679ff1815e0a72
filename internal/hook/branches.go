package hook

import (
	"strings"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/glob"
)

// maxPatterns is how many patterns of branches a task may have.
const maxPatterns = 20

// CheckTrigger returns a fault.Invalid error when a trigger of the name [Trigger] is not valid.
func CheckTrigger(t build.TriggerConfig) error {
	_, err := patterns(t)
	return err
}

// Branches returns the patterns of the branches that a task builds besides its own.
func Branches(c build.Config) ([]glob.Pattern, error) {
	for _, t := range c.Triggers {
		if t.Name == Trigger {
			return patterns(t)
		}
	}
	return nil, nil
}

func patterns(t build.TriggerConfig) (out []glob.Pattern, err error) {
	for _, p := range t.Parameters {
		if p.Name != "branches" {
			return nil, fault.Field(p.Name, "is not known; known is: branches")
		}
		for text := range strings.SplitSeq(p.Value, ",") {
			pattern, err := glob.Parse(strings.TrimSpace(text))
			if err != nil {
				why, _ := fault.Public(err)
				return nil, fault.Field("branches", "%s", why)
			}
			out = append(out, pattern)
		}
	}
	if len(out) == 0 || len(out) > maxPatterns {
		return nil, fault.Field("branches", "must have 1 to %d patterns such as release/*, with commas between them, found %d", maxPatterns, len(out))
	}
	return out, nil
}
