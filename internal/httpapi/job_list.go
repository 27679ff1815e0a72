package httpapi

import (
	"strings"

	"atelier/internal/build"
	"atelier/internal/fault"
)

func (a *API) jobListOperations() []operation {
	return []operation{
		handle("ShowJobListByProjectId", "GET /v3/{project_id}/jobs", outdated, "Build tasks of a project.", a.listJobsFlat),
		handle("ListProjectJobs", "GET /v1/job/{project_id}/list", current, "Build tasks of a project, searched, sorted and filtered.", a.listProjectJobs),
		handle("ListJob", "GET /v1/job/list", current, "Build tasks of all projects of the caller.", a.listJobs),
		handle("CheckJobNameIsExists", "GET /v1/job/check/exist", current, "Is a name taken in a project?", a.checkJobName),
	}
}

// jobListAnswer is a task in a list. The vendor's lists differ in what they show; here all show all of it.
type jobListAnswer struct {
	ID                build.JobID          `json:"id"`
	JobName           string               `json:"job_name"`
	JobCreator        string               `json:"job_creator"`
	UserName          string               `json:"user_name"`
	UserID            string               `json:"user_id"`
	NickName          string               `json:"nick_name"`
	ProjectID         build.ProjectID      `json:"project_id"`
	ProjectName       string               `json:"project_name"`
	BuildProjectID    build.BuildProjectID `json:"build_project_id"`
	SourceCode        string               `json:"source_code"`
	Disabled          bool                 `json:"disabled"`
	ForbiddenMsg      string               `json:"forbidden_msg"`
	Favorite          bool                 `json:"favorite"`
	HealthScore       int                  `json:"health_score"`
	IsFinished        bool                 `json:"is_finished"`
	LastBuildStatus   build.JobStatus      `json:"last_build_status"`
	LastRunningStatus text                 `json:"last_job_running_status"`
	LastBuildTime     *int64               `json:"last_build_time"`
	LastBuildUser     text                 `json:"last_build_user"`
	LastBuildUserID   text                 `json:"last_build_user_id"`
	TriggerType       text                 `json:"trigger_type"`
	BuildTime         int64                `json:"build_time"`
	BuildNumber       text                 `json:"build_number"`
	TaskID            text                 `json:"task_id"`
	BuildType         text                 `json:"build_type"`
	CodeBranch        text                 `json:"code_branch"`
	Tag               text                 `json:"tag"`
	CommitID          text                 `json:"commit_id"`
	CommitDetailURL   text                 `json:"commit_detail_url"`
	SCMWebURL         text                 `json:"scm_web_url"`
	SCMType           text                 `json:"scm_type"`
	RepoID            text                 `json:"repo_id"`
	FollowsProject    bool                 `json:"project_permission_switch"`
	rightsAnswer
}

// rightsAnswer is what the caller may do with a task.
type rightsAnswer struct {
	IsModify    bool `json:"is_modify"`
	IsDelete    bool `json:"is_delete"`
	IsExecute   bool `json:"is_execute"`
	IsCopy      bool `json:"is_copy"`
	IsForbidden bool `json:"is_forbidden"`
	IsView      bool `json:"is_view"`
}

func (a *API) rights(c call, ref build.JobRef) rightsAnswer {
	may := func(right build.Right) bool { return a.Builds.Check(c.ctx(), c.actor(), ref, right) == nil }
	return rightsAnswer{
		IsModify: may(build.Modify), IsDelete: may(build.Delete), IsExecute: may(build.Execute), IsCopy: may(build.Copy),
		IsForbidden: may(build.Disable), IsView: may(build.View),
	}
}

