// Package executor says what every way to run builds must do. The packages below it are one way each.
//
// The contract that all of them keep is written down as tests, in executortest.
package executor

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"atelier/internal/plan"
	"atelier/internal/source"
)

// Executor runs the steps of builds. It may be used by many goroutines.
type Executor interface {
	// Workspace returns the directory that the code of a build is in, as its steps will see it. It makes nothing.
	Workspace(record string) string

	// Open prepares an empty workspace for a build. Variables that no process can have are a fault.Invalid error, and so are
	// images and resources that the executor does not know. A fault.Unavailable error says that the executor does not answer at present.
	// A build is open at most once at a time.
	Open(ctx context.Context, build Build) (Session, error)

	// Recover ends whatever an earlier life of this executor left behind: processes, containers, workspaces.
	// It is called once, before the first Open.
	Recover(ctx context.Context) error
}

// Build is what an executor has to know of a build.
type Build struct {
	Record   string // the record id, unique; it can name a directory
	Resource plan.Resource
	Images   []string     // that its steps ask for
	Env      []plan.Param // of every step; of two with one name, the last counts
	Caches   []Cache      // of tools, each of another one

	// Credentials are what opens the repositories of checkouts, by the ids of service endpoints. No step sees any of them.
	Credentials map[string]source.Credential
}

// Session is the place of one build on an executor. It is used by one goroutine at a time.
type Session interface {
	// Run runs one step, which is a checkout or a script, and writes what it prints, as it comes, to out; nothing is written after Run has returned. The result
	// is the step's: also a repository that cannot be checked out is one, with the reason. An error means that the executor
	// could not run the step, or lost it ([ErrLost]), or that out failed; the build should then be closed.
	//
	// A step is over when its shell has ended; what it leaves running is ended then, at once, as is all of it when out fails.
	// When ctx ends, so do all processes of the step, within [Grace] and a moment: they are asked first, and then made to. Run
	// returns only when they are gone; it then returns ctx's cause.
	Run(ctx context.Context, step plan.Step, out io.Writer) (Result, error)

	// Files are those of the workspace, between two steps. They are read and written as a step would, except that no link leads out.
	Files

	// End ends everything of the build that still runs, also after an error. No step can be run any more. It may be called again.
	End(ctx context.Context) error

	// Close does the same, and removes everything that the build left on the executor. It may be called again.
	Close(ctx context.Context) error
}

// Result is how a step ended.
type Result struct {
	ExitCode int    // of the step's shell; 128 and the signal's number when a signal ended it
	Reason   string // in words that a user may see, when the exit code alone does not tell; empty otherwise
}

// Succeeded reports whether the step did what it should.
func (r Result) Succeeded() bool { return r.ExitCode == 0 }

// ErrLost is the error of a step whose executor went away while it ran.
var ErrLost = errors.New("the executor was lost")

// Grace is how long the processes of a step have to end by themselves when the step is stopped. Ten seconds after the stop nothing of them is left.
const Grace = 9 * time.Second

// PrivateName is the name of a step's private file, by its place among them, in the directory of the build.
func PrivateName(i int) string { return "private" + strconv.Itoa(i) }
