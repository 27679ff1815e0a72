package build

import (
	"context"
	"strconv"

	"atelier/internal/fault"
)

// CopyJob creates a job with what edit makes of the configuration of another one. A private value that is masked stays the
// original's, and what roles may do with it is what they may do with the original. Whoever copies is the creator of the copy.
func (s *Service) CopyJob(ctx context.Context, actor Actor, id JobID, project ProjectID, edit func(Config) Config) (Job, error) {
	original, err := s.job(ctx, actor, id, Copy)
	if err != nil {
		return Job{}, err
	}
	if project != original.ProjectID { // where other people could read what the original keeps private
		return Job{}, fault.Field("project_id", "a copy is made in the project of its original, %s", original.ProjectID)
	}
	return s.createJob(ctx, actor, project, edit(original.Config), original)
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
