package plan

import (
	"slices"
	"strings"
)

// inOrder checks what the jobs depend on, and returns them in an order in which they can run. When not all jobs could be read,
// the names of the others are not known.
func (r *reader) inOrder(jobs []jobEntry, sound bool) []FlowJob {
	var names []string
	for _, j := range jobs {
		names = append(names, j.Name)
	}
	for i := range jobs {
		j := &jobs[i]
		for _, need := range j.needs {
			switch {
			case need.key == j.Name:
				r.report(need.at, need.path, "the job %s depends on itself", shown(j.Name))
			case slices.Contains(j.DependsOn, need.key):
				r.report(need.at, need.path, "%s stands twice", shown(need.key))
			case slices.Contains(names, need.key):
				j.DependsOn = append(j.DependsOn, need.key)
			case sound:
				r.report(need.at, need.path, "there is no job %s%s; there are: %s", shown(need.key), suggestion(need.key, names), some(names))
			}
		}
	}
	var order []FlowJob
	done := make(map[string]bool)
	open := func(name string) bool { return !done[name] }
	for len(order) < len(jobs) {
		i := slices.IndexFunc(jobs, func(j jobEntry) bool { return open(j.Name) && !slices.ContainsFunc(j.DependsOn, open) })
		if i < 0 {
			way := circle(jobs, open)
			i = slices.Index(names, way[0]) // it counts as done from here on, so that other circles are found too
			at := jobs[i].needs[slices.IndexFunc(jobs[i].needs, func(e entry) bool { return e.key == way[1] })]
			r.report(at.at, at.path, "the jobs wait for each other: %s", strings.Join(way, " → "))
		}
		done[jobs[i].Name] = true
		order = append(order, jobs[i].FlowJob)
	}
	return order
}

// some lists words, as many as people read.
func some(words []string) string {
	const most = 10
	if len(words) > most {
		words = append(words[:most:most], "…")
	}
	return strings.Join(words, ", ")
}

// circle returns the names of jobs that depend on each other, from the first of them in the file and back to it. Every job that is
// open leads to some.
func circle(jobs []jobEntry, open func(name string) bool) []string {
	place := func(name string) int { return slices.IndexFunc(jobs, func(j jobEntry) bool { return j.Name == name }) }
	var way []string
	i := slices.IndexFunc(jobs, func(j jobEntry) bool { return open(j.Name) })
	start := -1
	for start < 0 {
		way = append(way, jobs[i].Name)
		next := jobs[i].DependsOn[slices.IndexFunc(jobs[i].DependsOn, open)]
		start, i = slices.Index(way, next), place(next)
	}
	way = way[start:]
	first := slices.MinFunc(way, func(a, b string) int { return place(a) - place(b) })
	cut := slices.Index(way, first)
	return slices.Concat(way[cut:], way[:cut], []string{first})
}
