package httpapi

import (
	"strings"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
)

func (a *API) buildInfoOperations() []operation {
	return []operation{
		handle("ShowBuildInfoRecord", "GET /v1/record/{job_id}/{build_no}/build-info-record", current, "One build as lists show it.", a.showBuildInfo),
		handle("ListBuildInfoRecord", "GET /v3/jobs/{job_id}/build-info-records", outdated, "Builds of a task in a period.", a.listBuildInfo),
		handle("ListBuildInfoRecordByJobId", "GET /v1/record/{job_id}/list", current, "Builds of a task in a period.", a.listBuildInfo),
		handle("ListBriefRecord", "POST /v1/record/brief", current, "The newest builds of some tasks.", a.listBriefRecords),
		handle("ShowJobTotal", "GET /v1/record/{build_project_id}/statistics", current, "Number of builds of a task in a period.", a.countRecords),
		handle("ListBuildParameter", "GET /v1/job/{job_id}/{build_no}/history-parameters", current, "What a build ran with.", a.listBuildParameters),
	}
}

// buildInfoAnswer is a build in lists. BuildTime and CostTime are the same, in milliseconds.
type buildInfoAnswer struct {
	Number           int           `json:"number"`
	State            string        `json:"state"`
	JobRunningStatus string        `json:"job_running_status"`
	StartTime        int64         `json:"start_time"`
	BuildTime        int64         `json:"build_time"`
	CostTime         int64         `json:"cost_time"`
	UserID           string        `json:"user_id"`
	Executor         string        `json:"executor"`
	Nickname         string        `json:"nickname"`
	DailyBuildNumber string        `json:"daily_build_number"`
	TriggerType      string        `json:"trigger_type"`
	BuildType        build.RefKind `json:"build_type"`
	CodeBranch       string        `json:"code_branch"`
	CommitID         text          `json:"commit_id"`
	CommitInfo       commitAnswer  `json:"commit_info"`
	CommitDetailURL  text          `json:"commit_detail_url"`
	SCMType          text          `json:"scm_type"`
	SCMWebURL        text          `json:"scm_web_url"`
}

type commitAnswer struct {
	CommitID  text    `json:"commit_id"`
	CreatedAt isoTime `json:"created_at"`
}

func (a *API) presentBuildInfo(c call) func(r build.Record) buildInfoAnswer {
	now := a.Now()
	return func(r build.Record) buildInfoAnswer {
		state, _ := recordStatus(r.State)
		ran := build.Millis(r.RunTime(now))
		return buildInfoAnswer{
			Number: r.Number, State: state, JobRunningStatus: runningStatus(r.State), StartTime: orCreation(r).UnixMilli(), BuildTime: ran, CostTime: ran,
			UserID: r.UserID, Executor: r.UserName, Nickname: r.UserName, DailyBuildNumber: r.DailyNumber, TriggerType: triggerWord(c.r, r.Trigger),
			BuildType: r.RefKind, CodeBranch: r.Branch, CommitID: text(r.Commit), CommitInfo: commitAnswer{text(r.Commit), isoTime(r.CommitTime)},
			CommitDetailURL: commitPage(r.Repo.WebURL, r.Commit), SCMType: text(r.Repo.Kind), SCMWebURL: text(r.Repo.WebURL),
		}
	}
}

// commitPage is the page of a commit in the vendor's own repositories, where that of the repository says where it is. Nothing is known of others.
func commitPage(repository, commit string) text {
	base, own := strings.CutSuffix(repository, "/home")
	if !own || commit == "" || !strings.Contains(base, "/codehub/") {
		return ""
	}
	return text(base + "/" + commit + "/commitdetail")
}

// orCreation is when a build started, or was asked for as long as it has not.
func orCreation(r build.Record) time.Time {
	if r.StartedAt.IsZero() {
		return r.CreatedAt
	}
	return r.StartedAt
}

func (a *API) showBuildInfo(c call, in buildDetailsRequest) (*envelope[buildInfoAnswer], error) {
	record, _, err := a.Builds.Record(c.ctx(), c.actor(), build.JobID(in.JobID), int(in.BuildNo))
	return wrap(a.presentBuildInfo(c)(record)), err
}

type listBuildInfoRequest struct {
	JobID     jobID     `path:"job_id"`
	Start     word      `query:"start_time" required:"true" doc:"time"`
	End       word      `query:"end_time" required:"true" doc:"time"`
	PageIndex pageIndex `query:"page_index"`
	PageSize  pageSize  `query:"page_size"`
}

// buildInfoPage has texts for its numbers.
type buildInfoPage struct {
	HealthScore string            `json:"health_score"`
	PageIndex   string            `json:"page_index"`
	TotalPage   string            `json:"total_page"`
	TotalRecord string            `json:"total_record"`
	Builds      []buildInfoAnswer `json:"job_build_states"`
}

