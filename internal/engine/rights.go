package engine

import (
	"context"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// Rights says what people may do at the moment. Build services have the same for those who call them.
type Rights interface {
	// Check returns nil when the actor holds the right on the job, or without its id on the jobs that follow the project. An actor
	// who does not, or is gone, is a fault.Forbidden or fault.NotFound error.
	Check(ctx context.Context, actor build.Actor, ref build.JobRef, right build.Right) error
}

// person is somebody whose rights bound those of a build.
type person struct {
	build.Actor
	part string // in the build, for sentences
}

// persons are who started the build, and who last saved the version of the task that it runs. A build may use what all of them may
// use when it does: the first chose when it runs and with which values, the second what it does. A build that nobody started in
// person is in the name of the second.
func (r *run) persons() []person {
	starter, editor := person{r.record.Starter(), "who started the build"}, person{r.editor, "who last saved the task"}
	switch {
	case starter.UserID != editor.UserID:
		return []person{starter, editor}
	case r.record.Unattended:
		return []person{editor}
	default:
		return []person{{starter.Actor, "who started the build and last saved the task"}}
	}
}

// saveAgain is what helps when the right of who last saved the task is missing.
const saveAgain = "Somebody who has that right can look through the task and save it again, for builds that are started then."

// holds reports whether somebody holds a right now.
func (r *run) holds(by build.Actor, ref build.JobRef, right build.Right) (bool, error) {
	if r.Rights == nil {
		return true, nil
	}
	err := r.retry(r.ctx, func(ctx context.Context) error { return r.Rights.Check(ctx, by, ref, right) })
	if fault.Is(err, fault.Forbidden) || fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// checkStarter reports an error when who started the build may not run the task any more.
func (r *run) checkStarter() error {
	starter := r.record.Starter()
	may, err := r.holds(starter, r.job, build.Execute)
	switch {
	case err != nil || may:
		return err
	case r.record.Unattended:
		return fault.New(fault.Forbidden, "Nobody started the build in person, and %s, who last saved the task, may not run it now. %s", starter.UserName, saveAgain)
	default:
		return fault.New(fault.Forbidden, "%s, who started the build, may not run the task any more.", starter.UserName)
	}
}

// checkEndpoints reports an error when the build may use no service endpoint: what a project opens is for tasks that somebody answers
// for who may edit them.
func (r *run) checkEndpoints() error {
	may, err := r.holds(r.editor, r.job, build.Modify)
	if err != nil || may {
		return err
	}
	return fault.New(fault.Forbidden, "The build gets no service endpoint: %s, who last saved the task, may not edit it now. %s", r.editor.UserName, saveAgain)
}

// checkArtifacts reports an error when the build may not read the project's release repository.
func (r *run) checkArtifacts() error {
	for _, p := range r.persons() {
		may, err := r.holds(p.Actor, build.JobRef{ProjectID: r.record.ProjectID}, build.View)
		if err != nil {
			return err
		}
		if !may {
			return fault.New(fault.Forbidden, "the release repository may not be read by %s, %s", p.UserName, p.part)
		}
	}
	return nil
}

// file returns the content of a file of the tenant's file management that the build may use.
func (r *run) file(name string) (content []byte, err error) {
	for _, p := range r.persons() {
		err = r.retry(r.ctx, func(ctx context.Context) (err error) {
			_, content, err = r.Files.ContentNamed(ctx, p.Actor, name)
			return err
		})
		if fault.Is(err, fault.Forbidden) {
			err = fault.Wrap(err, fault.Forbidden, "the file %q may not be used by %s, %s. Who may assign permissions on it can allow that", name, p.UserName, p.part)
		}
		if err != nil {
			return nil, err
		}
	}
	return content, nil
}
