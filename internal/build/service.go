package build

import (
	"cmp"
	"context"
	"time"

	"atelier/internal/fault"
)

// Store keeps jobs and records. Every method is one transaction.
// A job or record that does not exist, or whose job was deleted, is a fault.NotFound error.
type Store interface {
	// CreateJob stores a new job. A name that another job of the project has is a fault.Exists error.
	CreateJob(ctx context.Context, job Job) error
	// CopyJob stores a new job that roles may do the same with as with another one.
	CopyJob(ctx context.Context, job Job, original JobID) error
	// Job returns one job.
	Job(ctx context.Context, id JobID) (Job, error)
	// JobOfBuildProject returns the job that a build project id belongs to.
	JobOfBuildProject(ctx context.Context, id BuildProjectID) (Job, error)
	// ChangeJob lets change edit the job and stores the result. It adds one to the version, and keeps the configuration
	// before it, if the configuration or its editor differs. An error of change undoes everything and is returned.
	ChangeJob(ctx context.Context, id JobID, by Actor, at time.Time, change func(*Job) error) (Job, error)
	// DeleteJobs hides the jobs, all or none, and ends their queued builds; it returns the builds that run and are now asked to stop.
	DeleteJobs(ctx context.Context, ids []JobID, by Actor, at time.Time) (running []RecordID, err error)
	// Versions returns a page of the versions of a job, newest first, and the number of all.
	Versions(ctx context.Context, id JobID, offset, limit int) ([]Version, int, error)
	// JobConfig returns the configuration that a job had at a version.
	JobConfig(ctx context.Context, id JobID, version int) (Config, error)
	// Groups returns the groups of a project in their order.
	Groups(ctx context.Context, project ProjectID) ([]Group, error)
	// EditGroups stores what edit makes of the groups of a project. The jobs of a group that is left out are in no group then.
	EditGroups(ctx context.Context, project ProjectID, edit func([]Group) ([]Group, error)) error
	// MoveJobs puts jobs of a project into a group, or into none, all or none of them.
	MoveJobs(ctx context.Context, project ProjectID, groupID string, ids []JobID) error
	// DeletedJob returns a job of the recycle bin.
	DeletedJob(ctx context.Context, id JobID) (DeletedJob, error)
	// DeletedJobs returns a page of the recycle bin, newest first, and the number of all that match.
	DeletedJobs(ctx context.Context, q BinQuery) ([]DeletedJob, int, error)
	// RestoreJobs takes jobs out of the recycle bin, all or none. A name that is taken by now is a fault.Exists error.
	RestoreJobs(ctx context.Context, ids []JobID) error
	// DoomJobs takes jobs out of the recycle bin, all or none, for good. What is left of them is removed later.
	DoomJobs(ctx context.Context, ids []JobID) error
	// KeepDays returns how many days a tenant keeps deleted jobs.
	KeepDays(ctx context.Context, domainID string) (int, error)
	// SetKeepDays says how many days a tenant keeps deleted jobs, also those that are deleted already.
	SetKeepDays(ctx context.Context, domainID string, days int) error
	// SetFavourite marks a job for a user, or takes the mark away.
	SetFavourite(ctx context.Context, userID string, id JobID, marked bool) error
	// Jobs returns a page of jobs and the number of all that match.
	Jobs(ctx context.Context, q JobQuery) ([]JobSummary, int, error)
	// NameTaken reports whether a job of the project has the name.
	NameTaken(ctx context.Context, project ProjectID, name string) (bool, error)
	// CountJobs returns how many jobs a tenant has, without deleted ones.
	CountJobs(ctx context.Context, domainID string) (int, error)

	// TenantSummary counts what a tenant has.
	TenantSummary(ctx context.Context, domainID string) (TenantSummary, error)
	// Engines returns what the engines offer that take builds.
	Engines(ctx context.Context, now time.Time) ([]Offer, error)

	// StartBuild gives the job's next numbers and stores the record that draft makes of them, together with the job's
	// counters as draft left them. The number is used up only when all of it is committed.
	StartBuild(ctx context.Context, id JobID, day string, draft Draft) (Record, error)
	// StartBuildOnce is StartBuild for a request that may come again. The token of once is taken together with the number, for
	// good. If it was taken before, nothing changes and draft is not called: the record is the one that the token has started,
	// with the execution id that it had then, and earlier is the meaning that was stored. Otherwise earlier is empty.
	StartBuildOnce(ctx context.Context, id JobID, day string, once Once, draft Draft) (record Record, earlier string, err error)
	// RequestStop ends a queued build, and marks one that an executor holds. A build that is over is a fault.Finished error.
	RequestStop(ctx context.Context, id RecordID, by Actor, at time.Time) error

	// Record returns a build by its number, and what access to it is decided by.
	Record(ctx context.Context, job JobID, number int) (Record, JobRef, error)
	// RecordByID returns a build by its record id.
	RecordByID(ctx context.Context, id RecordID) (Record, JobRef, error)
	// LatestActive returns the newest build of a job that is not over.
	LatestActive(ctx context.Context, job JobID) (Record, error)
	// Records returns a page of builds, newest first, and the number of all that match.
	Records(ctx context.Context, q RecordQuery) ([]Record, int, error)
	// Standing says where a queued build stands; any other is a fault.NotFound error.
	Standing(ctx context.Context, id RecordID, now time.Time) (Standing, error)
	// Flow returns the jobs of a flow in order, with their builds as they stand; none for a build that is not a flow.
	Flow(ctx context.Context, id RecordID) ([]FlowJob, error)
	// Steps returns the steps of a build in order; none for a build that never began.
	Steps(ctx context.Context, id RecordID) ([]Step, error)
	// Script returns what a build was to do; empty for one that never began.
	Script(ctx context.Context, id RecordID) (string, error)
	// HealthScore returns the share of successes among the last ten finished builds of a job, in percent; 0 without any.
	HealthScore(ctx context.Context, id JobID) (int, error)
	// CountResults counts the finished builds of a job that were created from one moment on and before another, and the successes.
	CountResults(ctx context.Context, id JobID, from, to time.Time) (finished, succeeded int, err error)
	// Reports returns the reports of a build and of its children, in the order in which they came.
	Reports(ctx context.Context, id RecordID) ([]Report, error)
	// Outputs returns what a build and its children have put elsewhere, in the order of their places.
	Outputs(ctx context.Context, id RecordID) ([]Output, error)

	// LastSuccess returns the newest build of a repository that succeeded, of the jobs that a user may view; a fault.NotFound error when there
	// is none.
	LastSuccess(ctx context.Context, viewing Viewing, repository string) (Record, error)
	// Repositories returns the names of the repositories that a job has built, in order, and that of its newest build.
	Repositories(ctx context.Context, id JobID) (latest string, names []string, err error)
	// RepositoryBranches returns the branches that a job has built of a repository, in order.
	RepositoryBranches(ctx context.Context, id JobID, repository string) ([]string, error)
	// Outcomes returns how builds have ended that were started since the query's moment, in order.
	Outcomes(ctx context.Context, q TrendQuery) ([]Outcome, error)
	// BuildTimes returns how long the same builds ran.
	BuildTimes(ctx context.Context, q TrendQuery) (BuildTimes, error)
}

