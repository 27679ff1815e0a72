// Package local runs a build file in a directory of the user's, without a server. Planning, running, stopping and logging are the
// server's own: a real engine with a real store, whose state (state.go) lies in a temporary directory and is gone with the build.
//
// What differs is where the code comes from. The directory itself is the workspace, with whatever is not committed yet: sources.go
// reads the build file from it, executor.go leaves out the checkouts for which it stands, and repository.go finds out what git
// knows of it. watch.go passes on what the engine reports to a [Display]; plain.go and terminal.go are the two there are.
package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/user"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"atelier/internal/build"
	"atelier/internal/engine"
	"atelier/internal/executor/container"
	"atelier/internal/plan"
	"atelier/internal/source"
	"atelier/internal/trigger"
)

// Config says what to run.
type Config struct {
	Dir        string            // the workspace, absolute
	File       string            // the build file, absolute or seen from Dir; empty for the usual one
	Params     []build.NameValue // as a start request gives them
	Private    []build.NameValue // the same, of private parameters
	Containers *container.Config // says in which containers steps run; nil for none
	Display    Display
	Hurry      <-chan struct{} // closed when the processes of a build that ctx has ended have no more time to end by themselves
	Log        *slog.Logger    // of what the user should not have to see
}

// Result is how a build ended.
type Result struct {
	State    build.State // Unschedulable when it could not begin, mostly because of its file, which no display says
	Error    string      // why it did not succeed
	ExitCode int         // of the step that failed; 0 when none did
	BadJob   bool        // a job of the flow could not begin
}

// Run runs a build to its end, and finishes the display. When ctx ends, so do all processes of the build, and its state is Aborted.
func Run(ctx context.Context, c Config) (result Result, err error) {
	defer func() { c.Display.Finish(result) }()
	state, err := openState(ctx)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, state.remove()) }()
	repository := findRepository(ctx, c.Dir)
	place, err := newPlace(ctx, c, state, repository)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, place.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := newWatch(state.db, state.logs, c.Display, cancel)
	e := engine.New(engine.Parts{
		Owner: "exec", Queue: watch, Executor: place, Sources: sources{c.Dir, repository},
		Artifacts: state.artifacts, Images: images{state.path("images")}, Sealer: state.sealer, Logs: state.logs, Log: c.Log,
		Slots: 1,    // the jobs of a flow share the directory
		Sole:  true, // nobody else is there to take the build
	})
	service := build.NewService(build.Parts{
		Store: state.db, Access: everything{}, Sources: source.Policy{}, Steps: plan.Steps{}, Triggers: trigger.Schedules{Zone: time.UTC}, Sealer: state.sealer, Engine: e,
	})
	record, err := start(ctx, state, service, c, repository)
	if err != nil {
		return Result{}, err
	}
	watch.root = record.ID
	return follow(ctx, e, watch)
}

// start puts a task into the database and queues its first build.
func start(ctx context.Context, state *state, service *build.Service, c Config, repository repository) (build.Record, error) {
	name := "local"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	actor := build.Actor{UserID: build.NewHexID(), UserName: name, DomainID: build.NewHexID()}
	job := build.Job{
		ID: build.JobID(build.NewHexID()), BuildProjectID: build.BuildProjectID(uuid.NewString()),
		ProjectID: build.ProjectID(build.NewHexID()), DomainID: actor.DomainID,
		CreatorID: actor.UserID, CreatorName: name, EditorID: actor.UserID, EditorName: name, CreatedAt: time.Now(), UpdatedAt: time.Now(),
		Config: build.Config{
			Name: filepath.Base(c.Dir), Kind: build.YAML, Sources: []build.Source{{URL: ownURL, Branch: repository.branch}},
		},
	}
	if repository.branch != "" { // which most tasks define, to choose it at the start
		job.Config.Parameters = []build.Parameter{{Definition: build.StringDefinition, Properties: []build.Property{
			{Name: "name", Value: build.BranchParameter}, {Name: "defaultValue", Value: repository.branch},
		}}}
	}
	for _, p := range c.Private {
		parameter, err := private(p, state.sealer)
		if err != nil {
			return build.Record{}, err
		}
		job.Config.Parameters = append(job.Config.Parameters, parameter)
	}
	params := c.Params
	if c.File != "" {
		params = append([]build.NameValue{{Name: engine.BuildFileParameter, Value: c.File}}, params...)
	}
	if err := state.db.CreateJob(ctx, job); err != nil {
		return build.Record{}, fmt.Errorf("make the task: %w", err)
	}
	return service.Start(ctx, actor, build.StartRequest{JobID: job.ID, Parameters: params})
}

// private returns a private parameter of the task's.
func private(p build.NameValue, sealer build.Sealer) (build.Parameter, error) {
	sealed, err := sealer.Seal(p.Value)
	return build.Parameter{Definition: build.StringDefinition, Properties: []build.Property{
		{Name: "name", Value: p.Name}, {Name: "sensitiveVar", Value: "true"}, {Name: "defaultValue", Value: sealed, Sealed: true},
	}}, err
}

// follow lets the engine run the build that waits, and returns when nothing of it is left.
func follow(ctx context.Context, e *engine.Engine, watch *watch) (Result, error) {
	if err := e.Start(ctx); err != nil {
		return Result{}, fmt.Errorf("start the engine: %w", err)
	}
	ended := context.WithoutCancel(ctx)
	select {
	case <-watch.ended:
	case <-ctx.Done():
		e.StopBuild(watch.root)
		ended = ctx
	}
	e.Stop(ended)
	watch.stop()
	result, err := watch.outcome()
	if result.State == "" { // before anything of it had begun
		result = Result{State: build.Aborted, Error: build.StoppedMessage}
	}
	return result, err
}

// everything is allowed to the user.
type everything struct{}

// Check implements [build.Access].
func (everything) Viewing(context.Context, build.Actor, []build.ProjectID) (build.Viewing, error) {
	return build.Viewing{}, nil
}

func (everything) Check(context.Context, build.Actor, build.JobRef, build.Right) error { return nil }
