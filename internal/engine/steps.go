package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"atelier/internal/build"
	"atelier/internal/executor"
	"atelier/internal/plan"
)

// initialStage is the name of the preparation's part of the log.
const initialStage = "initial"

// makeSteps notes the steps of the plan, which have not begun, behind the preparation, which is over.
func (r *run) makeSteps() {
	now := r.moment()
	r.steps = []build.Step{{
		RecordID: r.record.ID, ID: uuid.NewString(), Stage: initialStage, Name: "Preparation", State: build.StepSucceeded,
		StartedAt: r.record.StartedAt, FinishedAt: now, LogEnd: r.log.Size(),
	}}
	for i, step := range r.what.plan.Steps {
		r.steps = append(r.steps, build.Step{
			RecordID: r.record.ID, Sequence: i + 1, ID: uuid.NewString(), Stage: "stage" + strconv.Itoa(i+1),
			Name: r.masker.String(step.Name), Keyword: step.Keyword, State: build.StepWaiting,
		})
	}
	r.unreported = r.steps
}

// runSteps begins the build and runs its steps in order. The error is what ended it early, other than a step that failed.
func (r *run) runSteps(ctx context.Context, session executor.Session) (build.End, error) {
	r.makeSteps()
	progress := build.Progress{Source: &r.what.info, Begin: &build.Begin{At: r.moment()}}
	for i, step := range r.what.plan.Steps {
		s := &r.steps[i+1]
		s.State, s.StartedAt, s.LogStart, s.LogEnd = build.StepRunning, r.moment(), r.log.Size(), -1
		r.changed(*s)
		progress.Steps = r.takeSteps()
		if err := r.report(ctx, progress); err != nil {
			return build.End{}, err
		}
		progress = build.Progress{}
		result, err := r.runStep(ctx, session, step, s)
		r.changed(*s)
		if err != nil {
			return build.End{}, err
		}
		if !result.Succeeded() && !step.IgnoreFail {
			return build.End{State: build.Failed, Error: failureOf(s.Name, result)}, nil
		}
	}
	if progress.Begin != nil { // there are no steps
		progress.Steps = r.takeSteps()
		if err := r.report(ctx, progress); err != nil {
			return build.End{}, err
		}
	}
	return build.End{State: build.Succeeded}, nil
}

// runStep runs one step and notes in s how it ended.
func (r *run) runStep(ctx context.Context, session executor.Session, step plan.Step, s *build.Step) (executor.Result, error) {
	r.note(r.log.Info, "[%s] : The step begins.", s.Name)
	out := r.log.Output(r.masker)
	result, err := session.Run(ctx, step, out)
	err = errors.Join(err, out.Close())
	s.FinishedAt = r.moment()
	took := s.FinishedAt.Sub(s.StartedAt)
	switch {
	case err != nil:
		s.State = build.StepFailed
		if context.Cause(ctx) != nil {
			s.State = build.StepAborted
		}
		r.note(r.log.Warn, "[%s] : The step was ended after %s.", s.Name, took)
	case result.Succeeded():
		s.State = build.StepSucceeded
		r.note(r.log.Info, "[%s] : The step succeeded after %s.", s.Name, took)
	default:
		s.State, s.ExitCode, s.Ignored = build.StepFailed, result.ExitCode, step.IgnoreFail
		line := r.log.Error
		suffix := ""
		if step.IgnoreFail {
			line, suffix = r.log.Warn, " The build goes on, as the step says."
		}
		r.note(line, "[%s] : %s%s", s.Name, failureOf(s.Name, result), suffix)
	}
	s.LogEnd = r.log.Size()
	return result, err
}

// failureOf says in words how a step failed.
func failureOf(name string, result executor.Result) string {
	if result.Reason != "" {
		return fmt.Sprintf("Step %q failed: %s", name, result.Reason)
	}
	return fmt.Sprintf("Step %q failed with exit code %d.", name, result.ExitCode)
}

// changed notes that a step is to be reported.
func (r *run) changed(s build.Step) { r.unreported = append(r.unreported, s) }

// takeSteps returns the steps to report. Of a step that changed twice the later state comes later.
func (r *run) takeSteps() []build.Step {
	steps := r.unreported
	r.unreported = nil
	return steps
}
