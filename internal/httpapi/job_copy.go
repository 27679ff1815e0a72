package httpapi

import (
	"cmp"

	"atelier/internal/build"
)

func (a *API) jobCopyOperations() []operation {
	return []operation{
		handle("CopyJob", "POST /v1/job/copy", current, "Create a build task from another one.", a.copyJob),
		handle("ShowCopyName", "GET /v1/job/{job_id}/copy-name", current, "A free name for a copy of a build task.", a.showCopyName),
		handle("BatchDeleteBuildJobs", "DELETE /v1/job/batch-delete", outdated, "Delete several build tasks, all or none.", a.deleteJobs),
		handle("AddFavouriteTask", "POST /v1/job/{job_id}/follow", current, "Mark a build task as a favourite of the caller.", a.favour(true)),
		handle("RemoverFavouriteTask", "POST /v1/job/{job_id}/unfollow", current, "Take the mark of a favourite away.", a.favour(false)),
	}
}

func (a *API) copyJob(c call, in createJobRequest) (*envelope[jobIDAnswer], error) {
	var id jobID
	if err := id.parse("copy_job_id", in.Body.CopyJobID); err != nil {
		return nil, err
	}
	if err := in.Body.complete("job_name", "arch", "project_id"); err != nil {
		return nil, err
	}
	job, err := a.Builds.CopyJob(c.ctx(), c.actor(), build.JobID(id), build.ProjectID(in.Body.ProjectID), in.Body.copyOf)
	return wrap(jobIDAnswer{job.ID}), err
}

// copyOf returns the configuration of a copy. What the body does not say stands for the original's value.
func (b jobBody) copyOf(original build.Config) build.Config {
	c := b.config(original)
	c.AutoUpdateSubmodules = cmp.Or(c.AutoUpdateSubmodules, original.AutoUpdateSubmodules)
	c.Flavor = cmp.Or(c.Flavor, original.Flavor)
	c.HostType = cmp.Or(c.HostType, original.HostType)
	c.Kind = cmp.Or(c.Kind, original.Kind)
	c.EnvironmentType = cmp.Or(c.EnvironmentType, original.EnvironmentType)
	if b.Parameters == nil {
		c.Parameters = original.Parameters
	}
	if b.Sources == nil {
		c.Sources = original.Sources
	}
	if b.Steps == nil {
		c.Steps = original.Steps
	}
	return c
}

func (a *API) showCopyName(c call, in jobRequest) (*envelope[string], error) {
	name, err := a.Builds.CopyName(c.ctx(), c.actor(), build.JobID(in.JobID))
	return wrap(name), err
}

// jobsRequest names several tasks.
type jobsRequest struct {
	Body struct {
		JobIDs []string `json:"job_ids" doc:"required"`
	} `body:"json"`
}

func (r jobsRequest) ids() ([]build.JobID, error) {
	if n := len(r.Body.JobIDs); n == 0 || n > maxListed {
		return nil, invalid(codeInvalid, "job_ids", "must have 1 to %d ids, found %d", maxListed, n)
	}
	ids := make([]build.JobID, len(r.Body.JobIDs))
	for i, text := range r.Body.JobIDs {
		if err := (*jobID)(&ids[i]).parse("job_ids["+number(i)+"]", text); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func (a *API) deleteJobs(c call, in jobsRequest) (*envelope[deletedJobAnswer], error) {
	ids, err := in.ids()
	if err != nil {
		return nil, err
	}
	last, err := a.Builds.DeleteJobs(c.ctx(), c.actor(), ids)
	return wrap(deletedJobAnswer{last.ID, last.ProjectID}), err
}

type favouriteAnswer struct {
	Favourite bool `json:"favorite"`
}

func (a *API) favour(marked bool) func(call, jobRequest) (*envelope[favouriteAnswer], error) {
	return func(c call, in jobRequest) (*envelope[favouriteAnswer], error) {
		return wrap(favouriteAnswer{marked}), a.Builds.SetFavourite(c.ctx(), c.actor(), build.JobID(in.JobID), marked)
	}
}
