package build

import (
	"context"
	"slices"

	"atelier/internal/fault"
	"atelier/internal/logs/mask"
)

// Mask stands for a private value wherever it would be shown.
const Mask = mask.Mask

// CreateJob creates a job in a project. The rights follow the project.
func (s *Service) CreateJob(ctx context.Context, actor Actor, project ProjectID, config Config) (Job, error) {
	return s.createJob(ctx, actor, project, config, Job{})
}

// createJob creates a job whose masked private values are those of another configuration.
func (s *Service) createJob(ctx context.Context, actor Actor, project ProjectID, config Config, original Job) (Job, error) {
	rules := s.rules
	rules.stored = original.Config.Steps
	if err := rules.validate(project, config); err != nil {
		return Job{}, err
	}
	if err := s.Check(ctx, actor, JobRef{ProjectID: project}, Create); err != nil {
		return Job{}, err
	}
	if err := s.roomFor(ctx, actor.DomainID, 1); err != nil {
		return Job{}, err
	}
	config, err := s.sealConfig(config, original.Config)
	if err != nil {
		return Job{}, err
	}
	now := s.now()
	job := Job{
		ID: JobID(NewHexID()), BuildProjectID: BuildProjectID(newUUID()), ProjectID: project, DomainID: actor.DomainID,
		Config: config, CreatorID: actor.UserID, CreatorName: actor.UserName, EditorID: actor.UserID, EditorName: actor.UserName,
		CreatedAt: now, UpdatedAt: now,
	}
	if original.ID != "" {
		return job, s.Store.CopyJob(ctx, job, original.ID)
	}
	return job, s.Store.CreateJob(ctx, job)
}

// roomFor returns an error when a tenant may not have n jobs more.
func (s *Service) roomFor(ctx context.Context, domainID string, n int) error {
	count, err := s.Store.CountJobs(ctx, domainID)
	if err != nil {
		return err
	}
	if count+n > s.MaxJobs {
		return fault.New(fault.Limit, "the tenant has %d tasks, no more than %d are allowed", count, s.MaxJobs)
	}
	return nil
}

// UpdateJob replaces the configuration of a job by what edit makes of the present one. The project, when it is given,
// must be the job's: a job does not move. The actor answers for all of it then, also for what was there before.
func (s *Service) UpdateJob(ctx context.Context, actor Actor, id JobID, project ProjectID, edit func(Config) Config) (Job, error) {
	if _, err := s.job(ctx, actor, id, Modify); err != nil {
		return Job{}, err
	}
	job, err := s.Store.ChangeJob(ctx, id, actor, s.now(), func(job *Job) error {
		if project != "" && project != job.ProjectID {
			return fault.Field("project_id", "a task cannot move to another project")
		}
		next := edit(job.Config)
		if err := s.rules.validate(job.ProjectID, next); err != nil {
			return err
		}
		sealed, err := s.sealConfig(next, job.Config)
		if err != nil {
			return err
		}
		job.Config, job.EditorID, job.EditorName = sealed, actor.UserID, actor.UserName
		return nil
	})
	return job, hideMissing(err, noSuchJob(id))
}

// sealConfig encrypts the private values of a configuration. A client that sends back the mask keeps the value of before.
func (s *Service) sealConfig(next, before Config) (Config, error) {
	next.Parameters = slices.Clone(next.Parameters)
	for i, p := range next.Parameters {
		if !p.Private() {
			continue
		}
		properties := slices.Clone(p.Properties)
		for j, q := range properties {
			if q.Name != "defaultValue" || q.Sealed || q.Value == "" {
				continue
			}
			if q.Value == Mask {
				old, ok := sealedDefault(before, p.Name())
				if !ok {
					return Config{}, fault.Field("parameters", "%s is %s, which stands for the value of before, but there is none", quote(p.Name()), Mask)
				}
				properties[j].Value, properties[j].Sealed = old, true
				continue
			}
			sealed, err := s.Sealer.Seal(q.Value)
			if err != nil {
				return Config{}, err
			}
			properties[j].Value, properties[j].Sealed = sealed, true
		}
		next.Parameters[i].Properties = properties
	}
	return next, nil
}