func (a *API) presentJob(c call) func(build.JobSummary) jobListAnswer {
	return func(job build.JobSummary) jobListAnswer {
		project, _ := a.IAM.ProjectName(c.ctx(), string(job.ProjectID)) // what cannot be read is left out
		matrix, _ := a.IAM.Matrix(c.ctx(), job.ID)
		answer := jobListAnswer{
			ID: job.ID, JobName: job.Config.Name, JobCreator: job.CreatorID, UserName: job.CreatorName, UserID: job.CreatorID, NickName: job.CreatorName,
			ProjectID: job.ProjectID, ProjectName: project, BuildProjectID: job.BuildProjectID, SourceCode: "codeci",
			Disabled: job.Disabled != nil, Favorite: job.Favourite, HealthScore: job.HealthScore, IsFinished: job.Last == nil || job.Last.State.Final(),
			LastBuildStatus: job.Status(), FollowsProject: !matrix.Own, rightsAnswer: a.rights(c, job.Ref()),
		}
		if job.Disabled != nil {
			answer.ForbiddenMsg = job.Disabled.Reason
		}
		if source, ok := job.Config.Source(); ok {
			answer.SCMWebURL, answer.SCMType, answer.RepoID = text(source.WebURL), text(source.Kind), text(source.RepoID)
		}
		if last := job.Last; last != nil {
			answer.LastRunningStatus, answer.LastBuildTime = text(runningStatus(last.State)), epochMillis(last.CreatedAt)
			answer.LastBuildUser, answer.LastBuildUserID, answer.TriggerType = text(last.UserName), text(last.UserID), text(triggerWord(c.r, last.Trigger))
			answer.BuildTime, answer.BuildNumber, answer.TaskID = build.Millis(last.RunTime(a.Now())), text(number(last.Number)), text("#"+last.DailyNumber)
			answer.BuildType, answer.CodeBranch, answer.Tag, answer.CommitID = text(last.RefKind), text(last.Branch), text(last.Tag), text(last.Commit)
			answer.CommitDetailURL = commitPage(last.Repo.WebURL, last.Commit)
		}
		return answer
	}
}

type listJobsFlatRequest struct {
	ProjectID projectID `path:"project_id"`
	PageIndex pageIndex `query:"page_index"`
	PageSize  pageSize  `query:"page_size"`
}

type jobsAnswer struct {
	Jobs  []jobListAnswer `json:"jobs"`
	Total int             `json:"total"`
}

func (a *API) listJobsFlat(c call, in listJobsFlatRequest) (*jobsAnswer, error) {
	jobs, total, err := a.jobsOf(c, in.ProjectID, in.PageIndex, in.PageSize, build.JobQuery{Descending: true})
	return &jobsAnswer{jobs, total}, err
}

func (a *API) jobsOf(c call, project projectID, index pageIndex, size pageSize, q build.JobQuery) ([]jobListAnswer, int, error) {
	id := build.ProjectID(project)
	denied := a.Builds.Check(c.ctx(), c.actor(), build.JobRef{ProjectID: id}, build.View)
	if denied != nil && !fault.Is(denied, fault.Forbidden) {
		return nil, 0, denied
	}
	q.Limit = size.rows()
	q.Offset = int(index) * q.Limit
	jobs, total, err := a.Builds.Jobs(c.ctx(), c.actor(), []build.ProjectID{id}, q)
	if err == nil && total == 0 {
		err = denied // unless a task lets the caller's role view it
	}
	return list(jobs, a.presentJob(c)), total, err
}

// jobFilters are the filters that two lists share.
type jobFilters struct {
	Search    word
	SortField word
	SortOrder word
	Creator   word
	Status    word
}

