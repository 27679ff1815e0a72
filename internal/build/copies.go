package build

import (
	"slices"
	"strings"

	"atelier/internal/logs/mask"
)

// TagParameter is the system parameter that holds the name of the tag which is built.
const TagParameter = "GIT_TAG"

// hideCopies hides the values of private parameters where else they stand in the record of a new build. A parameter that holds one is
// sealed too. The names of branch and tag get asterisks, and stand as they are in the parameters codeBranch and GIT_TAG, for [Record.Ref].
func hideCopies(r *Record, sealer Sealer) error {
	var secrets []string
	for _, v := range r.Parameters {
		if v.Private && v.Value != "" {
			plain, err := sealer.Open(v.Value)
			if err != nil {
				return err
			}
			secrets = append(secrets, plain)
		}
	}
	texts := mask.Texts(secrets)
	hidden := func(text string) string {
		for _, t := range slices.Backward(texts) { // the longest first
			text = strings.ReplaceAll(text, t, Mask)
		}
		return text
	}
	for _, ref := range []struct {
		parameter string
		name      *string
	}{{BranchParameter, &r.Branch}, {TagParameter, &r.Tag}} {
		if name := hidden(*ref.name); name != *ref.name {
			r.Parameters = slices.DeleteFunc(r.Parameters, func(v Value) bool { return v.Name == ref.parameter })
			r.Parameters = append(r.Parameters, Value{Name: ref.parameter, Value: *ref.name})
			*ref.name = name
		}
	}
	for i, v := range r.Parameters {
		if v.Private || hidden(v.Value) == v.Value {
			continue
		}
		sealed, err := sealer.Seal(v.Value)
		if err != nil {
			return err
		}
		r.Parameters[i] = Value{Name: v.Name, Value: sealed, Private: true, Copy: true, Chosen: v.Chosen}
	}
	return nil
}

// Ref returns the names of branch and tag as they are. The parameters are the build's, in plain text; value returns one of them. A branch
// that no parameter names is the repository's default one.
func (r Record) Ref(value func(parameter string) string) (branch, tag string) {
	branch, tag = r.Branch, r.Tag
	if strings.Contains(branch, Mask) { // which no name of git's has
		branch = value(BranchParameter)
	}
	if strings.Contains(tag, Mask) {
		tag = value(TagParameter)
	}
	return branch, tag
}
