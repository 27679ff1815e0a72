package container

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

//go:embed start.sh
var startScript string

// stopScript asks all processes of a container to end; to the first one this is only a word.
const stopScript = `kill -TERM 1; kill -TERM -1`

// outOfMemory is the file in the build's directory by which a container says that it ran out of memory. The step can make it too.
const outOfMemory = "tmp/.out-of-memory"

// step is a step's container.
type step struct {
	*session
	id string
}

// create makes a container that is ready to start, and sees a script with its private files, and the given caches.
func (s *session) create(ctx context.Context, image, script string, private []plan.PrivateFile, caches []executor.Cache) (*step, error) {
	mounts := []mount.Mount{{Type: mount.TypeBind, Source: script, Target: script, ReadOnly: true}}
	for _, dir := range []string{s.executor.Workspace(s.record), s.path("home"), s.path("tmp")} {
		mounts = append(mounts, mount.Mount{Type: mount.TypeBind, Source: dir, Target: dir})
	}
	env := s.env
	for i, file := range private {
		name := s.path(executor.PrivateName(i))
		mounts = append(mounts, mount.Mount{Type: mount.TypeBind, Source: name, Target: name, ReadOnly: true})
		env = append(slices.Clone(env), file.Variable+"="+name)
	}
	for _, c := range caches {
		mounts = append(mounts, mount.Mount{Type: mount.TypeBind, Source: c.Dir, Target: c.Inside()})
		env = c.Environ(env, c.Inside())
	}
	if err := s.executor.host.Discard(ctx, s.record, outOfMemory); err != nil { // of an earlier step
		return nil, fmt.Errorf("remove what an earlier step has left: %w", err)
	}
	processes := int64(maxProcesses)
	ulimits, err := limits()
	if err != nil {
		return nil, err
	}
	made, err := s.executor.engine.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: &container.Config{
			Image: image, Entrypoint: []string{"sh", "-c", startScript, script, s.path(outOfMemory)}, Cmd: []string{}, Env: env,
			WorkingDir: s.executor.Workspace(s.record), User: user(),
			Labels: map[string]string{labelDir: s.executor.dir(), labelRecord: s.record},
		},
		HostConfig: &container.HostConfig{
			Mounts: mounts, NetworkMode: container.NetworkMode(s.executor.config.Network),
			CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"},
			LogConfig: container.LogConfig{Type: "none"}, // the build has a log
			Resources: container.Resources{
				NanoCPUs: int64(s.class.cpus) * 1e9, Memory: s.class.memory, MemorySwap: s.class.memory, // in other words, no swap
				PidsLimit: &processes, Ulimits: ulimits,
			},
		},
	})
	if err != nil {
		return nil, notDone("make the step's container", err)
	}
	return &step{session: s, id: made.ID}, nil
}

// run starts the container and returns when no process of it is left. That out cannot be written to ends it.
func (c *step) run(ctx context.Context, out io.Writer) (executor.Result, error) {
	if ctx.Err() != nil {
		return executor.Result{}, context.Cause(ctx)
	}
	attached, err := c.start(ctx)
	if err != nil {
		return executor.Result{}, err
	}
	defer attached.Close()
	sink := &sink{out: out, failed: func() { c.kill(context.WithoutCancel(ctx)) }}
	// The first process keeps the output open, whatever the script does to it, so that it ends with the container.
	over := make(chan struct{})
	var stopping sync.WaitGroup
	stopping.Go(func() { c.stopWith(ctx, over, attached.Close) })
	_, readErr := stdcopy.StdCopy(sink, sink, attached.Reader)
	close(over)
	stopping.Wait()
	state, err := c.end(context.WithoutCancel(ctx))
	switch {
	case readErr != nil || err != nil:
		return executor.Result{}, lost(errors.Join(readErr, err))
	case ctx.Err() != nil:
		return executor.Result{}, context.Cause(ctx)
	case sink.err != nil:
		return executor.Result{}, fmt.Errorf("pass on the output: %w", sink.err)
	}
	return c.result(state), nil
}

