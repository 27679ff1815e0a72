package build

import (
	"context"
	"slices"
	"strconv"

	"atelier/internal/fault"
)

// CopyJob creates a job with what edit makes of the configuration of another one. A private value that is masked stays the
// original's if the actor may edit that, and is empty otherwise: who edits a task decides what its builds do with its secrets, and the actor
// may edit the copy. What roles may do with it is what they may do with the original. Whoever copies is the creator of the copy.
func (s *Service) CopyJob(ctx context.Context, actor Actor, id JobID, project ProjectID, edit func(Config) Config) (Job, error) {
	original, err := s.job(ctx, actor, id, Copy)
	if err != nil {
		return Job{}, err
	}
	if project != original.ProjectID { // where other people could read what the original keeps private
		return Job{}, fault.Field("project_id", "a copy is made in the project of its original, %s", original.ProjectID)
	}
	switch err := s.Check(ctx, actor, original.Ref(), Modify); {
	case fault.Is(err, fault.Forbidden):
		original.Config = withoutSecrets(original.Config)
	case err != nil:
		return Job{}, err
	}
	return s.createJob(ctx, actor, project, edit(original.Config), original)
}

// withoutSecrets returns a configuration whose private values are empty.
func withoutSecrets(c Config) Config {
	c.Parameters = slices.Clone(c.Parameters)
	for i, p := range c.Parameters {
		c.Parameters[i].Properties = slices.Clone(p.Properties)
		for j, q := range p.Properties {
			if q.Sealed {
				c.Parameters[i].Properties[j].Value, c.Parameters[i].Properties[j].Sealed = "", false
			}
		}
	}
	return c
}

// CopyName proposes a name for a copy of a job that is free at the moment.
func (s *Service) CopyName(ctx context.Context, actor Actor, id JobID) (string, error) {
	job, err := s.job(ctx, actor, id, View)
	if err != nil {
		return "", err
	}
	base := []rune(job.Config.Name)
	for n := 1; ; n++ {
		ending := "-copy-" + strconv.Itoa(n)
		name := string(base[:min(len(base), MaxJobName-len(ending))]) + ending
		taken, err := s.Store.NameTaken(ctx, job.ProjectID, name)
		if err != nil || !taken {
			return name, err
		}
	}
}

// SetFavourite marks a job as a favourite of the actor, or takes the mark away.
func (s *Service) SetFavourite(ctx context.Context, actor Actor, id JobID, marked bool) error {
	if _, err := s.job(ctx, actor, id, View); err != nil {
		return err
	}
	return s.Store.SetFavourite(ctx, actor.UserID, id, marked)
}
