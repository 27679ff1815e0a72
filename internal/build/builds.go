package build

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"strings"
	"time"

	"atelier/internal/crash"
	"atelier/internal/fault"
)

// StartRequest asks for a build. Empty fields take what the job says.
type StartRequest struct {
	JobID         JobID
	Parameters    []NameValue
	RefKind       RefKind
	Branch        string
	Tag           string
	Commit        string
	Trigger       Trigger  // default Manual
	Warnings      []string // for the log of the build, from whoever starts it
	DefaultBranch string   // of the repository, where whoever starts the build knows it
	Token         string   // the same one of the same user starts no second build of the job; empty for a new build in any case
	unattended    bool     // nobody starts it in person
}

// Start starts a build: it gives the number, stores the record and answers. The build itself runs when its turn comes.
// A token that has started a build of the job before gives that one, if the request asks for the same as then.
func (s *Service) Start(ctx context.Context, actor Actor, req StartRequest) (Record, error) {
	job, err := s.job(ctx, actor, req.JobID, Execute)
	if err != nil {
		return Record{}, err
	}
	return s.start(ctx, job, req, func(Job) Actor { return actor })
}

// StartUnattended starts a build that nobody starts in person, because its time has come or code has changed. It is a build in
// the name of who last saved the task, whose rights are asked for when the build runs.
func (s *Service) StartUnattended(ctx context.Context, req StartRequest) (Record, error) {
	job, err := s.Store.Job(ctx, req.JobID)
	if err != nil {
		return Record{}, hideMissing(err, noSuchJob(req.JobID))
	}
	req.unattended = true
	return s.start(ctx, job, req, Job.Editor)
}

// start starts a build of a job in the name of one person, of the job as it is when the build gets its number.
func (s *Service) start(ctx context.Context, job Job, req StartRequest, starter func(Job) Actor) (record Record, err error) {
	if err := s.checkRef(req); err != nil {
		return Record{}, err
	}
	if err := checkEnabled(job); err != nil {
		return Record{}, err // also when a token would give the answer of before
	}
	by, err := s.valueRights(ctx, starter(job), job, req)
	if err != nil {
		return Record{}, err
	}
	now := s.now()
	day := Day(now, s.Zone)
	draft := func(job *Job, dailyCount int) (Record, error) {
		if err := checkEnabled(*job); err != nil {
			return Record{}, err // it was disabled just now
		}
		return s.draft(starter(*job), by, req, job, now, DailyNumber(day, dailyCount))
	}
	var repeated bool
	if req.Token == "" {
		record, err = s.Store.StartBuild(ctx, req.JobID, day, draft)
	} else {
		record, repeated, err = s.startOnce(ctx, starter(job), req, day, draft)
	}
	if err != nil {
		return Record{}, hideMissing(err, noSuchJob(req.JobID))
	}
	if !repeated {
		crash.At(crash.BuildStored)
		s.Engine.Wake()
		runtime.Gosched() // so that the engine begins at once: this processor is awake, and the answer may be sent by another
	}
	return record, nil
}

// valueRights finds out which values somebody may give who starts a build.
func (s *Service) valueRights(ctx context.Context, actor Actor, job Job, req StartRequest) (valueRights, error) {
	by := valueRights{maxValue: s.MaxValue}
	if len(req.Parameters) == 0 {
		return by, nil
	}
	err := s.Check(ctx, actor, job.Ref(), Modify)
	if err != nil && !fault.Is(err, fault.Forbidden) && !fault.Is(err, fault.NotFound) {
		return by, err
	}
	by.edits = err == nil
	return by, nil
}