// start starts the container and returns its output.
func (c *step) start(ctx context.Context) (*client.HijackedResponse, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	engine := c.executor.engine
	attached, attachErr := engine.ContainerAttach(ctx, c.id, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	// Some engines make the container ready when it is attached to, but tell only here why they could not.
	_, startErr := engine.ContainerStart(ctx, c.id, client.ContainerStartOptions{})
	if err := errors.Join(attachErr, startErr); err != nil {
		if attachErr == nil {
			attached.Close()
		}
		if strings.Contains(err.Error(), "executable file not found") {
			return nil, unusable("the image has no program sh, with which steps are run")
		}
		return nil, notDone("start the step's container", err)
	}
	return &attached.HijackedResponse, nil
}

// notDone is the error of something that the engine did not do. What it answered may be told; without an answer it is lost.
func notDone(what string, err error) error {
	for _, answered := range []func(error) bool{errdefs.IsInternal, errdefs.IsInvalidArgument, errdefs.IsNotFound, errdefs.IsConflict, errdefs.IsPermissionDenied} {
		if answered(err) {
			return fault.Wrap(err, fault.Unavailable, "The container engine could not %s: %s", what, short(err.Error()))
		}
	}
	return lost(fmt.Errorf("%s: %w", what, err))
}

// stopWith ends the container when ctx ends. It returns when the container is over; one that cannot be ended is abandoned.
func (c *step) stopWith(ctx context.Context, over <-chan struct{}, abandon func()) {
	select {
	case <-over:
		return
	case <-ctx.Done():
	}
	grace := time.NewTimer(c.executor.config.Grace)
	defer grace.Stop()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.executor.config.Grace)
	defer cancel()
	c.terminate(last)
	select {
	case <-over:
		return
	case <-grace.C:
	case <-c.executor.config.Hurry:
	}
	c.kill(context.WithoutCancel(ctx))
	giveUp := time.AfterFunc(patience, abandon)
	defer giveUp.Stop()
	<-over
}

// kill ends all processes of the container. Whether that works shows in the output, which ends.
func (c *step) kill(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = c.executor.kill(ctx, c.id)
}

// terminate asks the processes of the container to end. Where that fails, as with a step that has all the processes it may
// have, they are killed later.
func (c *step) terminate(ctx context.Context) {
	engine := c.executor.engine
	made, err := engine.ExecCreate(ctx, c.id, client.ExecCreateOptions{User: user(), Cmd: []string{"sh", "-c", stopScript}})
	if err == nil {
		_, _ = engine.ExecStart(ctx, made.ID, client.ExecStartOptions{Detach: true})
	}
}

// end waits for a container whose output has ended, and returns how it ended.
func (c *step) end(ctx context.Context) (*container.State, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	waiting := c.executor.engine.ContainerWait(ctx, c.id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case err := <-waiting.Error:
		return nil, fmt.Errorf("wait for the container: %w", err)
	case <-waiting.Result:
	}
	ended, err := c.executor.engine.ContainerInspect(ctx, c.id, client.ContainerInspectOptions{})
	if err != nil {
		return nil, fmt.Errorf("ask how the container ended: %w", err)
	}
	if ended.Container.State == nil {
		return nil, errors.New("the engine does not say how the container ended")
	}
	return ended.Container.State, nil
}

// result puts the end of the container into the words of shells. An exit code above 128 comes from a signal; that a program
// chose such a number itself cannot be told apart.
func (c *step) result(state *container.State) executor.Result {
	result := executor.Result{ExitCode: state.ExitCode}
	_, err := os.Lstat(c.path(outOfMemory))
	signal := syscall.Signal(state.ExitCode - 128)
	switch {
	case state.ExitCode != 0 && (state.OOMKilled || err == nil):
		result.Reason = fmt.Sprintf("it needed more memory than its class %s allows", c.class)
	case signal > 0 && signal < 32:
		result.Reason = "ended by the signal: " + signal.String()
	}
	return result
}

// sink passes on what is printed until that fails. Then it says so, once, and throws the rest away.
type sink struct {
	out    io.Writer
	failed func()
	err    error
}

func (s *sink) Write(p []byte) (int, error) {
	if s.err == nil {
		if _, s.err = s.out.Write(p); s.err != nil {
			s.failed()
		}
	}
	return len(p), nil
}