func sealedDefault(c Config, name string) (string, bool) {
	for _, p := range c.Parameters {
		if q := p.property("defaultValue"); p.Name() == name && q.Sealed {
			return q.Value, true
		}
	}
	return "", false
}

// SetDisabled switches a job off or on again. A disabled job starts no build; builds in progress go on.
func (s *Service) SetDisabled(ctx context.Context, actor Actor, id JobID, disabled bool, reason string) error {
	if n := len([]rune(reason)); n > MaxDisableReason {
		return fault.Field("reason", "has %d characters, at most %d are allowed", n, MaxDisableReason)
	}
	if _, err := s.job(ctx, actor, id, Disable); err != nil {
		return err
	}
	now := s.now()
	_, err := s.Store.ChangeJob(ctx, id, actor, now, func(job *Job) error {
		switch {
		case !disabled:
			job.Disabled = nil
		case job.Disabled == nil:
			job.Disabled = &Disabling{UserID: actor.UserID, UserName: actor.UserName, At: now, Reason: reason}
		}
		return nil
	})
	return hideMissing(err, noSuchJob(id))
}

// DeleteJob puts a job into the recycle bin: it is gone for clients, its name is free, its builds are stopped.
func (s *Service) DeleteJob(ctx context.Context, actor Actor, id JobID) (Job, error) {
	return s.DeleteJobs(ctx, actor, []JobID{id})
}

// DeleteJobs puts jobs into the recycle bin, all or none, and returns the last one.
func (s *Service) DeleteJobs(ctx context.Context, actor Actor, ids []JobID) (last Job, err error) {
	for _, id := range ids {
		if last, err = s.job(ctx, actor, id, Delete); err != nil {
			return Job{}, err
		}
	}
	running, err := s.Store.DeleteJobs(ctx, ids, actor, s.now())
	if err != nil {
		return Job{}, err
	}
	for _, record := range running {
		s.Engine.StopBuild(record)
	}
	return last, nil
}

// Job returns a job that the actor may view.
func (s *Service) Job(ctx context.Context, actor Actor, id JobID) (Job, error) {
	return s.job(ctx, actor, id, View)
}

// JobFor returns a job that the actor holds a right on.
func (s *Service) JobFor(ctx context.Context, actor Actor, id JobID, right Right) (Job, error) {
	return s.job(ctx, actor, id, right)
}

// JobSummary returns a job that the actor may view, with its newest build.
func (s *Service) JobSummary(ctx context.Context, actor Actor, id JobID) (JobSummary, error) {
	job, err := s.job(ctx, actor, id, View)
	if err != nil {
		return JobSummary{}, err
	}
	found, _, err := s.Store.Jobs(ctx, JobQuery{Viewing: Viewing{Everything: []ProjectID{job.ProjectID}}, UserID: actor.UserID, ID: id, Limit: 1})
	if err != nil {
		return JobSummary{}, err
	}
	if len(found) == 0 { // it was deleted just now
		return JobSummary{}, noSuchJob(id)
	}
	return found[0], nil
}

// JobOfBuildProject returns the job of a build project that the actor may view.
func (s *Service) JobOfBuildProject(ctx context.Context, actor Actor, id BuildProjectID) (Job, error) {
	missing := fault.New(fault.NotFound, "build project %s does not exist", id)
	job, err := s.Store.JobOfBuildProject(ctx, id)
	if err != nil {
		return Job{}, hideMissing(err, missing)
	}
	return job, hideMissing(s.Check(ctx, actor, job.Ref(), View), missing)
}

// Jobs returns a page of the jobs of some projects that the actor may view, and the number of all that match. Without projects, it is
// about all that the actor is a member of.
func (s *Service) Jobs(ctx context.Context, actor Actor, projects []ProjectID, q JobQuery) (jobs []JobSummary, total int, err error) {
	if q.Viewing, err = s.Access.Viewing(ctx, actor, projects); err != nil {
		return nil, 0, err
	}
	q.UserID = actor.UserID
	return s.Store.Jobs(ctx, q)
}

// NameTaken reports whether a job of the project has the name.
func (s *Service) NameTaken(ctx context.Context, actor Actor, project ProjectID, name string) (bool, error) {
	if err := s.Check(ctx, actor, JobRef{ProjectID: project}, View); err != nil {
		return false, err
	}
	return s.Store.NameTaken(ctx, project, name)
}
