package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"atelier/internal/build"
	"atelier/internal/crash"
	"atelier/internal/fault"
	"atelier/internal/logs/mask"
	"atelier/internal/plan"
	"atelier/internal/source"
)

// BuildFileParameter is the parameter in which a YAML job may name another build file than the usual one.
const BuildFileParameter = "CB_BUILD_YAML_PATH"

const (
	buildFilePath = ".cloudbuild/build.yml"
	maxBuildFile  = 1 << 20
)

// prepared is what is known of a build before its first step.
type prepared struct {
	config       build.Config
	configErr    error // why that is not known
	timeout      time.Duration
	params       []plan.Param // the record's, in plain text
	untrusted    []string     // those of them that somebody chose who may not edit the task
	secrets      []string
	sources      Sources                      // of the task's repository
	credentials  map[string]source.Credential // of checkouts, by service endpoint
	dependencies map[string]source.Credential // of Maven's repositories, by their address
	branch, tag  string                       // as the repository has them
	info         build.SourceInfo             // for the record
	plan         plan.Plan
	flow         *plan.Flow // in place of the plan, when the build is one
}

// prepare finds out what a build is to do: its configuration, its commit, its plan, and how long it may run. Errors that a user
// can do something about are faults.
func (r *run) prepare() error {
	p := &r.what
	p.info = r.startInfo()
	if p.configErr != nil {
		return fmt.Errorf("read the task's configuration: %w", p.configErr)
	}
	if err := r.checkStarter(); err != nil {
		return err
	}
	var err error
	if p.timeout, err = r.timeoutOf(p.config); err != nil {
		return err
	}
	in, err := r.readSource(p)
	if err != nil {
		return err
	}
	if in.Flow == nil {
		flow, ok, err := plan.ReadFlow(in)
		if err != nil {
			return err
		}
		if ok {
			if err := r.hideJobs(&flow); err != nil {
				return err
			}
			p.flow = &flow
			r.noteWarnings(flow.Warnings)
			return r.checkJobs(in)
		}
	}
	if p.plan, err = plan.New(in); err != nil {
		return err
	}
	if err := r.openCheckouts(p.plan.Steps, p); err != nil {
		return err
	}
	r.hideSigning(p.plan.Steps, p)
	if err := r.openManifests(p.plan.Steps, p); err != nil {
		return err
	}
	if err := r.openDependencies(p.plan.Steps, p); err != nil {
		return err
	}
	p.info.Message = r.mask(p.info.Message) // some secrets are known only now
	r.noteWarnings(p.plan.Warnings)
	return r.checkResource(p.config, p.plan.Resource)
}

func (r *run) noteWarnings(warnings []string) {
	for _, w := range warnings {
		r.note(r.log.Warn, "%s", w)
	}
}

// startInfo is what the record says of the sources before anything is known of them.
func (r *run) startInfo() build.SourceInfo {
	return build.SourceInfo{Branch: r.record.Branch, Commit: r.record.Commit}
}

// sourceNews is what the record does not say of the sources yet; nil when it says all.
func (r *run) sourceNews() *build.SourceInfo {
	if info := r.what.info; info != (build.SourceInfo{}) && info != r.startInfo() {
		return &info
	}
	return nil
}

// readSource finds the commit to build, if the task has a repository, and reads the build file, if it is to have one. It returns
// what the plan is made of.
func (r *run) readSource(p *prepared) (plan.Input, error) {
	src, ok := p.config.Source()
	if !ok {
		return r.input(p, src, nil), nil
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.PrepareTimeout)
	defer cancel()
	var err error
	if p.sources, err = r.sourcesOf(ctx, src, p); err == nil {
		err = r.resolve(ctx, src, p)
	}
	crash.At(crash.SourceResolved)
	in := r.input(p, src, nil)
	if err == nil && r.record.ConfigKind == build.YAML {
		in, err = r.readBuildFiles(ctx, src, p)
	}
	if err != nil && ctx.Err() != nil && r.ctx.Err() == nil {
		err = fault.Wrap(err, fault.Unavailable, "The repository could not be read within %s.", r.PrepareTimeout)
	}
	return in, err
}

// input is what the plan is made of.
func (r *run) input(p *prepared, src build.Source, file *plan.File) plan.Input {
	return plan.Input{
		Job: p.config, File: file, Params: p.params, Untrusted: p.untrusted, System: r.systemParameters(p),
		Source: plan.Source{
			URL: src.URL, Branch: p.branch, Tag: p.tag, Commit: p.info.Commit, Fixed: r.record.RefKind != build.ByBranch,
		},
		Classes: build.Classes, Modules: r.Modules, Steps: r.MaxSteps,
	}
}

// timeoutOf is how long a build of a job may run.
func (r *run) timeoutOf(config build.Config) (time.Duration, error) {
	if config.Timeout == nil || *config.Timeout == (build.Timeout{}) {
		return r.Timeout, nil
	}
	return config.Timeout.Duration()
}

// openParameters makes plain text of what the record has sealed, and notes which of it are secrets.
func (r *run) openParameters(p *prepared) error {
	for _, v := range r.record.Parameters {
		value := v.Value
		if v.Private && value != "" {
			plain, err := r.Sealer.Open(v.Value)
			if err != nil {
				return fmt.Errorf("open the private parameter %s: %w", v.Name, err)
			}
			value = plain
		}
		if v.Private && !v.Copy && value != "" {
			p.secrets = append(p.secrets, value)
		}
		p.params = append(p.params, plan.Param{Name: v.Name, Value: value})
		if v.Chosen {
			p.untrusted = append(p.untrusted, v.Name)
		}
	}
	p.branch, p.tag = r.record.Ref(func(name string) string {
		i := slices.IndexFunc(p.params, func(q plan.Param) bool { return q.Name == name })
		if i < 0 {
			return ""
		}
		return p.params[i].Value
	})
	p.params = slices.DeleteFunc(p.params, func(q plan.Param) bool { return q.Name == build.TagParameter }) // the service sets it
	r.masker = mask.New(p.secrets)
	return nil
}

