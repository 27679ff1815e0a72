package plan

import (
	"slices"
	"strings"
)

// ordered checks the names of jobs and what they depend on, and returns the jobs so that each comes after those that it depends on.
func (r *reader) ordered(jobs []flowJob) []FlowJob {
	graph := r.jobGraph(jobs)
	out := make([]FlowJob, 0, len(jobs))
	for len(out) < len(jobs) {
		i := graph.next()
		if i < 0 {
			cycle := graph.cycle()
			i = cycle[0].job // as if it waited for nobody, to find what else is wrong
			r.report(cycle[0].value, cycle[0].path, "the jobs wait for each other in a circle: %s", cycleOf(jobs, cycle))
		}
		graph.placed[i] = true
		out = append(out, jobs[i].FlowJob)
	}
	return out
}

// jobGraph is which jobs wait for which, by their places in the file.
type jobGraph struct {
	needs  [][]need // of each job
	placed []bool   // jobs that nobody has to wait for any longer
}

// need is that a job waits for another.
type need struct {
	entry     // where the file says so
	job   int // that waits
	other int // that it waits for
}

// jobGraph finds the jobs that the others name, and reports names that stand for two jobs or for none.
func (r *reader) jobGraph(jobs []flowJob) jobGraph {
	var names []string
	places := make(map[string]int)
	for i, j := range jobs {
		if j.name.at == nil {
			continue // without a name, and reported
		}
		if first, twice := places[j.Name]; twice {
			r.report(j.name.value, j.name.path, "%s is the name of two jobs, first in line %d", shown(j.Name), jobs[first].name.at.Line)
			continue
		}
		places[j.Name] = i
		names = append(names, j.Name)
	}
	g := jobGraph{needs: make([][]need, len(jobs)), placed: make([]bool, len(jobs))}
	for i := range jobs {
		j := &jobs[i]
		for _, e := range j.needs {
			other, known := places[e.key]
			switch {
			case !known:
				r.report(e.value, e.path, "found %s, which is no job of this flow%s; its jobs are: %s", shown(e.key), suggestion(e.key, names), some(names))
			case e.key == j.Name:
				r.report(e.value, e.path, "the job waits for itself")
			case !slices.Contains(j.DependsOn, e.key): // twice is not more than once
				j.DependsOn = append(j.DependsOn, e.key)
				g.needs[i] = append(g.needs[i], need{entry: e, job: i, other: other})
			}
		}
	}
	return g
}

// some lists words, as many as can be read.
func some(words []string) string {
	const most = 10
	if len(words) > most {
		words = append(words[:most:most], "…")
	}
	return strings.Join(words, ", ")
}

func (g *jobGraph) open(n need) bool { return !g.placed[n.other] }

// next returns the first job that waits for nobody, -1 when there is none.
func (g *jobGraph) next() int {
	for i, needs := range g.needs {
		if !g.placed[i] && !slices.ContainsFunc(needs, g.open) {
			return i
		}
	}
	return -1
}

// cycle returns a way from a job back to itself, along what it waits for, from the first of its jobs in the file. Every job that
// is not placed waits for another.
func (g *jobGraph) cycle() []need {
	var way []need
	at := slices.Index(g.placed, false)
	for {
		if i := slices.IndexFunc(way, func(n need) bool { return n.job == at }); i >= 0 {
			way = way[i:]
			break
		}
		n := g.needs[at][slices.IndexFunc(g.needs[at], g.open)]
		way = append(way, n)
		at = n.other
	}
	first := 0
	for i, n := range way {
		if n.job < way[first].job {
			first = i
		}
	}
	return slices.Concat(way[first:], way[:first])
}

// cycleOf names the jobs on a cycle.
func cycleOf(jobs []flowJob, cycle []need) string {
	names := make([]string, 0, len(cycle)+1)
	for _, n := range cycle {
		names = append(names, shown(jobs[n.job].Name))
	}
	return strings.Join(append(names, names[0]), " → ")
}
