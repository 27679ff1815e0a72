package plan

import (
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"atelier/internal/build"
)

// Flow is a build file with several tasks: each is a build of its own, with a build file of its own.
type Flow struct {
	Jobs     []FlowJob // each comes after those that it depends on; otherwise in the order of the file
	Warnings []string
}

// FlowJob is one task of a flow.
type FlowJob struct {
	Name      string
	DependsOn []string
	BuildRef  string // path of its build file in the repository
	Skipped   bool   // its condition does not hold; who depends on it need not wait
	Context   FlowContext
	At        Problem // the place of its build_ref, without a message: for who finds that there is no such file
}

// FlowContext is what a flow gives to the build file of one of its jobs. References to parameters of the flow are replaced in it;
// what else its values refer to, the job's file may define.
type FlowContext struct {
	JobParams  []Param  // of the job's entry: they rank below those of its build file
	FlowParams []Param  // of the flow file: they rank lowest
	Resource   Resource // for a job whose build file says none
}

// flowKeys are the keys of the top level that make a file a flow.
var flowKeys = []string{"buildflow", "buildflows", "jobs"}

// maxJobs is how many jobs a flow may have: each of them is a build.
const maxJobs = 100

// ReadFlow reads a build file that describes several tasks. It returns false, and no error, when there is no file, or when it describes
// only one task or cannot be read at all: [New] says what is wrong with such a file. An error is of the type [Problems].
func ReadFlow(in Input) (flow Flow, ok bool, err error) {
	if in.File == nil {
		return Flow{}, false, nil
	}
	r := &reader{document: document{file: in.File.Path}, in: in}
	root := r.parse(in.File.Data)
	if !slices.ContainsFunc(flowKeys, func(key string) bool { return valueOf(root, key) != nil }) {
		return Flow{}, false, nil
	}
	jobs := r.flowRoot(root)
	if err := r.problems.sorted(); err != nil {
		return Flow{}, true, err
	}
	return Flow{Jobs: jobs, Warnings: r.plan.Warnings}, true, nil
}

// flowRoot reads a file that describes several tasks.
func (r *reader) flowRoot(n *yaml.Node) []FlowJob {
	keys, ok := r.top(n)
	if !ok {
		return nil
	}
	one, hasOne := keys["buildflow"]
	many, hasMany := keys["buildflows"]
	beside, hasBeside := keys["jobs"]
	_, hasSteps := keys["steps"]
	for _, key := range flowKeys {
		if e, found := keys[key]; found && hasSteps {
			r.report(e.at, key, besideSteps)
			break
		}
	}
	switch {
	case hasOne && hasMany:
		r.report(many.at, "buildflows", "stands beside buildflow; use one of them")
	case hasBeside && !hasOne:
		r.report(beside.at, "jobs", "belongs below buildflow")
	}
	var jobs []FlowJob
	if hasMany {
		jobs = r.flows(many)
	}
	switch {
	case hasOne && hasBeside:
		jobs, _ = r.flow(one, false, &beside)
	case hasOne:
		jobs, _ = r.flow(one, false, nil)
	case hasBeside:
		r.jobs(beside)
	}
	return jobs
}

// flows takes the jobs of the first entry whose condition holds. All entries are checked.
func (r *reader) flows(flows entry) (taken []FlowJob) {
	before, found := len(r.problems), false
	for i, n := range r.list(flows.value, flows.path, "maps with the keys condition and jobs") {
		jobs, holds := r.flow(at(n, index(flows.path, i)), true, nil)
		if holds && !found {
			taken, found = jobs, true
		}
	}
	if !found && len(r.problems) == before {
		r.report(flows.at, flows.path, "no entry has a condition that holds, so there is nothing to build")
	}
	return taken
}

// flow reads one graph of jobs, with a condition or without. The jobs may also stand beside it.
func (r *reader) flow(flow entry, conditional bool, beside *entry) (jobs []FlowJob, holds bool) {
	known := []string{"strategy", "jobs"}
	if conditional {
		known = []string{"condition", "strategy", "jobs"}
	}
	n := r.follow(flow.value)
	if isNull(n) && beside != nil {
		return r.jobs(*beside), true
	}
	if n.Kind != yaml.MappingNode {
		r.mapping(n, flow.path, "a map with the keys "+strings.Join(known, ", ")) // reports it
		return nil, false
	}
	given := make(map[string]bool)
	for _, e := range r.mapping(n, flow.path, "a map") {
		given[e.key] = true
		switch {
		case e.key == "condition" && conditional:
			holds = r.condition(e)
		case e.key == "strategy":
			r.strategy(e)
		case e.key == "jobs" && beside != nil:
			r.report(beside.at, beside.path, "stands beside a buildflow that has jobs of its own")
		case e.key == "jobs":
			jobs = r.jobs(e)
		case e.key == "jobs_resolver":
			r.report(e.at, e.path, "is not supported; list the jobs below jobs")
		default:
			r.unknownKey(e, known)
		}
	}
	if conditional && !given["condition"] {
		r.report(n, flow.path+".condition", "is missing")
	}
	switch {
	case given["jobs"]:
	case beside != nil:
		jobs = r.jobs(*beside)
	case !given["jobs_resolver"] && !given["build_jobs"]:
		r.report(n, flow.path+".jobs", "is missing")
	}
	return jobs, holds
}

