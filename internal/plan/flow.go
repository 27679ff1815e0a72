package plan

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// Flow is a build file with several tasks: each is a build of its own, with a build file of its own.
type Flow struct {
	Jobs     []FlowJob // each comes after those that it depends on, otherwise in the order of the file
	Warnings []string
}

// FlowJob is one task of a flow.
type FlowJob struct {
	Name      string
	DependsOn []string
	BuildRef  string // path of its build file in the repository
	Line      int    // where that is named
	Column    int
	Path      string
	Skipped   bool // its condition does not hold; those that depend on it need not wait
	Context   FlowContext
}

// FlowContext is what a flow gives to the build file of one of its jobs.
type FlowContext struct {
	Job      []Param  // of the job's entry: the child file's own ones rank above them
	Flow     []Param  // of the flow's file: they rank lowest
	Resource Resource // for a child whose file says none
}

// params returns the parameters that rank below those of the child's file, the lowest first.
func (c *FlowContext) params() []Param {
	if c == nil {
		return nil
	}
	return slices.Concat(c.Flow, c.Job)
}

// ReadFlow reads a build file that describes several tasks. False, and no error, when the input has no such file. An error is of
// the type [Problems].
func ReadFlow(in Input) (flow Flow, ok bool, err error) {
	if in.File == nil {
		return Flow{}, false, nil
	}
	r := &reader{document: document{file: in.File.Path}, in: in}
	root := r.parse(in.File.Data)
	if root == nil || !slices.ContainsFunc(flowKeys, func(key string) bool { return valueOf(root, key) != nil }) {
		return Flow{}, false, nil // what else may be wrong with it, New says
	}
	jobs := r.flow(root)
	if err := r.problems.sorted(); err != nil {
		return Flow{}, true, err
	}
	return Flow{Jobs: jobs, Warnings: r.plan.Warnings}, true, nil
}

