package build

import (
	"math"
	"time"
)

// StoppedMessage is what the record of a build says that somebody stopped.
const StoppedMessage = "The build was stopped."

// Record is what is kept of one build.
type Record struct {
	ID             RecordID
	InfoID         string   // key of the information row; clients see it as "id", no operation takes it
	ParentID       RecordID // of the flow that the build is part of; empty for most
	Flow           bool     // runs nothing itself: it waits for its children
	FlowJob        string   // of a child: its name in the flow
	JobID          JobID
	BuildProjectID BuildProjectID
	ProjectID      ProjectID
	DomainID       string
	JobName        string // when the build started
	JobVersion     int    // of the configuration that the build runs
	ConfigKind     ConfigKind

	Number      int    // 1, 2, 3 … in the job
	DailyNumber string // yyyyMMdd.N
	ExecutionID string // j_ and 8 letters or digits; "-1" when it could not be scheduled

	// UserID is who started the build, or in whose name it was started when nobody did so in person.
	UserID     string
	UserName   string
	Unattended bool // a timer or a change of code started it, in the name of who had last saved the task
	Trigger    Trigger
	Rerun      bool

	Repo          Repo
	RefKind       RefKind
	Branch        string
	Tag           string
	Commit        string // full id, once known
	OwnBranch     bool   // what is built is the head of the branch that the task names, and nobody chose anything else
	CommitMessage string
	CommitTime    time.Time
	BuildFile     string // path of the build file in the repository

	Parameters []Value // what the build runs with
	Warnings   []string

	State       State
	Error       string // why it did not succeed; empty otherwise
	Logged      bool   // it is over, and had begun a log
	PrivatePool bool   // ran on an executor of the user's own
	Region      string

	CreatedAt   time.Time // the record was written
	ScheduledAt time.Time // handed to the scheduler
	QueuedAt    time.Time // entered the queue
	StartedAt   time.Time // an executor took it
	RunnableAt  time.Time // the executor really began
	FinishedAt  time.Time // reached a final state

	StopRequestedAt time.Time // zero unless somebody asked to stop it
	StopRequestedBy string
}

// Starter returns who started the build, or in whose name it was started.
func (r Record) Starter() Actor {
	return Actor{UserID: r.UserID, UserName: r.UserName, DomainID: r.DomainID}
}

// Repo is the repository of a build, as it was when the build started.
type Repo struct {
	Name      string
	ID        string
	URL       string
	WebURL    string
	GroupName string
	Kind      string
}

// Value is a parameter of one build. Of a private one Value holds the sealed text, never the plain one.
type Value struct {
	Name    string
	Value   string
	Private bool
	Copy    bool // private only because it holds the value of another one, which is the secret
	Chosen  bool // at the start, by somebody who may not edit the task
}

// RunTime returns how long the build ran: from its start to its end, or to now while it runs. Zero when it never started.
func (r Record) RunTime(now time.Time) time.Duration {
	if r.StartedAt.IsZero() {
		return 0
	}
	end := r.FinishedAt
	if end.IsZero() {
		end = now
	}
	return max(0, end.Sub(r.StartedAt))
}

// WaitTime returns how long the build waited: from the queue to its start. Zero when it never started.
func (r Record) WaitTime() time.Duration {
	if r.StartedAt.IsZero() {
		return 0
	}
	return max(0, r.StartedAt.Sub(r.QueuedAt))
}

// Millis returns d in milliseconds, within the 32 bits that clients decode it into.
func Millis(d time.Duration) int64 {
	return min(d.Milliseconds(), math.MaxInt32)
}

// Step is one part of a build as its record shows it: the preparation, a step of the plan, or the end.
type Step struct {
	RecordID   RecordID
	Sequence   int    // 0 for the preparation, then in order
	ID         string // UUID
	Stage      string // initial, stage1, stage2 …, final: the name by which clients ask for its log
	Name       string // shown to people
	Keyword    string // of the build file; empty for the preparation and the end
	State      StepState
	ExitCode   int
	Ignored    bool // it failed, and the build went on
	StartedAt  time.Time
	FinishedAt time.Time
	LogStart   int64 // where its part of the build's log begins, in bytes
	LogEnd     int64 // where it ends; -1 while the step runs
}

// RecordQuery selects the builds of a list, newest first. Empty fields select everything.
type RecordQuery struct {
	JobID    JobID
	Triggers []Trigger
	States   []State
	Branches []string
	Tags     []string
	From, To time.Time // of creation; From is inside, To is outside
	Offset   int
	Limit    int
}

// RunTime returns how long the step ran; to now while it runs, zero when it never did.
func (s Step) RunTime(now time.Time) time.Duration {
	if s.StartedAt.IsZero() {
		return 0
	}
	end := s.FinishedAt
	if end.IsZero() {
		end = now
	}
	return max(0, end.Sub(s.StartedAt))
}