// strategy checks how the jobs are to be started. Nothing follows from it: a job that waits for others has no executor here, so
// that both strategies are one.
func (r *reader) strategy(e entry) {
	if s, ok := r.expanded(e); ok && s != "" && s != "eager" && s != "lazy" {
		r.report(e.value, e.path, "must be eager or lazy, found %s", shown(s))
	}
}

// flowJob is a job with the places of the names in it.
type flowJob struct {
	FlowJob
	name  entry
	needs []entry // their keys are names of jobs
}

func (r *reader) jobs(list entry) []FlowJob {
	before := len(r.problems)
	nodes := r.list(list.value, list.path, "jobs")
	switch {
	case len(nodes) > maxJobs:
		r.report(list.at, list.path, "has %d jobs, at most %d are allowed", len(nodes), maxJobs)
		return nil
	case len(nodes) == 0 && len(r.problems) == before:
		r.report(list.at, list.path, "has no jobs")
	}
	context := FlowContext{FlowParams: r.expandedParams(r.own), Resource: r.plan.Resource}
	jobs := make([]flowJob, len(nodes))
	for i, n := range nodes {
		jobs[i] = r.job(at(n, index(list.path, i)), context)
	}
	return r.ordered(jobs)
}

var jobKeys = []string{"job", "build_ref", "depends_on", "params", "condition"}

func (r *reader) job(item entry, context FlowContext) flowJob {
	j := flowJob{FlowJob: FlowJob{Context: context}}
	n := r.follow(item.value)
	if n.Kind != yaml.MappingNode {
		r.mapping(n, item.path, "a map with the keys job and build_ref") // reports it
		return j
	}
	given := make(map[string]bool)
	for _, e := range r.mapping(n, item.path, "a map") {
		given[e.key] = true
		switch e.key {
		case "job":
			r.jobName(e, &j)
		case "build_ref":
			j.BuildRef = r.buildRef(e)
			j.At = Problem{File: r.file, Line: e.value.Line, Column: e.value.Column, Path: e.path}
		case "depends_on":
			j.needs = r.dependsOn(e)
		case "params":
			j.Context.JobParams = r.expandedParams(r.paramList(e))
		case "condition":
			j.Skipped = !r.condition(e)
		default:
			r.unknownKey(e, jobKeys)
		}
	}
	for _, key := range []string{"job", "build_ref"} {
		if !given[key] && (key != "build_ref" || !given["build_execute"]) {
			r.report(n, item.path+"."+key, "is missing")
		}
	}
	return j
}

// expandedParams replaces references to what the flow knows. Others stay: they may be to parameters of the job's file.
func (r *reader) expandedParams(params []Param) []Param {
	out := slices.Clone(params)
	for i := range out {
		out[i].Value = r.scope.expand(out[i].Value)
	}
	return out
}

// jobName reads the name of a job, in which no references are replaced: other jobs use it as it stands.
func (r *reader) jobName(e entry, j *flowJob) {
	name, ok := r.scalar(e.value, e.path)
	if !ok {
		return
	}
	j.Name, j.name = name, e
	if why := build.CheckStepName(name); why != "" {
		r.report(e.value, e.path, "%s", why)
	}
}

// dependsOn reads the names of other jobs: a list, or one name alone.
func (r *reader) dependsOn(e entry) []entry {
	if n := r.follow(e.value); n.Kind == yaml.ScalarNode && !isNull(n) {
		return []entry{{key: n.Value, at: e.at, value: n, path: e.path}}
	}
	var names []entry
	for i, n := range r.list(e.value, e.path, "job names") {
		path := index(e.path, i)
		if name, ok := r.scalar(n, path); ok {
			names = append(names, entry{key: name, at: n, value: n, path: path})
		}
	}
	return names
}

// buildRef reads the path of a job's build file, which is one of the same repository.
func (r *reader) buildRef(e entry) string {
	raw, ok := r.expanded(e)
	if !ok {
		return ""
	}
	ref := path.Clean(raw)
	switch {
	case raw == "":
		r.report(e.at, e.path, "is empty; it names the build file of the job")
	case path.IsAbs(ref) || ref == "." || ref == ".." || strings.HasPrefix(ref, "../") || strings.ContainsAny(raw, "\\\x00"):
		r.report(e.value, e.path, "must be the path of a file in the repository, counted from its root, found %s", shown(raw))
	}
	return ref
}

// unknownKey reports a key that is not among the known ones, with what it is called here when it is another product's.
func (r *reader) unknownKey(e entry, known []string) {
	if advice := elsewhere[e.key]; advice != "" {
		r.report(e.at, e.path, "is not known; %s", advice)
		return
	}
	r.unknown(e, known)
}

var elsewhere = map[string]string{
	"build_flow":    "it is called buildflow",
	"build_jobs":    "it is called jobs and stands below buildflow",
	"needs":         "a job names those that it waits for in depends_on",
	"stages":        "jobs are put in order by their depends_on",
	"triggers":      "what starts a build is set in the task, not in the file",
	"build_execute": "a job names its build file in build_ref",
	"condition":     "a condition stands in an entry of buildflows or in a job",
}