// Check plans the build files of the jobs that are to run, and returns all that is wrong with them, as [Problems]. The input is that of the
// flow's file; read returns a file of the repository.
func (f Flow) Check(in Input, read func(path string) (*File, error)) error {
	var all Problems
	for _, j := range f.Jobs {
		if j.Skipped {
			continue
		}
		_, err := j.Plan(in, read)
		problems, ok := errors.AsType[Problems](err)
		if err != nil && !ok {
			return err
		}
		for _, p := range problems {
			if !slices.Contains(all, p) { // a file may be that of several jobs
				all = append(all, p)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all.capped()
}

// Plan makes the plan of a job. That its file is not there is a problem of the flow's.
func (j FlowJob) Plan(in Input, read func(path string) (*File, error)) (Plan, error) {
	file, err := read(j.BuildRef)
	if why, _ := fault.Public(err); fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) || fault.Is(err, fault.Limit) {
		return Plan{}, Problems{{
			File: in.File.Path, Line: j.Line, Column: j.Column, Path: j.Path, Message: fmt.Sprintf("the build file of the job %s: %s", shown(j.Name), why),
		}}
	}
	if err != nil {
		return Plan{}, err
	}
	in.File, in.Flow = file, &j.Context
	return New(in)
}

// flowKeys are the keys of the top level that make a file a flow.
var flowKeys = []string{"buildflow", "buildflows", "jobs"}

// flow reads the whole file, and returns the jobs that are to run.
func (r *reader) flow(root *yaml.Node) []FlowJob {
	keys, _ := r.top(root)
	one, hasOne := keys["buildflow"]
	many, hasMany := keys["buildflows"]
	outside, hasOutside := keys["jobs"]
	if e, has := keys["steps"]; has {
		r.report(e.at, "steps", "stands beside %s; a file describes either one task or several", r.flowKey(keys))
	}
	if hasOutside && !hasOne {
		r.report(outside.at, "jobs", "stands alone; write it below buildflow")
	}
	if hasOne && hasMany {
		r.report(many.at, "buildflows", "stands beside buildflow; use one of them")
	}
	var jobs []FlowJob
	if hasOne {
		jobs = r.oneFlow(one, outside, hasOutside)
	}
	if hasMany {
		jobs = r.flows(many)
	}
	for i := range jobs {
		jobs[i].Context.Flow, jobs[i].Context.Resource = r.own, r.plan.Resource
	}
	return jobs
}

// flowKey is the key by which the file is one of several tasks.
func (r *reader) flowKey(keys map[string]entry) string {
	i := slices.IndexFunc(flowKeys, func(key string) bool { _, has := keys[key]; return has })
	return flowKeys[i]
}

// oneFlow reads buildflow. Its jobs may stand beside it instead of below.
func (r *reader) oneFlow(flow, outside entry, hasOutside bool) []FlowJob {
	var entries []entry
	if !isNull(r.follow(flow.value)) || !hasOutside {
		entries = r.mapping(flow.value, flow.path, "a map with the key jobs")
	}
	if !hasOutside {
		return r.jobsOf(flow, entries, []string{"strategy", "jobs"})
	}
	for _, e := range entries {
		switch e.key {
		case "strategy":
			r.strategy(e)
		case "jobs":
			r.report(outside.at, "jobs", "stands beside buildflow, which has jobs of its own")
		default:
			r.flowEntry(e, []string{"strategy", "jobs"})
		}
	}
	return r.jobs(outside)
}

// flows reads buildflows, and returns the jobs of the first entry whose condition holds. All entries are checked.
func (r *reader) flows(flows entry) []FlowJob {
	var taken []FlowJob
	found, conditions := false, true
	for i, n := range r.list(flows.value, flows.path, "maps with the keys condition and jobs") {
		path := index(flows.path, i)
		entries := r.mapping(n, path, "a map with the keys condition and jobs")
		holds := false
		if c := slices.IndexFunc(entries, func(e entry) bool { return e.key == "condition" }); c >= 0 {
			before := len(r.problems)
			holds = r.condition(entries[c])
			conditions = conditions && len(r.problems) == before
			entries = slices.Delete(entries, c, c+1)
		} else {
			conditions = false
			r.report(n, path+".condition", "is missing")
		}
		jobs := r.jobsOf(at(n, path), entries, []string{"condition", "strategy", "jobs"})
		if holds && !found {
			taken, found = jobs, true
		}
	}
	if !found && conditions {
		r.report(flows.at, flows.path, "none of the conditions holds, so there is nothing to build")
	}
	return taken
}

// jobsOf reads the strategy and the jobs of a flow.
func (r *reader) jobsOf(flow entry, entries []entry, known []string) []FlowJob {
	var jobs []FlowJob
	has := false
	for _, e := range entries {
		switch e.key {
		case "strategy":
			r.strategy(e)
		case "jobs":
			jobs, has = r.jobs(e), true
		default:
			r.flowEntry(e, known)
		}
	}
	named := func(e entry) bool { return e.key == "build_jobs" || e.key == "jobs_resolver" } // reported
	if !has && r.follow(flow.value).Kind == yaml.MappingNode && !slices.ContainsFunc(entries, named) {
		r.report(flow.at, flow.path+".jobs", "is missing")
	}
	return jobs
}

// flowEntry reports a key that a flow cannot have.
func (r *reader) flowEntry(e entry, known []string) {
	if e.key == "jobs_resolver" {
		r.report(e.at, e.path, "jobs that a program works out are not supported; list them below jobs")
		return
	}
	r.unknownHere(e, known)
}

// unknownHere reports a key that is not among the known ones, with what it is called here when it is known elsewhere.
func (r *reader) unknownHere(e entry, known []string) {
	if advice := elsewhere[e.key]; advice != "" {
		r.report(e.at, e.path, "is not known; %s", advice)
		return
	}
	r.unknown(e, known)
}

// elsewhere has keys of other products, and of other places.
var elsewhere = map[string]string{
	"build_flow":    "it is called buildflow",
	"build_jobs":    "it is called jobs and stands below buildflow",
	"needs":         "a job names those that it waits for in depends_on",
	"stages":        "jobs are put in order by their depends_on",
	"triggers":      "what starts a build is set in the task, not in the file",
	"build_execute": "a job names its build file in build_ref",
	"condition":     "a condition stands in an entry of envs or buildflows, or in a job",
}

// strategy checks the strategy. Both mean the same here: a job is queued when those that it depends on have succeeded.
func (r *reader) strategy(e entry) {
	if s, ok := r.expanded(e); ok && s != "" && s != "lazy" && s != "eager" {
		r.report(e.value, e.path, "must be lazy or eager, found %s", shown(s))
	}
}

// jobEntry is a job as it stands in the file.
type jobEntry struct {
	FlowJob
	at    *yaml.Node
	path  string  // to the job
	needs []entry // the elements of depends_on
}

var jobKeys = []string{"job", "build_ref", "depends_on", "params", "condition"}

// maxJobs is how many jobs a flow may have: each of them is a build.
const maxJobs = 100

// jobs reads a list of jobs, and returns them in an order in which each comes after those that it depends on.
func (r *reader) jobs(list entry) []FlowJob {
	nodes := r.list(list.value, list.path, "jobs")
	if kind := r.follow(list.value).Kind; len(nodes) == 0 && (kind == yaml.SequenceNode || isNull(list.value)) {
		r.report(list.at, list.path, "has no jobs")
	}
	if len(nodes) > maxJobs {
		r.report(list.at, list.path, "has %d jobs, at most %d are allowed", len(nodes), maxJobs)
		return nil
	}
	var jobs []jobEntry
	lines := make(map[string]int)
	sound := true
	for i, n := range nodes {
		j := r.job(n, index(list.path, i))
		switch line, twice := lines[j.Name]; {
		case j.Name == "":
			sound = false // reported
		case twice:
			sound = false
			r.report(n, j.path+".job", "there are two jobs with the name %s, the first in line %d", shown(j.Name), line)
		default:
			lines[j.Name] = n.Line
			jobs = append(jobs, j)
		}
	}
	return r.inOrder(jobs, sound)
}

func (r *reader) job(n *yaml.Node, path string) jobEntry {
	j := jobEntry{at: n, path: path}
	entries := r.mapping(n, path, "a map with the keys "+strings.Join(jobKeys, ", "))
	has := make(map[string]bool)
	for _, e := range entries {
		has[e.key] = true
		switch e.key {
		case "job":
			j.Name, has["job"] = r.jobName(e)
		case "build_ref":
			j.BuildRef, j.Line, j.Column, j.Path = r.buildRef(e), e.value.Line, e.value.Column, e.path
		case "depends_on":
			j.needs = r.dependsOn(e)
		case "params":
			for _, p := range r.paramList(e) {
				j.Context.Job = append(j.Context.Job, Param{Name: p.Name, Value: r.scope.expand(p.Value)})
			}
		case "condition":
			j.Skipped = !r.condition(e)
		default:
			r.unknownHere(e, jobKeys)
		}
	}
	if r.follow(n).Kind == yaml.MappingNode {
		for _, key := range []string{"job", "build_ref"} {
			if !has[key] && (key != "build_ref" || !has["build_execute"]) {
				r.report(n, join(path, key), "is missing")
			}
		}
	}
	return j
}

// jobName returns the name of a job, which logs and records show; false when there is none, which is not reported yet. No reference is
// replaced in it, since other jobs use it as it stands.
func (r *reader) jobName(e entry) (string, bool) {
	name, ok := r.scalar(e.value, e.path)
	if why := build.CheckStepName(name); name != "" && why != "" {
		r.report(e.value, e.path, "%s", why)
	}
	return name, !ok || name != ""
}

// buildRef returns the path of a job's build file.
func (r *reader) buildRef(e entry) string {
	file, ok := r.expanded(e)
	clean := path.Clean(file)
	switch {
	case !ok:
	case file == "":
		r.report(e.value, e.path, "is empty; it is the path of the job's build file in the repository")
	case path.IsAbs(file), clean == ".", clean == "..", strings.HasPrefix(clean, "../"), strings.ContainsAny(file, "\\\x00\n"):
		r.report(e.value, e.path, "must be the path of a file in the repository, counted from its root, found %s", shown(file))
	}
	return clean
}

// dependsOn returns the names of a list; one name may stand without one.
func (r *reader) dependsOn(e entry) []entry {
	nodes := []*yaml.Node{e.value}
	single := r.follow(e.value).Kind == yaml.ScalarNode && !isNull(e.value)
	if !single {
		nodes = r.list(e.value, e.path, "names of jobs")
	}
	var names []entry
	for i, n := range nodes {
		path := e.path
		if !single {
			path = index(e.path, i)
		}
		if name, ok := r.scalar(n, path); ok {
			names = append(names, entry{key: name, at: n, value: n, path: path})
		}
	}
	return names
}
