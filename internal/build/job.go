package build

import (
	"strings"
	"time"
)

// Job is a build task: what to build, from where, and how.
type Job struct {
	ID             JobID
	BuildProjectID BuildProjectID
	ProjectID      ProjectID
	DomainID       string
	Version        int // of Config: 0 when created, one more with every change
	Config         Config
	CreatorID      string
	CreatorName    string
	EditorID       string // who last saved Config, and answers for what stands in it
	EditorName     string
	CreatedAt      time.Time
	UpdatedAt      time.Time
	Disabled       *Disabling // nil when the job may run
	LastNumber     int        // of the newest build; 0 when there is none

	// Counters holds the present value of each auto-increment parameter that has run at least once.
	Counters map[string]string
}

// Ref returns what access to the job is decided by.
func (j Job) Ref() JobRef {
	return JobRef{ID: j.ID, ProjectID: j.ProjectID, CreatorID: j.CreatorID}
}

// Editor returns who last saved the configuration.
func (j Job) Editor() Actor {
	return Actor{UserID: j.EditorID, UserName: j.EditorName, DomainID: j.DomainID}
}

// Disabling says who switched a job off, when and why.
type Disabling struct {
	UserID   string
	UserName string
	At       time.Time
	Reason   string
}

// Config is what a client writes and reads back. An empty field was not given; defaults apply when a build starts,
// not when the configuration is stored, so that a client reads back what it wrote.
type Config struct {
	Name                 string
	Arch                 string
	Flavor               string
	HostType             string
	GroupID              string
	Kind                 ConfigKind
	EnvironmentType      string // build_environment_type: docker or machine
	AutoUpdateSubmodules string // "true", "false" or not given
	BuildOnPush          *bool  // build_if_code_updated
	Parameters           []Parameter
	Sources              []Source
	Steps                []ActionStep
	Triggers             []TriggerConfig
	Timeout              *Timeout
}

// EffectiveKind returns the kind of configuration, ACTION when none was given.
func (c Config) EffectiveKind() ConfigKind {
	if c.Kind == "" {
		return Action
	}
	return c.Kind
}

// OnPush reports whether the job is built when its code changes.
func (c Config) OnPush() bool {
	on := func(b *bool) bool { return b != nil && *b }
	source, _ := c.Source()
	return on(c.BuildOnPush) || on(source.IsAutoBuild)
}

// Class returns the class of the executor that the job asks for, in capitals; the smallest when it asks for none.
func (c Config) Class() string {
	if class := strings.ToUpper(c.Flavor); class != "" && class != "DEFAULT" {
		return class
	}
	return Classes[0]
}

// Source returns the repository that the job builds; false when it has none.
func (c Config) Source() (Source, bool) {
	if len(c.Sources) == 0 {
		return Source{}, false
	}
	return c.Sources[0], true
}

// Source is a repository and what to take from it.
type Source struct {
	URL         string
	Kind        string // scm_type, as the client wrote it
	Branch      string
	RefKind     RefKind
	Depth       string // a positive number as text; empty for the whole history
	IsAutoBuild *bool
	LFS         *bool
	RepoID      string
	RepoName    string
	GroupName   string
	WebURL      string
	EndpointID  string
	Origin      string // the wire's "source"; undocumented, kept as it came
}

// ActionStep is one step of an ACTION job, as the client wrote it.
type ActionStep struct {
	ModuleID   string
	Name       string
	Version    string
	Enable     *bool          // nil, which runs, must read back as not given
	Properties map[string]any // a number is a json.Number, which keeps the digits that the client wrote
}

// TriggerConfig is a trigger as the client wrote it: a name, and named values.
type TriggerConfig struct {
	Name       string
	Parameters []NameValue
}

// NameValue is a name with a value.
type NameValue struct {
	Name  string
	Value string
}

// Timeout is the longest time that one build of the job may run, as the client wrote it.
type Timeout struct {
	Limit string // a positive whole number
	Unit  string // minute or hour
}

// JobSummary is a job with what a list of jobs shows about its builds.
type JobSummary struct {
	Job
	Last        *Record // the newest build; nil when there is none
	HealthScore int     // share of successes among the last ten finished builds, in percent; 0 without any
	Favourite   bool    // of the user that the query names
}

// JobQuery selects and orders the jobs of a list. Empty fields select everything.
type JobQuery struct {
	Viewing    Viewing // nobody lists what they may not see
	UserID     string  // whose favourites are marked
	ID         JobID   // of the only one
	Search     string  // part of a name or of a creator's name, case ignored
	CreatorID  string
	GroupIDs   []string // any of these
	Ungrouped  bool     // in no group that exists
	Status     JobStatus
	Sort       JobSort
	Descending bool
	Offset     int // of the first row
	Limit      int
}

// JobSort is what a list of jobs is ordered by.
type JobSort string

// The orders of a list of jobs.
const (
	SortByActivity    JobSort = "last_build_time" // the default, newest first
	SortByName        JobSort = "job_name"
	SortByCreation    JobSort = "create_time"
	SortByHealth      JobSort = "health_score"
	SortByBuildStatus JobSort = "last_build_status"
)

// JobStatus is how the newest build of a job stands, in the words that lists filter by.
type JobStatus string

// The statuses of a job.
const (
	StatusNone     JobStatus = "none"     // never built
	StatusBuilding JobStatus = "building" // waits or runs
	StatusBlue     JobStatus = "blue"     // succeeded
	StatusRed      JobStatus = "red"      // failed
	StatusAborted  JobStatus = "aborted"
	StatusTimeout  JobStatus = "timeout"
)

// States returns the build states that a status stands for; none for [StatusNone].
func (s JobStatus) States() []State {
	switch s {
	case StatusBuilding:
		return []State{Queued, Scheduled, Running}
	case StatusBlue:
		return []State{Succeeded}
	case StatusRed:
		return []State{Failed, Unschedulable}
	case StatusAborted:
		return []State{Aborted}
	case StatusTimeout:
		return []State{TimedOut}
	default:
		return nil
	}
}

// Status returns how the newest build of the job stands.
func (s JobSummary) Status() JobStatus {
	if s.Last == nil {
		return StatusNone
	}
	for _, status := range []JobStatus{StatusBuilding, StatusBlue, StatusRed, StatusAborted, StatusTimeout} {
		for _, state := range status.States() {
			if state == s.Last.State {
				return status
			}
		}
	}
	return StatusNone
}
