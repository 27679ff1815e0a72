package httpapi

import (
	"strconv"
	"time"

	"atelier/internal/build"
)

func (a *API) binOperations() []operation {
	return []operation{
		handle("ListRecyclingJob", "GET /v1/job/recycling-jobs", current, "Deleted build tasks of all projects of the caller.", a.listDeleted),
		handle("RestoreRecyclingJobs", "POST /v1/job/recycling-restoration", current, "Restore deleted build tasks, all or none.", a.restoreJobs),
		handle("DeleteRecyclingJobs", "DELETE /v1/job/recycling-deletion", current, "Delete build tasks for good, with their builds and logs.", a.purgeJobs),
		handle("ClearRecyclingJobs", "DELETE /v1/job/recycling-empty", current, "Delete everything in the recycle bin for good that the caller may delete.", a.clearBin),
		handle("SetKeepTime", "POST /v1/job/keep-time", current, "Set how many days deleted build tasks are kept.", a.setKeepTime),
	}
}

type listDeletedRequest struct {
	PageNo   pageNo   `query:"page_no"`
	PageSize pageSize `query:"page_size"`
	Search   word     `query:"search"`
}

// binAnswer has the marks of two envelopes, because the vendor's model has them.
type binAnswer struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
	ErrCode string `json:"err_code"`
	envelope[binResult]
}

type binResult struct {
	JobList  []deletedJob `json:"job_list"`
	KeepTime int          `json:"keep_time"`
	Total    int          `json:"total"`
}

type deletedJob struct {
	JobID       build.JobID     `json:"job_id"`
	JobName     string          `json:"job_name"`
	ProjectID   build.ProjectID `json:"project_id"`
	ProjectName string          `json:"project_name"`
	CreatorID   string          `json:"creator_id"`
	CreatorName string          `json:"creator_name"`
	CreateTime  string          `json:"create_time"`
	CreateStamp string          `json:"create_time_stamp"`
	DeleteTime  string          `json:"delete_time"`
	DeleteStamp string          `json:"delete_time_stamp"`
}

func (a *API) listDeleted(c call, in listDeletedRequest) (*binAnswer, error) {
	jobs, total, err := a.Builds.DeletedJobs(c.ctx(), c.actor(), build.BinQuery{
		Search: string(in.Search), Offset: in.PageNo.offset(in.PageSize), Limit: in.PageSize.rows(),
	})
	if err != nil {
		return nil, err
	}
	days, err := a.Builds.KeepDays(c.ctx(), c.actor())
	stamp := func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
	return &binAnswer{Success: true, envelope: *wrap(binResult{KeepTime: days, Total: total, JobList: list(jobs, func(j build.DeletedJob) deletedJob {
		project, _ := a.IAM.ProjectName(c.ctx(), string(j.ProjectID)) // what cannot be read is left out
		return deletedJob{
			JobID: j.ID, JobName: j.Config.Name, ProjectID: j.ProjectID, ProjectName: project, CreatorID: j.CreatorID, CreatorName: j.CreatorName,
			CreateTime: j.CreatedAt.In(a.Zone).Format(layoutPlain), CreateStamp: stamp(j.CreatedAt),
			DeleteTime: j.DeletedAt.In(a.Zone).Format(layoutPlain), DeleteStamp: stamp(j.DeletedAt),
		}
	})})}, err
}

func (a *API) restoreJobs(c call, in jobsRequest) (*envelope[*string], error) {
	ids, err := in.ids()
	if err != nil {
		return nil, err
	}
	return wrap[*string](nil), a.Builds.RestoreJobs(c.ctx(), c.actor(), ids)
}

func (a *API) purgeJobs(c call, in jobsRequest) (*success, error) {
	ids, err := in.ids()
	if err != nil {
		return nil, err
	}
	return &success{"success"}, a.Builds.PurgeJobs(c.ctx(), c.actor(), ids)
}

func (a *API) clearBin(c call, _ struct{}) (*envelope[*string], error) {
	return wrap[*string](nil), a.Builds.ClearBin(c.ctx(), c.actor())
}

type keepTimeRequest struct {
	Body struct {
		KeepTime *int `json:"keep_time" doc:"required,1..30"`
	} `body:"json"`
}

type keepTimeAnswer struct {
	KeepTime int `json:"keep_time"`
}

func (a *API) setKeepTime(c call, in keepTimeRequest) (*envelope[keepTimeAnswer], error) {
	if in.Body.KeepTime == nil {
		return nil, invalid(codeInvalid, "keep_time", "is missing")
	}
	days := *in.Body.KeepTime
	return wrap(keepTimeAnswer{days}), a.Builds.SetKeepDays(c.ctx(), c.actor(), days)
}
