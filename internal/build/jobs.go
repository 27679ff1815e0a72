package build

import (
	"context"
	"slices"

	"atelier/internal/fault"
)

// Mask stands for a private value wherever it would be shown.
const Mask = "******"

// CreateJob creates a job in a project. The rights follow the project.
func (s *Service) CreateJob(ctx context.Context, actor Actor, project ProjectID, config Config) (Job, error) {
	if err := s.rules.validate(project, config); err != nil {
		return Job{}, err
	}
	if err := s.Check(ctx, actor, JobRef{ProjectID: project}, Create); err != nil {
		return Job{}, err
	}
	count, err := s.Store.CountJobs(ctx, actor.DomainID)
	if err != nil {
		return Job{}, err
	}
	if count >= s.MaxJobs {
		return Job{}, fault.New(fault.Limit, "the tenant has %d tasks, no more than %d are allowed", count, s.MaxJobs)
	}
	if config, err = s.sealConfig(config, Config{}); err != nil {
		return Job{}, err
	}
	now := s.now()
	job := Job{
		ID: JobID(NewHexID()), BuildProjectID: BuildProjectID(newUUID()), ProjectID: project, DomainID: actor.DomainID,
		Config: config, CreatorID: actor.UserID, CreatorName: actor.UserName, CreatedAt: now, UpdatedAt: now,
	}
	if err := s.Store.CreateJob(ctx, job); err != nil {
		return Job{}, err
	}
	return job, nil
}

// UpdateJob replaces the configuration of a job by what edit makes of the present one. The project, when it is given,
// must be the job's: a job does not move.
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
		job.Config = sealed
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
	job, err := s.job(ctx, actor, id, Delete)
	if err != nil {
		return Job{}, err
	}
	running, err := s.Store.DeleteJob(ctx, id, actor, s.now())
	if err != nil {
		return Job{}, hideMissing(err, noSuchJob(id))
	}
	for _, record := range running {
		s.Engine.StopBuild(record)
	}
	return job, nil
}

// Job returns a job that the actor may view.
func (s *Service) Job(ctx context.Context, actor Actor, id JobID) (Job, error) {
	return s.job(ctx, actor, id, View)
}

// JobFor returns a job that the actor holds a right on.
func (s *Service) JobFor(ctx context.Context, actor Actor, id JobID, right Right) (Job, error) {
	return s.job(ctx, actor, id, right)
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
	return s.Store.Jobs(ctx, q)
}

// NameTaken reports whether a job of the project has the name.
func (s *Service) NameTaken(ctx context.Context, actor Actor, project ProjectID, name string) (bool, error) {
	if err := s.Check(ctx, actor, JobRef{ProjectID: project}, View); err != nil {
		return false, err
	}
	return s.Store.NameTaken(ctx, project, name)
}