// Draft makes the record of a new build of a job whose number was moved on, the nth of its day. It may change the job's counters.
type Draft func(job *Job, dailyCount int) (Record, error)

// Sources says which repositories and references may be built. Errors are fault.Invalid.
type Sources interface {
	CheckURL(url string) error
	CheckRef(name string) error // a branch or a tag
	CheckCommit(id string) error
}

// Steps says which steps an ACTION job may have. Errors are fault.Invalid.
type Steps interface {
	CheckStep(step ActionStep) error
}

// Triggers says which triggers a job may have. Errors are fault.Invalid.
type Triggers interface {
	CheckTrigger(t TriggerConfig) error
}

// Engine runs builds. Both calls return at once.
type Engine interface {
	// Wake says that a build was queued.
	Wake()
	// StopBuild says that a build which an executor holds is to stop.
	StopBuild(id RecordID)
}

// Parts are what a [Service] is made of. All are required, except where a default is given.
type Parts struct {
	Store    Store
	Access   Access
	Sources  Sources
	Steps    Steps
	Triggers Triggers
	Sealer   Sealer
	Engine   Engine

	Region     string
	Zone       *time.Location   // of daily numbers; default local
	Now        func() time.Time // default time.Now
	MaxTimeout time.Duration    // that a job may ask for; default 24 h
	MaxJobs    int              // of one tenant; default 10,000
	MaxSteps   int              // of one job; default [MaxSteps]
	MaxValue   int              // characters of a parameter's value; default [MaxParameterValue]
	Limits     Limits           // on builds at a time, as the engine keeps them
	Doomed     func()           // is called when jobs wait to be removed for good; default nothing
}

