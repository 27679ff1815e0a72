package engine

import (
	"context"
	"slices"
	"time"

	"atelier/internal/build"
	"atelier/internal/cache"
	"atelier/internal/executor"
	"atelier/internal/plan"
)

// Caches keeps what the tools of builds would otherwise download again.
type Caches interface {
	// Recover removes what an earlier life left behind. It is called once, when nothing of that life runs any more.
	Recover() error
	// Take makes a build's own layer of a cache. It must be closed.
	Take(ctx context.Context, k cache.Key) (*cache.Layer, error)
}

// takeCaches gives the build a layer of each cache that a step uses. A build runs without a cache that cannot be had, since that costs
// it only time.
func (r *run) takeCaches() {
	if r.Caches == nil {
		return
	}
	tools := toolsOf(r.what.plan.Steps)
	if len(tools) == 0 {
		return
	}
	protected := r.useProtectedCaches()
	for _, tool := range tools {
		began := r.Now()
		layer, err := r.Caches.Take(r.ctx, cache.Key{Tenant: r.record.DomainID, Project: string(r.record.ProjectID), Tool: tool, Protected: protected})
		if err != nil {
			r.cacheFailed(tool, "It cannot be restored; the build runs without it.", err)
			continue
		}
		r.layers = append(r.layers, layer)
		if layer.Bytes() == 0 {
			r.note(r.log.Info, "Cache %s: It is empty.", tool)
			continue
		}
		r.note(r.log.Info, "Cache %s: Restored %.1f MB in %s.", tool, megabytes(layer.Bytes()), r.since(began))
	}
}

// useProtectedCaches reports whether the build writes the caches of protected branches: it is of the branch that its task names, and both
// who started it and who last saved the task may edit the tasks of the project, whose builds will all read what it writes. The log says
// why not.
func (r *run) useProtectedCaches() bool {
	why := ""
	if !r.record.OwnBranch {
		why = "what is built was chosen when the build was started"
	}
	for _, p := range r.persons() {
		if why != "" {
			break
		}
		switch may, err := r.holds(p.Actor, build.JobRef{ProjectID: r.record.ProjectID}, build.Modify); {
		case err != nil:
			r.server.Error("see whether a build may write the caches of protected branches", "error", err)
			why = "the reason is in the server's log"
		case !may:
			why = p.UserName + ", " + p.part + ", may not edit the tasks of the project"
		}
	}
	if why != "" {
		r.note(r.log.Info, "Caches: The build does not write those of protected branches, and keeps its own apart: %s.", why)
	}
	return why == ""
}

// toolsOf returns the tools whose caches steps use.
func toolsOf(steps []plan.Step) (tools []string) {
	for _, step := range steps {
		tools = append(tools, step.Caches...)
	}
	slices.Sort(tools)
	return slices.Compact(tools)
}

// caches are the layers as the executor gets them.
func (r *run) caches() []executor.Cache {
	all := make([]executor.Cache, len(r.layers))
	for i, layer := range r.layers {
		all[i] = executor.Cache{Tool: layer.Tool(), Dir: layer.Dir()}
	}
	return all
}

// saveCaches keeps the layers of a build that has succeeded, for the builds that come. A step that failed, and was allowed to, may have
// left half of something behind: the caches that it used are not kept.
func (r *run) saveCaches() {
	var spoiled []string
	for i, step := range r.what.plan.Steps {
		if r.steps[i+1].Ignored {
			spoiled = append(spoiled, step.Caches...)
		}
	}
	for _, layer := range r.layers {
		if r.isFull() {
			r.note(r.log.Warn, "Cache %s: Not saved, because the server's disk is full.", layer.Tool())
			continue
		}
		if slices.Contains(spoiled, layer.Tool()) {
			r.note(r.log.Info, "Cache %s: Not saved, because a step that uses it failed.", layer.Tool())
			continue
		}
		began := r.Now()
		saved, err := layer.Save(r.ctx)
		switch {
		case err != nil:
			r.cacheFailed(layer.Tool(), "It is not saved.", err)
		case saved.TooLarge:
			r.note(r.log.Warn, "Cache %s: It is larger than all caches may be together, and begins anew.", layer.Tool())
		case saved.Unchanged:
			r.note(r.log.Info, "Cache %s: Unchanged.", layer.Tool())
		default:
			r.note(r.log.Info, "Cache %s: Saved %.1f MB in %s.", layer.Tool(), megabytes(saved.Bytes), r.since(began))
		}
	}
}

// closeCaches removes what is left of the layers. No process of the build may be running.
func (r *run) closeCaches() {
	for _, layer := range r.layers {
		if err := layer.Close(); err != nil {
			r.server.Error("remove a build's copy of a cache", "cache", layer.Tool(), "error", err)
		}
	}
}

func (r *run) cacheFailed(tool, what string, err error) {
	if r.ctx.Err() != nil {
		return // the build ends anyway
	}
	r.note(r.log.Warn, "Cache %s: %s The reason is in the server's log.", tool, what)
	r.server.Error("use a cache", "cache", tool, "error", err)
}

func (r *run) since(began time.Time) time.Duration {
	return r.Now().Sub(began).Round(10 * time.Millisecond)
}

func megabytes(bytes int64) float64 { return float64(bytes) / 1e6 }
