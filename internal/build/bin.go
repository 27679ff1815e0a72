package build

import (
	"context"
	"slices"
	"time"

	"atelier/internal/fault"
)

// How many days a deleted job is kept: until the tenant says otherwise, and at most.
const (
	DefaultKeepDays = 7
	MaxKeepDays     = 30
)

// DeletedJob is a job in the recycle bin. Its builds are there as before and cannot be seen.
type DeletedJob struct {
	Job
	DeletedAt time.Time
}

// BinQuery selects the deleted jobs of a list.
type BinQuery struct {
	Viewing Viewing // nobody lists what they may not see
	Search  string  // part of a name, case ignored
	Offset  int     // of the first row
	Limit   int
}

// DeletedJobs returns a page of the deleted jobs that the actor may view, newest first, and the number of all that match.
func (s *Service) DeletedJobs(ctx context.Context, actor Actor, q BinQuery) (jobs []DeletedJob, total int, err error) {
	if q.Viewing, err = s.Access.Viewing(ctx, actor, nil); err != nil {
		return nil, 0, err
	}
	return s.Store.DeletedJobs(ctx, q)
}

// RestoreJobs takes jobs out of the recycle bin, all or none. Their builds and numbers are as they were, and their timers go on.
func (s *Service) RestoreJobs(ctx context.Context, actor Actor, ids []JobID) error {
	ids, err := s.checkDeleted(ctx, actor, ids)
	if err != nil {
		return err
	}
	if err := s.roomFor(ctx, actor.DomainID, len(ids)); err != nil {
		return err
	}
	return s.Store.RestoreJobs(ctx, ids)
}

// PurgeJobs removes jobs of the recycle bin for good, all or none, with their builds and logs. What they have put into a release
// repository stays there.
func (s *Service) PurgeJobs(ctx context.Context, actor Actor, ids []JobID) error {
	ids, err := s.checkDeleted(ctx, actor, ids)
	if err != nil {
		return err
	}
	if err := s.Store.DoomJobs(ctx, ids); err != nil {
		return err
	}
	s.Doomed()
	return nil
}

// checkDeleted returns the ids, each once, when all are of jobs in the recycle bin that the actor may delete.
func (s *Service) checkDeleted(ctx context.Context, actor Actor, ids []JobID) ([]JobID, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	for _, id := range ids {
		missing := fault.New(fault.NotFound, "task %s does not exist in the recycle bin", id)
		job, err := s.Store.DeletedJob(ctx, id)
		if err != nil {
			return nil, hideMissing(err, missing)
		}
		if err := s.Check(ctx, actor, job.Ref(), Delete); err != nil {
			return nil, hideMissing(err, missing)
		}
	}
	return ids, nil
}

// ClearBin removes all deleted jobs for good that the actor may view and delete.
func (s *Service) ClearBin(ctx context.Context, actor Actor) error {
	const page = 100
	defer s.Doomed()
	for kept := 0; ; {
		jobs, _, err := s.DeletedJobs(ctx, actor, BinQuery{Offset: kept, Limit: page})
		if err != nil {
			return err
		}
		var ids []JobID
		for _, job := range jobs {
			if s.Check(ctx, actor, job.Ref(), Delete) == nil {
				ids = append(ids, job.ID)
			}
		}
		if err := s.Store.DoomJobs(ctx, ids); fault.Is(err, fault.NotFound) {
			continue // one was restored just now; the next look does not find it
		} else if err != nil {
			return err
		}
		kept += len(jobs) - len(ids)
		if len(jobs) < page {
			return nil
		}
	}
}

// KeepDays returns how many days the actor's tenant keeps deleted jobs.
func (s *Service) KeepDays(ctx context.Context, actor Actor) (int, error) {
	return s.Store.KeepDays(ctx, actor.DomainID)
}

// SetKeepDays says how many days the actor's tenant keeps deleted jobs.
func (s *Service) SetKeepDays(ctx context.Context, actor Actor, days int) error {
	if days < 1 || days > MaxKeepDays {
		return fault.Field("keep_time", "must be a whole number from 1 to %d days, found %d", MaxKeepDays, days)
	}
	if !actor.Administrator {
		return fault.New(fault.Forbidden, "only an administrator of the tenant may say how long deleted tasks are kept")
	}
	return s.Store.SetKeepDays(ctx, actor.DomainID, days)
}