func (f jobFilters) query() (build.JobQuery, error) {
	q := build.JobQuery{Search: string(f.Search), CreatorID: string(f.Creator), Status: build.JobStatus(f.Status), Sort: build.JobSort(f.SortField)}
	switch q.Status {
	case "", build.StatusNone, build.StatusBuilding, build.StatusBlue, build.StatusRed, build.StatusAborted, build.StatusTimeout:
	default:
		return q, invalid(codeInvalid, "build_status", "must be red, blue, timeout, aborted, building or none, found %q", shorten(string(f.Status)))
	}
	switch q.Sort {
	case "", build.SortByActivity, build.SortByName, build.SortByCreation, build.SortByHealth, build.SortByBuildStatus:
	default:
		return q, invalid(codeInvalid, "sort_field", "must be job_name, create_time, last_build_time, health_score or last_build_status, found %q", shorten(string(f.SortField)))
	}
	switch strings.ToUpper(string(f.SortOrder)) {
	case "ASC":
	case "DESC":
		q.Descending = true
	case "":
		q.Descending = q.Sort != build.SortByName // newest and best first, names from A to Z
	default:
		return q, invalid(codeInvalid, "sort_order", "must be ASC or DESC, found %q", shorten(string(f.SortOrder)))
	}
	return q, nil
}

type listProjectJobsRequest struct {
	ProjectID   projectID `path:"project_id"`
	PageIndex   pageIndex `query:"page_index"`
	PageSize    pageSize  `query:"page_size"`
	Search      word      `query:"search"`
	SortField   word      `query:"sort_field" doc:"job_name|create_time|last_build_time|health_score|last_build_status"`
	SortOrder   word      `query:"sort_order" doc:"ASC|DESC"`
	CreatorID   word      `query:"creator_id"`
	BuildStatus word      `query:"build_status" doc:"red|blue|timeout|aborted|building|none"`
	ByGroup     flag      `query:"by_group"`
	GroupPathID groupPath `query:"group_path_id"`
}

// projectJobsAnswer holds the list twice: SDKs read it at the top, other clients below result.
type projectJobsAnswer struct {
	jobsAnswer
	envelope[jobListResult]
}

type jobListResult struct {
	JobList []jobListAnswer `json:"job_list"`
	Total   int             `json:"total"`
}

func (a *API) listProjectJobs(c call, in listProjectJobsRequest) (*projectJobsAnswer, error) {
	q, err := jobFilters{in.Search, in.SortField, in.SortOrder, in.CreatorID, in.BuildStatus}.query()
	if err != nil {
		return nil, err
	}
	if err := a.inGroup(c, &q, in.ProjectID, in.ByGroup, in.GroupPathID); err != nil {
		return nil, err
	}
	jobs, total, err := a.jobsOf(c, in.ProjectID, in.PageIndex, in.PageSize, q)
	return &projectJobsAnswer{jobsAnswer{jobs, total}, *wrap(jobListResult{jobs, total})}, err
}

type listJobsRequest struct {
	PageIndex   pageIndex `query:"page_index"`
	PageSize    pageSize  `query:"page_size"`
	Search      word      `query:"search"`
	SortField   word      `query:"sort_field" doc:"job_name|create_time|last_build_time|health_score|last_build_status"`
	SortOrder   word      `query:"sort_order" doc:"ASC|DESC"`
	CreatorID   word      `query:"creator_id"`
	BuildStatus word      `query:"build_status" doc:"red|blue|timeout|aborted|building|none"`
}

func (a *API) listJobs(c call, in listJobsRequest) (*envelope[jobListResult], error) {
	q, err := jobFilters{in.Search, in.SortField, in.SortOrder, in.CreatorID, in.BuildStatus}.query()
	if err != nil {
		return nil, err
	}
	q.Limit = in.PageSize.rows()
	q.Offset = int(in.PageIndex) * q.Limit
	jobs, total, err := a.Builds.Jobs(c.ctx(), c.actor(), nil, q)
	return wrap(jobListResult{list(jobs, a.presentJob(c)), total}), err
}

type checkJobNameRequest struct {
	ProjectID projectID `query:"project_id" required:"true"`
	JobName   word      `query:"job_name" required:"true"`
}

func (a *API) checkJobName(c call, in checkJobNameRequest) (*envelope[bool], error) {
	taken, err := a.Builds.NameTaken(c.ctx(), c.actor(), build.ProjectID(in.ProjectID), string(in.JobName))
	return wrap(taken), err
}