func (a *API) listBuildInfo(c call, in listBuildInfoRequest) (*envelope[buildInfoPage], error) {
	from, err := a.moment("start_time", in.Start)
	if err != nil {
		return nil, err
	}
	to, err := a.moment("end_time", in.End)
	if err != nil {
		return nil, err
	}
	switch {
	case from.IsZero() || to.IsZero():
		return nil, invalid(codeInvalid, "start_time and end_time", "must look like 2022-09-09 06:31:50")
	case to.Before(from):
		return nil, invalid(codeInvalid, "end_time", "must not be before start_time, found %s and %s", in.End, in.Start)
	case from.AddDate(0, 0, maxRecordDays).Before(to):
		return nil, fault.New(fault.Period, "start_time and end_time may be at most %d days apart, found %s and %s", maxRecordDays, in.Start, in.End)
	}
	size := in.PageSize.rows()
	records, total, err := a.Builds.Records(c.ctx(), c.actor(), build.RecordQuery{
		JobID: build.JobID(in.JobID), From: from, To: to.Add(time.Second), Limit: size, Offset: int(in.PageIndex) * size,
	})
	if err != nil {
		return nil, err
	}
	health, err := a.Builds.HealthScore(c.ctx(), c.actor(), build.JobID(in.JobID))
	return wrap(buildInfoPage{
		HealthScore: number(health), PageIndex: number(int(in.PageIndex)), TotalPage: number((total + size - 1) / size), TotalRecord: number(total),
		Builds: list(records, a.presentBuildInfo(c)),
	}), err
}

type listBriefRequest struct {
	Limit pageSize `query:"limit" required:"true"`
	Body  []string `body:"json"`
}

type briefAnswer struct {
	ProjectID build.BuildProjectID `json:"project_id"`
	Records   []briefRecord        `json:"brief_build_record_dtos"`
}

// briefRecord has times of the service's zone in two forms.
type briefRecord struct {
	ID               build.RecordID       `json:"id"`
	ProjectID        build.BuildProjectID `json:"project_id"`
	Status           string               `json:"status"`
	BuildNo          int                  `json:"build_no"`
	Branch           string               `json:"branch"`
	Revision         string               `json:"revision"`
	TriggerName      string               `json:"trigger_name"`
	DailyBuildNumber string               `json:"daily_build_number"`
	CreateTime       string               `json:"create_time"`
	ScheduleTime     text                 `json:"schedule_time"`
	QueuedTime       text                 `json:"queued_time"`
	StartTime        text                 `json:"start_time"`
	FinishTime       text                 `json:"finish_time"`
	Duration         int64                `json:"duration"`
	BuildDuration    int64                `json:"build_duration"`
	PendingDuration  int64                `json:"pending_duration"`
}

// listBriefRecords leaves out what the caller may not see, as if it were not there.
func (a *API) listBriefRecords(c call, in listBriefRequest) (*envelope[[]briefAnswer], error) {
	if len(in.Body) > maxListed {
		return nil, invalid(codeInvalid, "body", "has %d ids, at most %d are allowed", len(in.Body), maxListed)
	}
	answer := []briefAnswer{}
	for _, text := range in.Body {
		var id buildProjectID
		if err := id.parse("body", text); err != nil {
			return nil, err
		}
		job, err := a.Builds.JobOfBuildProject(c.ctx(), c.actor(), build.BuildProjectID(id))
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
			continue
		}
		if err != nil {
			return nil, err
		}
		records, _, err := a.Builds.Records(c.ctx(), c.actor(), build.RecordQuery{JobID: job.ID, Limit: in.Limit.rows()})
		if err != nil {
			return nil, err
		}
		answer = append(answer, briefAnswer{job.BuildProjectID, list(records, a.presentBrief)})
	}
	return wrap(answer), nil
}

func (a *API) presentBrief(r build.Record) briefRecord {
	status, _ := recordStatus(r.State)
	ran, waited := build.Millis(r.RunTime(a.Now())), build.Millis(r.WaitTime())
	local := func(t time.Time) text {
		if t.IsZero() {
			return ""
		}
		return text(t.In(a.Zone).Format("2006-01-02T15:04:05-0700"))
	}
	return briefRecord{
		ID: r.ID, ProjectID: r.BuildProjectID, Status: status, BuildNo: r.Number, Branch: r.Branch, Revision: r.Commit, TriggerName: r.UserName,
		DailyBuildNumber: r.DailyNumber, CreateTime: r.CreatedAt.In(a.Zone).Format(layoutPlain), ScheduleTime: local(r.ScheduledAt), QueuedTime: local(r.QueuedAt),
		StartTime: local(startOf(r)), FinishTime: local(r.FinishedAt), Duration: ran + waited, BuildDuration: ran, PendingDuration: waited,
	}
}

type countRecordsRequest struct {
	BuildProjectID buildProjectID `path:"build_project_id"`
	FromDate       word           `query:"from_date" doc:"time"`
	ToDate         word           `query:"to_date" doc:"time"`
}

type totalAnswer struct {
	Total int `json:"total"`
}

func (a *API) countRecords(c call, in countRecordsRequest) (*envelope[totalAnswer], error) {
	from, err := a.moment("from_date", in.FromDate)
	if err != nil {
		return nil, err
	}
	to, err := a.moment("to_date", in.ToDate)
	if err != nil {
		return nil, err
	}
	if !to.IsZero() {
		to = to.Add(time.Second) // the second that the client names is inside
	}
	job, err := a.Builds.JobOfBuildProject(c.ctx(), c.actor(), build.BuildProjectID(in.BuildProjectID))
	if err != nil {
		return nil, err
	}
	_, total, err := a.Builds.Records(c.ctx(), c.actor(), build.RecordQuery{JobID: job.ID, From: from, To: to})
	return wrap(totalAnswer{total}), err
}

type parameterValueAnswer struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (a *API) listBuildParameters(c call, in buildDetailsRequest) (*envelope[[]parameterValueAnswer], error) {
	record, _, err := a.Builds.Record(c.ctx(), c.actor(), build.JobID(in.JobID), int(in.BuildNo))
	return wrap(list(record.Parameters, func(v build.Value) parameterValueAnswer { return parameterValueAnswer{v.Name, shown(v)} })), err
}
