package build

import (
	"errors"
	"time"
)

// Lease is the right to run one build for a while. The fence grows with every lease of a build, so that an owner that was
// taken for dead and comes back is refused.
type Lease struct {
	Record Record
	Owner  string
	Fence  int64
	Until  time.Time
}

// Taken is a build that an engine takes from the queue.
type Taken struct {
	Lease
	Config    Config // of the job, at the version of the record
	ConfigErr error  // why that is not known
	Editor    Actor  // who saved that version
	Job       JobRef // what access to the job is decided by
	More      bool   // other builds wait in the queue
}

// ErrLeaseLost is the answer to a report about a build that the reporter no longer holds.
var ErrLeaseLost = errors.New("the lease of the build is lost")

// Progress is what the owner of a lease reports. Nil and empty parts are left as they are; all of it is stored, or none.
type Progress struct {
	Source  *SourceInfo // what the build takes from the repository, once it is known
	Waits   WaitFor     // the build cannot begin yet, for this reason
	Begin   *Begin      // the build goes from Scheduled to Running
	Steps   []Step      // as they now stand
	Reports []Report    // of steps that are over; one that is known already stays as it is
	Outputs []Output    // that are in their places; one at the same place replaces the one before
	Flow    []FlowJob   // with Begin: the build is a flow of these, none of which has begun
	End     *End        // the build reaches a final state
}

// SourceInfo is what a reference came to.
type SourceInfo struct {
	Branch    string
	Commit    string
	Message   string
	Time      time.Time
	BuildFile string
}

// Begin says when the executor really began.
type Begin struct {
	At          time.Time
	PrivatePool bool
	Script      string // what the build is to do, as text for people; private values are masked
}

// End is the final state of a build.
type End struct {
	State State
	Error string // for the record's errMsg; empty for a success
	At    time.Time

	// Logged says that the build had begun a log, so that it is missing when it is not there. One that ended before, or that could
	// not open its log, has none.
	Logged bool
}

// Held is a build that the database says an owner holds.
type Held struct {
	ID            RecordID
	Fence         int64
	StopRequested bool
}

// Claim is an engine's wish for the next build that it can run.
type Claim struct {
	Offer  Offer
	Limits Limits
	Now    time.Time
	Until  time.Time // of the lease
}
