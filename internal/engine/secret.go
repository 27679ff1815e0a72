package engine

import (
	"strconv"
	"strings"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/logs/mask"
	"atelier/internal/plan"
)

// mask returns a text that the service wrote without the secrets of the build.
func (r *run) mask(text string) string {
	return r.masker.String(maskCut(text, r.what.secrets))
}

// hideJobs masks the names of a flow's jobs, which stand in records, steps and graphs.
func (r *run) hideJobs(flow *plan.Flow) error {
	names := make(map[string]bool)
	for i := range flow.Jobs {
		j := &flow.Jobs[i]
		if j.Name = r.mask(j.Name); names[j.Name] {
			return fault.New(fault.Invalid, "Two jobs are called %q where the values of private parameters are masked. Give one of them another name.", j.Name)
		}
		names[j.Name] = true
		for k, name := range j.DependsOn {
			j.DependsOn[k] = r.mask(name)
		}
	}
	return nil
}

// cut is what messages write where they quote only the beginning of a value.
const cut = "…"

// maskCut masks what is left of a secret whose end was cut off. A masker, which looks for whole secrets, does not see it.
func maskCut(text string, secrets []string) string {
	parts := strings.Split(text, cut)
	for i, part := range parts[:len(parts)-1] {
		left := 0
		for _, s := range secrets {
			quoted := strconv.Quote(s)
			left = max(left, overlap(part, s), overlap(part, quoted[1:len(quoted)-1]))
		}
		if left >= build.MinPrivateValue {
			parts[i] = part[:len(part)-left] + mask.Mask
		}
	}
	return strings.Join(parts, cut)
}

// overlap returns how many bytes, at most, a ends with and b begins with.
func overlap(a, b string) int {
	n := min(len(a), len(b))
	for n > 0 && a[len(a)-n:] != b[:n] {
		n--
	}
	return n
}
