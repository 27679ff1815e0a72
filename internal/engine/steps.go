package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"atelier/internal/build"
	"atelier/internal/crash"
	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

// initialStage is the name of the preparation's part of the log.
const initialStage = "initial"

// makeSteps notes the steps of the plan, which have not begun, behind the preparation, which is over.
func (r *run) makeSteps() {
	r.steps = []build.Step{r.preparation()}
	for i, step := range r.what.plan.Steps {
		r.steps = append(r.steps, build.Step{
			RecordID: r.record.ID, Sequence: i + 1, ID: uuid.NewString(), Stage: "stage" + strconv.Itoa(i+1),
			Name: r.mask(step.Name), Keyword: step.Keyword, State: build.StepWaiting,
		})
	}
	r.news = slices.Clone(r.steps)
}

// preparation is the step that is over when the others begin.
func (r *run) preparation() build.Step {
	return build.Step{
		RecordID: r.record.ID, ID: uuid.NewString(), Stage: initialStage, Name: "Preparation", State: build.StepSucceeded,
		StartedAt: r.record.StartedAt, FinishedAt: moment(r.Now()), LogEnd: r.log.Size(),
	}
}

// imagesOf returns the images that steps ask for.
func imagesOf(steps []plan.Step) (images []string) {
	for _, step := range steps {
		if step.Image != "" {
			images = append(images, step.Image)
		}
	}
	return images
}

// runSteps begins the build and runs its steps in order.
func (r *run) runSteps(session executor.Session) error {
	r.makeSteps()
	if len(r.what.plan.Steps) == 0 {
		return r.advance()
	}
	for i, step := range r.what.plan.Steps {
		s := &r.steps[i+1]
		s.State, s.StartedAt, s.LogStart, s.LogEnd = build.StepRunning, moment(r.Now()), r.log.Size(), -1
		r.news = append(r.news, *s)
		if err := r.advance(); err != nil {
			return err
		}
		crash.At(crash.StepStored)
		result, err := r.runStep(session, step, s)
		crash.At(crash.StepEnded)
		r.news = append(r.news, *s)
		if err != nil {
			return err
		}
		if !result.Succeeded() && !step.IgnoreFail {
			return &stepFailed{failureOf(s.Name, result)}
		}
	}
	return nil
}

// about is what the build's script says of the build.
func (r *run) about() plan.About {
	a := plan.About{
		JobID: string(r.record.JobID), JobName: r.record.JobName, ProjectID: string(r.record.ProjectID), Kind: string(r.record.ConfigKind),
		Class: cmp.Or(r.what.plan.Resource.Class, r.what.config.Class()), TimeoutMinutes: int(r.what.timeout.Minutes()),
	}
	for _, s := range r.steps[1:] {
		a.Stages = append(a.Stages, plan.Stage{Name: s.Stage, ID: s.ID})
	}
	return a
}

// advance stores how far the build has come; the first time, that it has begun. Its time runs from then on. The error is the
// reason when the build must end.
func (r *run) advance() error {
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	if r.began {
		return r.report(r.ctx, build.Progress{})
	}
	script, err := r.what.plan.Script(r.about(), r.mask)
	if err != nil {
		return err
	}
	if err := r.report(r.ctx, build.Progress{Source: r.sourceNews(), Begin: &build.Begin{At: moment(r.Now()), Script: script}}); err != nil {
		return err
	}
	r.began = true
	r.limit = time.AfterFunc(r.what.timeout, func() { r.cancel(errTimeout) })
	return nil
}

// runStep runs one step and notes in s how it ended.
func (r *run) runStep(session executor.Session, step plan.Step, s *build.Step) (executor.Result, error) {
	r.note(r.log.Info, "[%s] : The step begins.", s.Name)
	out := r.log.Output(r.masker)
	result, err := r.do(session, step, out)
	err = errors.Join(err, out.Close())
	if err == nil && step.Script != nil && step.Script.Tests != nil {
		result, err = r.collectTests(session, *step.Script.Tests, s, result)
	}
	s.FinishedAt = moment(r.Now())
	took := s.FinishedAt.Sub(s.StartedAt)
	switch {
	case err != nil:
		s.State = build.StepFailed
		if r.ctx.Err() != nil {
			s.State = build.StepAborted
		}
		r.note(r.log.Warn, "[%s] : The step was ended after %s.", s.Name, took)
	case result.Succeeded():
		s.State = build.StepSucceeded
		r.note(r.log.Info, "[%s] : The step succeeded after %s.", s.Name, took)
	default:
		s.State, s.ExitCode, s.Ignored = build.StepFailed, result.ExitCode, step.IgnoreFail
		line, suffix := r.log.Error, ""
		if step.IgnoreFail {
			line, suffix = r.log.Warn, " The build goes on, as the step says."
		}
		r.note(line, "[%s] : %s%s", s.Name, failureOf(s.Name, result), suffix)
	}
	s.LogEnd = r.log.Size()
	return result, err
}

// do has the executor run a step, or does it here.
func (r *run) do(session executor.Session, step plan.Step, out io.Writer) (executor.Result, error) {
	var err error
	switch {
	case step.Unknown:
		err = fault.New(fault.Invalid, "its module %s is not known to this service; whoever runs it may know what it stands for, and set --module-aliases", step.Keyword)
	case step.Upload != nil:
		err = r.upload(session, *step.Upload, out)
	case step.Download != nil:
		err = r.download(session, *step.Download, out)
	case step.Fetch != nil:
		err = r.fetch(session, *step.Fetch, out)
	case step.Build != nil:
		err = r.buildImage(session, *step.Build, out)
	case step.Docker != nil:
		err = r.docker(session, *step.Docker, out)
	case step.Store != nil:
		err = r.uploadObjects(session, *step.Store, out)
	case step.Manifest != nil:
		return r.checkoutManifest(session, step, out)
	case step.Sign != nil:
		if step.Script, err = r.signing(session, *step.Sign); err == nil {
			return session.Run(r.ctx, step, out)
		}
	default:
		if step, err = r.withSettings(step); err != nil {
			return executor.Result{}, err
		}
		return session.Run(r.ctx, step, out)
	}
	why, public := fault.Public(err)
	switch {
	case err == nil:
		return executor.Result{}, nil
	case r.ctx.Err() != nil:
		return executor.Result{}, context.Cause(r.ctx)
	case !public:
		return executor.Result{}, err
	default:
		if fault.Is(err, fault.Unavailable) { // the operator's to see
			r.server.Error("a step failed", "error", r.mask(err.Error()))
		}
		return executor.Result{ExitCode: 1, Reason: why}, nil
	}
}

// failureOf says in words how a step failed.
func failureOf(name string, result executor.Result) string {
	if result.Reason != "" {
		return fmt.Sprintf("Step %q failed: %s.", name, strings.TrimSuffix(result.Reason, "."))
	}
	return fmt.Sprintf("Step %q failed with exit code %d.", name, result.ExitCode)
}
