package build

import (
	"context"
	"time"

	"atelier/internal/fault"
)

// Rerun starts a build that repeats one which is over: the same configuration, parameters and commit, under a new number.
func (s *Service) Rerun(ctx context.Context, actor Actor, id JobID, number int) (Record, error) {
	if _, err := s.job(ctx, actor, id, Execute); err != nil {
		return Record{}, err
	}
	old, _, err := s.Store.Record(ctx, id, number)
	if err != nil {
		return Record{}, hideMissing(err, noSuchBuild(id, number))
	}
	if !old.State.Final() {
		return Record{}, fault.Field("build_no", "build %d is not over; it can be repeated when it is", number)
	}
	now := s.now()
	day := Day(now, s.Zone)
	record, err := s.Store.StartBuild(ctx, id, day, func(job *Job, dailyCount int) (Record, error) {
		if err := checkEnabled(*job); err != nil {
			return Record{}, err
		}
		return old.again(actor, job.LastNumber, DailyNumber(day, dailyCount), now), nil
	})
	if err != nil {
		return Record{}, hideMissing(err, noSuchJob(id))
	}
	s.Engine.Wake()
	return record, nil
}

// again returns the record of a build that repeats r.
func (r Record) again(actor Actor, number int, daily string, now time.Time) Record {
	source := SourceInfo{Branch: r.Branch, Commit: r.Commit}
	next := r.fresh(source, now)
	next.ID, next.Number, next.DailyNumber = RecordID(newUUID()), number, daily
	next.UserID, next.UserName, next.Unattended, next.Trigger, next.Rerun = actor.UserID, actor.UserName, false, Manual, true
	next.Flow = false      // it finds out
	next.OwnBranch = false // the branch may have moved on, and the first run may have been told its commit
	next.Warnings = r.Warnings
	return next
}