func checkEnabled(job Job) error {
	if job.Disabled == nil {
		return nil
	}
	return fault.New(fault.Disabled, "the task is disabled%s; enable it first", because(job.Disabled.Reason))
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

// draft makes the record of a new build and moves the job's counters on.
func (s *Service) draft(actor Actor, by valueRights, req StartRequest, job *Job, now time.Time, daily string) (Record, error) {
	resolved, err := resolveParameters(*job, req.Parameters, by, s.Sealer)
	if err != nil {
		return Record{}, err
	}
	job.Counters = resolved.counters
	source, _ := job.Config.Source()
	r := Record{
		ID: RecordID(newUUID()), InfoID: newUUID(), JobID: job.ID, BuildProjectID: job.BuildProjectID, ProjectID: job.ProjectID,
		DomainID: job.DomainID, JobName: job.Config.Name, JobVersion: job.Version, ConfigKind: job.Config.EffectiveKind(),
		Number: job.LastNumber, DailyNumber: daily, ExecutionID: newExecutionID(),
		UserID: actor.UserID, UserName: actor.UserName, Unattended: req.unattended, Trigger: req.Trigger,
		Repo:       repoOf(source),
		Parameters: resolved.values, Warnings: req.Warnings,
		State: Queued, Region: s.Region, CreatedAt: now, ScheduledAt: now, QueuedAt: now,
	}
	if r.Trigger == "" {
		r.Trigger = Manual
	}
	chooseRef(&r, req, source)
	r.OwnBranch = isOwnBranch(r, req, job.Config)
	if err := s.checkRef(StartRequest{Branch: r.Branch, Tag: r.Tag}); err != nil {
		return Record{}, err // a parameter named a branch that no repository can have
	}
	return r, hideCopies(&r, s.Sealer)
}

// chooseRef settles what the build takes from the repository. What the request says comes first, then the branch parameter,
// then the job. Commit and tag both given: the commit wins.
func chooseRef(r *Record, req StartRequest, source Source) {
	r.RefKind = req.RefKind
	switch {
	case r.RefKind != "":
	case req.Commit != "":
		r.RefKind = ByCommit
	case req.Tag != "":
		r.RefKind = ByTag
	case source.RefKind != "":
		r.RefKind = source.RefKind
	default:
		r.RefKind = ByBranch
	}
	branch := slices.IndexFunc(r.Parameters, func(v Value) bool { return v.Name == BranchParameter })
	given := slices.ContainsFunc(req.Parameters, func(v NameValue) bool { return v.Name == BranchParameter && v.Value != "" })
	switch {
	case req.Branch != "":
		r.Branch = req.Branch
	case given:
		r.Branch = r.Parameters[branch].Value
	case source.Branch != "":
		r.Branch = source.Branch
	case branch >= 0:
		r.Branch = r.Parameters[branch].Value
	}
	if branch >= 0 && r.Branch != "" && !r.Parameters[branch].Private {
		r.Parameters[branch].Value = r.Branch
	}
	switch r.RefKind {
	case ByTag:
		r.Tag = req.Tag
	case ByCommit:
		r.Commit = req.Commit
	default:
		if req.Trigger == CodeChange {
			r.Commit = req.Commit // that the branch was pushed to
		}
	}
}

// isOwnBranch reports whether a new build is of what the branch has that its task names, or has no repository. A commit is the
// branch's only if a host of repositories has told of it, or the service has found it.
func isOwnBranch(r Record, req StartRequest, c Config) bool {
	source, ok := c.Source()
	switch {
	case !ok:
		return true
	case r.RefKind != ByBranch, source.RefKind != "" && source.RefKind != ByBranch, r.Commit != "" && !req.unattended:
		return false
	}
	named := source.Branch
	for _, p := range c.Parameters {
		if named == "" && p.Name() == BranchParameter {
			named = p.Default()
		}
	}
	return r.Branch == cmp.Or(named, req.DefaultBranch)
}

func (s *Service) checkRef(req StartRequest) error {
	var p problems
	for _, f := range []struct {
		field, value string
		check        func(string) error
	}{
		{"scm.branch", req.Branch, s.Sources.CheckRef},
		{"scm.build_tag", req.Tag, s.Sources.CheckRef},
		{"scm.build_commit_id", req.Commit, s.Sources.CheckCommit},
	} {
		if f.value == "" {
			continue
		}
		if err := f.check(f.value); err != nil {
			p.add(f.field, "%s", message(err))
		}
	}
	switch req.RefKind {
	case "", ByBranch, ByTag, ByCommit:
	default:
		p.add("scm.build_type", "must be branch, tag or commitId, found %s", quote(string(req.RefKind)))
	}
	return p.err()
}

func repoOf(s Source) Repo {
	name := s.RepoName
	if name == "" {
		name = strings.TrimSuffix(strings.TrimRight(s.URL, "/"), ".git")
		name = name[strings.LastIndexAny(name, "/:")+1:]
	}
	return Repo{Name: name, ID: s.RepoID, URL: s.URL, WebURL: s.WebURL, GroupName: s.GroupName, Kind: s.Kind}
}

// Stop asks a build to stop. Number 0 is the newest build that waits or runs. A queued build is over at once; one that runs
// is over when its processes are gone. Asking again while it stops changes nothing; asking when it is over is an error.
func (s *Service) Stop(ctx context.Context, actor Actor, id JobID, number int) error {
	if _, err := s.job(ctx, actor, id, Execute); err != nil {
		return err
	}
	record, err := s.recordToStop(ctx, id, number)
	if err != nil {
		return err
	}
	if err := s.Store.RequestStop(ctx, record.ID, actor, s.now()); err != nil {
		return hideMissing(err, noSuchBuild(id, number))
	}
	crash.At(crash.StopStored)
	s.Engine.StopBuild(record.ID)
	return nil
}

func (s *Service) recordToStop(ctx context.Context, id JobID, number int) (Record, error) {
	if number == 0 {
		record, err := s.Store.LatestActive(ctx, id)
		return record, hideMissing(err, errNothingRuns)
	}
	record, _, err := s.Store.Record(ctx, id, number)
	return record, hideMissing(err, noSuchBuild(id, number))
}

// Record returns a build by number, and what access to it is decided by.
func (s *Service) Record(ctx context.Context, actor Actor, id JobID, number int) (Record, JobRef, error) {
	record, ref, err := s.Store.Record(ctx, id, number)
	if fault.Is(err, fault.NotFound) {
		// The words must not tell a job that may not be seen from one without that build.
		if _, err := s.job(ctx, actor, id, View); err != nil {
			return Record{}, JobRef{}, err
		}
		return Record{}, JobRef{}, noSuchBuild(id, number)
	}
	if err != nil {
		return Record{}, JobRef{}, err
	}
	return record, ref, s.Check(ctx, actor, ref, View)
}

// RecordByID returns a build by its record id.
func (s *Service) RecordByID(ctx context.Context, actor Actor, id RecordID) (Record, error) {
	record, ref, err := s.Store.RecordByID(ctx, id)
	if err != nil {
		return Record{}, hideMissing(err, noSuchRecord(id))
	}
	return record, hideMissing(s.Check(ctx, actor, ref, View), noSuchRecord(id))
}

// Records returns a page of the builds of a job, newest first, and the number of all that match.
func (s *Service) Records(ctx context.Context, actor Actor, q RecordQuery) ([]Record, int, error) {
	if _, err := s.job(ctx, actor, q.JobID, View); err != nil {
		return nil, 0, err
	}
	return s.Store.Records(ctx, q)
}

// StepsOf returns the steps of a build in order. The caller has got the record from this service, so it may view it.
func (s *Service) StepsOf(ctx context.Context, record Record) ([]Step, error) {
	return s.Store.Steps(ctx, record.ID)
}

// LastSuccess returns the newest build of a repository in a project that succeeded, of those that the actor may view. Without any, it is a
// fault.NoHistory error.
func (s *Service) LastSuccess(ctx context.Context, actor Actor, project ProjectID, repository string) (Record, error) {
	denied := s.Check(ctx, actor, JobRef{ProjectID: project}, View)
	if denied != nil && !fault.Is(denied, fault.Forbidden) {
		return Record{}, denied
	}
	viewing, err := s.Access.Viewing(ctx, actor, []ProjectID{project})
	if err != nil {
		return Record{}, err
	}
	record, err := s.Store.LastSuccess(ctx, viewing, repository)
	switch {
	case !fault.Is(err, fault.NotFound):
		return record, err
	case denied != nil:
		return Record{}, denied
	default:
		return Record{}, fault.New(fault.NoHistory, "no build of the repository has succeeded")
	}
}

// ScriptOf returns what a build was to do; empty for one that never began. The caller has got the record from this service.
func (s *Service) ScriptOf(ctx context.Context, record Record) (string, error) {
	return s.Store.Script(ctx, record.ID)
}

// ChildrenOf returns the builds of a flow's jobs, of those that have one. The caller has got the record from this service.
func (s *Service) ChildrenOf(ctx context.Context, record Record) ([]FlowJob, error) {
	if !record.Flow {
		return nil, nil
	}
	jobs, err := s.Store.Flow(ctx, record.ID)
	return slices.DeleteFunc(jobs, func(j FlowJob) bool { return !j.Began() }), err
}

// HealthScore returns the share of successes among the last ten finished builds of a job that the actor may view, in percent; 0 without any.
func (s *Service) HealthScore(ctx context.Context, actor Actor, id JobID) (int, error) {
	if _, err := s.job(ctx, actor, id, View); err != nil {
		return 0, err
	}
	return s.Store.HealthScore(ctx, id)
}

// CountResults counts the finished builds of a job that were created from one moment on and before another, and the successes.
func (s *Service) CountResults(ctx context.Context, actor Actor, id JobID, from, to time.Time) (finished, succeeded int, err error) {
	if _, err := s.job(ctx, actor, id, View); err != nil {
		return 0, 0, err
	}
	return s.Store.CountResults(ctx, id, from, to)
}

// WaitOf says in words what a build waits for; empty when it does not wait. The caller has got the record from this service.
func (s *Service) WaitOf(ctx context.Context, record Record) (string, error) {
	if record.State != Queued && record.State != Scheduled {
		return "", nil
	}
	standing, err := s.Store.Standing(ctx, record.ID, s.now())
	if fault.Is(err, fault.NotFound) {
		return "", nil // it has begun just now
	}
	return standing.Wait(s.Limits).Text, err
}

// Flow returns the jobs of a flow in order, with their builds; none for a build that is not a flow.
func (s *Service) Flow(ctx context.Context, actor Actor, id RecordID) ([]FlowJob, error) {
	if _, err := s.RecordByID(ctx, actor, id); err != nil {
		return nil, err
	}
	return s.Store.Flow(ctx, id)
}

// IsRunning reports whether a build of the job waits or runs.
func (s *Service) IsRunning(ctx context.Context, actor Actor, id JobID) (bool, error) {
	if _, err := s.job(ctx, actor, id, View); err != nil {
		return false, err
	}
	_, err := s.Store.LatestActive(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}
