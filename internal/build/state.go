package build

// State is where a build stands. Its values are what the database holds; the wire has words of its own.
type State string

// The states of a build.
//
//	Queued ──> Scheduled ──> Running ──> Succeeded | Failed | Aborted | TimedOut
//	   │  ^        │
//	   │  └────────┤ the executor was lost before the first step
//	   └───────────┴──> Aborted | Unschedulable
const (
	Queued        State = "queued"        // waits for a slot
	Scheduled     State = "scheduled"     // leased by an executor that prepares it
	Running       State = "running"       // its steps run
	Succeeded     State = "succeeded"     // every step succeeded, or its failure was to be ignored
	Failed        State = "failed"        // a step failed, or the executor was lost
	Unschedulable State = "unschedulable" // it could not begin: bad build file, no such reference, no such pool
	Aborted       State = "aborted"       // somebody stopped it
	TimedOut      State = "timed_out"     // it ran too long
)

// Final reports whether a build in this state is over. A final state never changes.
func (s State) Final() bool {
	switch s {
	case Succeeded, Failed, Unschedulable, Aborted, TimedOut:
		return true
	default:
		return false
	}
}

// CanBecome reports whether a build may go from s to next.
func (s State) CanBecome(next State) bool {
	switch s {
	case Queued:
		return next == Scheduled || next == Aborted || next == Unschedulable
	case Scheduled:
		return next == Running || next == Queued || next == Aborted || next == Unschedulable
	case Running:
		return next == Succeeded || next == Failed || next == Aborted || next == TimedOut
	default:
		return false
	}
}

// StepState is where one step of a build stands.
type StepState string

// The states of a step.
const (
	StepWaiting   StepState = "waiting" // not begun; stays so when the build ends before it
	StepRunning   StepState = "running"
	StepSucceeded StepState = "succeeded"
	StepFailed    StepState = "failed"
	StepAborted   StepState = "aborted"
)

// Trigger is what started a build. The values are the documented ones.
type Trigger string

// The triggers.
const (
	Manual     Trigger = "MANUAL"
	Timed      Trigger = "TIMED_EXECUTION"
	CodeChange Trigger = "CODEHUB_TRIGGER"
	Pipeline   Trigger = "PIPELINE_TRIGGER"
)

// RefKind says by what a build chooses its commit. The values are the documented ones.
type RefKind string

// The kinds of reference.
const (
	ByBranch RefKind = "branch"
	ByTag    RefKind = "tag"
	ByCommit RefKind = "commitId"
)

// ConfigKind says where the steps of a job are written. The values are the documented ones.
type ConfigKind string

// The kinds of configuration.
const (
	YAML   ConfigKind = "YAML"   // in a build file in the repository
	Action ConfigKind = "ACTION" // in the job itself
)
