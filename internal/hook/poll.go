package hook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// Poll is the provider of what the service has found out by itself.
const Poll Provider = "poll"

// PollStore keeps what branches had when somebody looked last. Every method is one transaction.
type PollStore interface {
	// PushedJobs returns the tasks that are built when code changes, and are not disabled.
	PushedJobs(ctx context.Context) ([]build.Job, error)
	// ClaimPoll says that somebody looks at a task's repository now, and nobody else before next; false when somebody else does. It returns
	// what was seen last, nothing at the first time.
	ClaimPoll(ctx context.Context, id build.JobID, now, next time.Time) (seen Seen, ok bool, err error)
	// SetPolled stores what was seen.
	SetPolled(ctx context.Context, id build.JobID, seen Seen) error
}

// Seen is what the branches of a repository had.
type Seen struct {
	URL   string            `json:"url"`
	Heads map[string]string `json:"heads"` // commits by the names of the branches
}

// Sources finds out what the branches of the repository of a project's task have, and which is the default one.
type Sources interface {
	Branches(ctx context.Context, project build.ProjectID, src build.Source) (heads map[string]string, standard string, err error)
}

// Poller looks at the repositories of tasks now and then, for hosts that tell nobody of changes. Several may run on one database.
type Poller struct {
	Store    PollStore
	Hooks    *Service
	Sources  Sources
	Interval time.Duration
}

const (
	pollsAtOnce  = 8
	pollPatience = 30 * time.Second // for one repository
	// pollPause is how many intervals a repository that cannot be read is left alone, so that many of them do not hold up the others.
	pollPause = 10
)

// Run looks every interval, until ctx ends.
func (p *Poller) Run(ctx context.Context) {
	tick := time.NewTicker(p.Interval)
	defer tick.Stop()
	for {
		p.Look(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Look looks at every task's repository once.
func (p *Poller) Look(ctx context.Context) {
	jobs, err := p.Store.PushedJobs(ctx)
	if err != nil {
		if ctx.Err() == nil {
			p.Hooks.Log.Error("look for tasks whose code may have changed", "error", err)
		}
		return
	}
	var all sync.WaitGroup
	places := make(chan struct{}, pollsAtOnce)
	for _, job := range jobs {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			looking, cancel := context.WithTimeout(ctx, pollPatience)
			defer cancel()
			if err := p.look(looking, job); err != nil && ctx.Err() == nil {
				if text, public := fault.Public(err); public {
					p.Hooks.Log.Warn("see whether code has changed", "job", job.ID, "why", text)
				} else {
					p.Hooks.Log.Error("see whether code has changed", "job", job.ID, "error", err)
				}
			}
		})
	}
	all.Wait()
}

// look tells of new commits on branches that the task builds, as a host of repositories would. What it sees the first time is nothing new.
func (p *Poller) look(ctx context.Context, job build.Job) error {
	src, ok := job.Config.Source()
	if !ok {
		return nil
	}
	now := p.Hooks.now()
	next := now.Add(p.Interval * 9 / 10) // a little less than the interval, or the claim of the last time would be in the way
	seen, ok, err := p.Store.ClaimPoll(ctx, job.ID, now, next)
	if err != nil || !ok {
		return err
	}
	heads, standard, err := p.Sources.Branches(ctx, job.ProjectID, src)
	if err != nil {
		_, _, postponed := p.Store.ClaimPoll(context.WithoutCancel(ctx), job.ID, next, now.Add(pollPause*p.Interval))
		return errors.Join(err, postponed)
	}
	if seen.URL == src.URL && maps.Equal(seen.Heads, heads) {
		return nil
	}
	for _, branch := range slices.Sorted(maps.Keys(heads)) {
		after := heads[branch]
		if seen.URL != src.URL || seen.Heads[branch] == after || !takes(job.Config, src, branch, standard) {
			continue
		}
		_, err := p.Hooks.add(ctx, Delivery{
			ProjectID: job.ProjectID, JobID: job.ID, Provider: Poll, Event: "push", Key: fmt.Sprintf("%s-%s-%s-%s", Poll, job.ID, branch, after),
			Push: Push{Ref: "refs/heads/" + branch, Before: seen.Heads[branch], After: after, URLs: []string{src.URL}, DefaultBranch: standard},
		})
		if err != nil {
			return err
		}
	}
	return p.Store.SetPolled(ctx, job.ID, Seen{URL: src.URL, Heads: heads}) // last: a change that was not told is seen again
}