// resolve finds the commit to build.
func (r *run) resolve(ctx context.Context, src build.Source, p *prepared) error {
	var ref source.Ref
	switch kind := r.record.RefKind; {
	case r.record.Commit != "" && (r.record.ParentID != "" || r.record.Rerun || r.record.Trigger == build.CodeChange): // the flow, the first run, or who pushed it, knows
		ref.Commit = r.record.Commit
	case kind == build.ByTag:
		if ref.Tag = p.tag; ref.Tag == "" {
			return fault.New(fault.Invalid, "The task builds a tag, but the build was started without one. Give scm.build_tag.")
		}
	case kind == build.ByCommit:
		if ref.Commit = r.record.Commit; ref.Commit == "" {
			return fault.New(fault.Invalid, "The task builds a commit, but the build was started without one. Give scm.build_commit_id.")
		}
	default:
		ref.Branch = p.branch
	}
	commit, err := p.sources.Resolve(ctx, src.URL, ref)
	if err != nil {
		return err
	}
	if commit.Branch != "" {
		p.branch, p.info.Branch = commit.Branch, r.mask(commit.Branch)
	}
	p.info.Commit, p.info.Message, p.info.Time = commit.ID, r.mask(commit.Message), commit.Time
	return nil
}

// readBuildFiles reads the build file at the commit. That of a flow's child is named by the flow's file, which is read first: only
// that says what the child gets from the flow, and not all of it may be stored.
func (r *run) readBuildFiles(ctx context.Context, src build.Source, p *prepared) (plan.Input, error) {
	path := buildFilePath
	for _, v := range p.params {
		if v.Name == BuildFileParameter && v.Value != "" {
			path = v.Value
		}
	}
	file, err := r.readBuildFile(ctx, src, p, path)
	in := r.input(p, src, file)
	if err != nil || r.record.ParentID == "" {
		return in, err
	}
	flow, _, err := plan.ReadFlow(in)
	if err != nil {
		return in, err
	}
	i := slices.IndexFunc(flow.Jobs, func(j plan.FlowJob) bool { return r.mask(j.Name) == r.record.FlowJob })
	if i < 0 {
		return in, fmt.Errorf("the flow's file has no job %q any more", r.record.FlowJob)
	}
	in.Flow = &flow.Jobs[i].Context
	in.File, err = r.readBuildFile(ctx, src, p, flow.Jobs[i].BuildRef)
	return in, err
}

// checkJobs finds out before anything of a flow runs whether the build files of all its jobs can.
func (r *run) checkJobs(in plan.Input) error {
	ctx, cancel := context.WithTimeout(r.ctx, r.PrepareTimeout)
	defer cancel()
	return r.what.flow.Check(in, func(path string) (*plan.File, error) {
		data, err := r.what.sources.ReadFile(ctx, in.Source.URL, r.what.info.Commit, path, maxBuildFile)
		return &plan.File{Path: path, Data: data}, err
	})
}

// readBuildFile reads one build file at the commit.
func (r *run) readBuildFile(ctx context.Context, src build.Source, p *prepared, path string) (*plan.File, error) {
	p.info.BuildFile = r.mask(path)
	data, err := p.sources.ReadFile(ctx, src.URL, p.info.Commit, path, maxBuildFile)
	if err != nil {
		return nil, err
	}
	return &plan.File{Path: path, Data: data}, nil
}

// systemParameters are those that every build has.
func (r *run) systemParameters(p *prepared) []plan.Param {
	rec, commit := r.record, p.info.Commit
	return []plan.Param{
		{Name: "BUILDNUMBER", Value: rec.DailyNumber},
		{Name: "TIMESTAMP", Value: rec.CreatedAt.In(r.Zone).Format("20060102150405")},
		{Name: "INCREASENUM", Value: strconv.Itoa(rec.Number)},
		{Name: "PROJECT_ID", Value: string(rec.ProjectID)},
		{Name: "WORKSPACE", Value: r.Executor.Workspace(string(rec.ID))},
		{Name: build.TagParameter, Value: p.tag},
		{Name: "COMMIT_ID", Value: commit},
		{Name: "COMMIT_ID_SHORTER", Value: commit[:min(8, len(commit))]},
		{Name: "JOB_NAME", Value: rec.JobName},
		{Name: "EXECUTOR", Value: rec.UserName},
	}
}

// hostArch is this machine's architecture in the words of build files.
var hostArch = map[string]string{"amd64": "X86", "arm64": "ARM"}[runtime.GOARCH]

// needsOf is what a build asks of its engine: what the build file says, else what the task does.
func needsOf(config build.Config, res plan.Resource) build.Needs {
	class := strings.ToUpper(config.Flavor)
	if class == "DEFAULT" {
		class = ""
	}
	return build.Needs{
		Arch:  cmp.Or(res.Arch, map[string]string{"x86-64": "X86", "arm": "ARM"}[config.Arch]),
		Class: cmp.Or(res.Class, class),
	}
}

// errMisfit is the error of a build that another engine has to run.
var errMisfit = errors.New("the build needs another engine")

// checkResource reports what a build asks for that is not here. When another engine may have it, the error is errMisfit.
func (r *run) checkResource(config build.Config, res plan.Resource) error {
	if res.Type == "custom" {
		return fault.New(fault.Invalid, "There is no executor pool called %q.", res.Pool)
	}
	if needs := needsOf(config, res); !r.offer().Fits(needs) {
		r.needs = needs
		return errMisfit
	}
	return nil
}
