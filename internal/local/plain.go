package local

import (
	"io"

	"atelier/internal/build"
)

// Step is a step of a build, or of a job of a flow.
type Step struct {
	build.Step
	Job string // of the flow; empty when the build stands alone
}

// title names the step for people.
func (s Step) title() string {
	if s.Job == "" {
		return s.Name
	}
	return s.Job + ": " + s.Name
}

// Display shows a build as it goes on. Its methods are called one at a time.
type Display interface {
	// Write shows a piece of the log, without time stamps.
	io.Writer
	// Begin says that a step runs from now on. What is written until its end belongs to it.
	Begin(step Step)
	// End says how a step ended. Output writes its whole part of the log, without time stamps.
	End(step Step, output func(io.Writer) error) error
	// Finish says how the build ended. Nothing comes after it.
	Finish(result Result)
}

// Plain shows the log as it comes, for files and other programs.
type Plain struct{ io.Writer }

// Begin implements [Display]; the log says it.
func (Plain) Begin(Step) {}

// End implements [Display]; the log says it.
func (Plain) End(Step, func(io.Writer) error) error { return nil }

// Finish implements [Display]; the log says it.
func (Plain) Finish(Result) {}
