package httpapi

import (
	"atelier/internal/build"
)

func (a *API) jobOperations() []operation {
	return []operation{
		handle("CreateBuildJob", "POST /v3/jobs/create", outdated, "Create a build task.", a.createJob),
		handle("CreateNewJob", "POST /v1/job/create", current, "Create a build task.", a.createJob),
		handle("UpdateBuildJob", "POST /v3/jobs/update", outdated, "Replace the configuration of a build task.", a.updateJob),
		handle("UpdateNewJob", "POST /v1/job/update", current, "Replace the configuration of a build task.", a.updateJob),
		handle("DeleteBuildJob", "POST /v3/jobs/{job_id}/delete", outdated, "Delete a build task: it goes into the recycle bin.", a.deleteJob),
		handle("DeleteTheJob", "DELETE /v1/job/{job_id}/delete", current, "Delete a build task: it goes into the recycle bin.", a.deleteJob),
		handle("DisableBuildJob", "POST /v3/jobs/{job_id}/disable", outdated, "Disable a build task.", a.disableJob),
		handle("EnableBuildJob", "POST /v3/jobs/{job_id}/recover", outdated, "Enable a build task again.", a.enableJob),
		handle("DisableTheJob", "POST /v1/job/{job_id}/disable", current, "Disable or enable a build task.", a.switchJob),
		handle("ShowDisable", "GET /v1/job/{job_id}/check/disable", current, "Who disabled a build task, when and why.", a.showDisabling),
		handle("ListJobConfig", "GET /v3/jobs/{job_id}/query", outdated, "Configuration of a build task.", a.showJobConfig),
		handle("ShowJobConfig", "GET /v1/job/{job_id}/config", current, "Configuration of a build task.", a.showJobConfig),
	}
}

type jobRequest struct {
	JobID jobID `path:"job_id"`
}

type createJobRequest struct {
	Body jobBody `body:"json"`
}

type jobIDAnswer struct {
	JobID build.JobID `json:"job_id"`
}

func (a *API) createJob(c call, in createJobRequest) (*envelope[jobIDAnswer], error) {
	if err := in.Body.complete(taskKeys...); err != nil {
		return nil, err
	}
	job, err := a.Builds.CreateJob(c.ctx(), c.actor(), build.ProjectID(in.Body.ProjectID), in.Body.config(build.Config{}))
	return wrap(jobIDAnswer{job.ID}), err
}

func (a *API) updateJob(c call, in createJobRequest) (*envelope[jobIDAnswer], error) {
	var id jobID
	if err := id.parse("job_id", in.Body.JobID); err != nil {
		return nil, err
	}
	if err := in.Body.complete(taskKeys...); err != nil {
		return nil, err
	}
	job, err := a.Builds.UpdateJob(c.ctx(), c.actor(), build.JobID(id), build.ProjectID(in.Body.ProjectID), in.Body.config)
	return wrap(jobIDAnswer{job.ID}), err
}

// taskKeys are the keys that a task cannot do without.
var taskKeys = []string{"job_name", "arch", "project_id", "steps"}

// complete reports whether keys are there, and the project's id is one. The other values are the service's matter.
func (b jobBody) complete(keys ...string) error {
	if err := missing(without(keys, func(key string) bool { return b.given[key] })...); err != nil {
		return err
	}
	if err := b.checkTriggers(); err != nil {
		return err
	}
	var project projectID
	return project.parse("project_id", b.ProjectID)
}

// checkTriggers reports the first parameter of a trigger that has no value.
func (b jobBody) checkTriggers() error {
	if b.Triggers == nil {
		return nil
	}
	for i, t := range *b.Triggers {
		if err := checkValues("triggers["+number(i)+"].parameters", t.Parameters); err != nil {
			return err
		}
	}
	return nil
}

type deletedJobAnswer struct {
	JobID     build.JobID     `json:"job_id"`
	ProjectID build.ProjectID `json:"project_id"`
}

func (a *API) deleteJob(c call, in jobRequest) (*envelope[deletedJobAnswer], error) {
	job, err := a.Builds.DeleteJob(c.ctx(), c.actor(), build.JobID(in.JobID))
	return wrap(deletedJobAnswer{job.ID, job.ProjectID}), err
}

func (a *API) disableJob(c call, in jobRequest) (*success, error) {
	return &success{"success"}, a.Builds.SetDisabled(c.ctx(), c.actor(), build.JobID(in.JobID), true, "")
}

func (a *API) enableJob(c call, in jobRequest) (*success, error) {
	return &success{"success"}, a.Builds.SetDisabled(c.ctx(), c.actor(), build.JobID(in.JobID), false, "")
}

type switchJobRequest struct {
	JobID jobID `path:"job_id"`
	Body  struct {
		Disabled looseBool `json:"disabled" doc:"required"`
		Reason   string    `json:"reason"`
	} `body:"json"`
}

func (a *API) switchJob(c call, in switchJobRequest) (*success, error) {
	if in.Body.Disabled.value == nil {
		return nil, invalid(codeInvalid, "disabled", "is missing")
	}
	return &success{"success"}, a.Builds.SetDisabled(c.ctx(), c.actor(), build.JobID(in.JobID), *in.Body.Disabled.value, in.Body.Reason)
}

// disablingAnswer has the vendor's spelling of its keys.
type disablingAnswer struct {
	Disabled int         `json:"disabled"`
	Time     int64       `json:"forbidden_time"`
	By       string      `json:"forbiddener"` // name【nickname】, which are the same here
	JobID    build.JobID `json:"job_id"`
	JobName  string      `json:"job_name"`
	Reason   string      `json:"reson"`
}

func (a *API) showDisabling(c call, in jobRequest) (*envelope[*disablingAnswer], error) {
	job, err := a.Builds.Job(c.ctx(), c.actor(), build.JobID(in.JobID))
	if err != nil || job.Disabled == nil {
		return wrap[*disablingAnswer](nil), err
	}
	d := job.Disabled
	return wrap(&disablingAnswer{1, d.At.UnixMilli(), d.UserName + "【" + d.UserName + "】", job.ID, job.Config.Name, d.Reason}), nil
}

type jobConfigRequest struct {
	JobID jobID `path:"job_id"`
	All   word  `query:"get_all_params"` // what it leaves out is not documented, so everything is always there
}

func (a *API) showJobConfig(c call, in jobConfigRequest) (*envelope[jobConfigAnswer], error) {
	job, err := a.Builds.Job(c.ctx(), c.actor(), build.JobID(in.JobID))
	return wrap(presentConfig(job)), err
}