// Service is what clients of the build service can do. Each method checks the actor's rights first.
type Service struct {
	Parts
	rules rules
}

// NewService returns the service made of parts.
func NewService(parts Parts) *Service {
	if parts.Zone == nil {
		parts.Zone = time.Local
	}
	if parts.Now == nil {
		parts.Now = time.Now
	}
	if parts.MaxTimeout == 0 {
		parts.MaxTimeout = 24 * time.Hour
	}
	if parts.MaxJobs == 0 {
		parts.MaxJobs = 10_000
	}
	parts.MaxSteps, parts.MaxValue = cmp.Or(parts.MaxSteps, MaxSteps), cmp.Or(parts.MaxValue, MaxParameterValue)
	if parts.Doomed == nil {
		parts.Doomed = func() {}
	}
	return &Service{Parts: parts, rules: rules{sources: parts.Sources, steps: parts.Steps, triggers: parts.Triggers, maxTimeout: parts.MaxTimeout, maxSteps: parts.MaxSteps, maxValue: parts.MaxValue}}
}

// now returns the present moment with the precision that is stored.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// Check returns nil when the actor holds the right on the job that ref names, and otherwise an error that a client may see.
func (s *Service) Check(ctx context.Context, actor Actor, ref JobRef, right Right) error {
	err := s.Access.Check(ctx, actor, ref, right)
	switch fault.KindOf(err) {
	case fault.NotFound:
		if ref.ID == "" {
			return fault.New(fault.NotFound, "project %s does not exist", ref.ProjectID)
		}
		return noSuchJob(ref.ID)
	case fault.Forbidden:
		return fault.New(fault.Forbidden, "your roles in the project do not let you %s this task", right)
	default:
		return err
	}
}

// job returns a job that the actor holds the right on.
func (s *Service) job(ctx context.Context, actor Actor, id JobID, right Right) (Job, error) {
	job, err := s.Store.Job(ctx, id)
	if err != nil {
		return Job{}, hideMissing(err, noSuchJob(id))
	}
	return job, s.Check(ctx, actor, job.Ref(), right)
}

// hideMissing returns missing in place of a not-found error, so that a thing that is not there and one that may not be seen
// get the same words.
func hideMissing(err error, missing *fault.Error) error {
	if fault.Is(err, fault.NotFound) {
		return missing
	}
	return err
}

func noSuchJob(id JobID) *fault.Error {
	return fault.New(fault.NotFound, "task %s does not exist", id)
}

func noSuchBuild(id JobID, number int) *fault.Error {
	return fault.New(fault.NotFound, "task %s has no build %d", id, number)
}

func noSuchRecord(id RecordID) *fault.Error {
	return fault.New(fault.NotFound, "build record %s does not exist", id)
}

// errNothingRuns is the answer to a stop without a number when no build of the job waits or runs.
var errNothingRuns = fault.New(fault.Finished, "no build of this task is waiting or running")
