package httpapi

import (
	"net/url"
	"strings"
	"time"

	"atelier/internal/build"
)

func (a *API) recordOperations() []operation {
	return []operation{
		handle("ShowBuildRecord", "GET /v1/record/{record_id}/info", current, "One build by record id.", a.showBuildRecord),
		handle("ListRecords", "GET /v1/record/{build_project_id}/records", current, "Builds of a task, filtered.", a.listRecords),
	}
}

// buildRecordAnswer is a build as the newer operations show it. Its project_id is the build project's, its build_no a text.
type buildRecordAnswer struct {
	ID                build.RecordID       `json:"id"`
	JobID             build.JobID          `json:"job_id"`
	ProjectID         build.BuildProjectID `json:"project_id"`
	DisplayName       string               `json:"display_name"`
	Status            string               `json:"status"`
	StatusCode        int                  `json:"status_code"`
	ErrMsg            string               `json:"err_msg"`
	CreateTime        isoTime              `json:"create_time"`
	ScheduleTime      isoTime              `json:"schedule_time"`
	QueuedTime        isoTime              `json:"queued_time"`
	StartTime         isoTime              `json:"start_time"`
	FinishTime        isoTime              `json:"finish_time"`
	Duration          int64                `json:"duration"`
	BuildDuration     int64                `json:"build_duration"`
	PendingDuration   int64                `json:"pending_duration"`
	TriggerName       string               `json:"trigger_name"`
	TriggerType       build.Trigger        `json:"trigger_type"`
	UserID            string               `json:"user_id"`
	ExecutionID       string               `json:"execution_id"`
	Parameters        []recordParameter    `json:"parameters"`
	Repository        string               `json:"repository"`
	GroupName         string               `json:"group_name"`
	Branch            string               `json:"branch"`
	Revision          string               `json:"revision"`
	BuildYmlPath      string               `json:"build_yml_path"`
	BuildYmlURL       text                 `json:"build_yml_url"`
	BuildNo           string               `json:"build_no"`
	DailyBuildNumber  string               `json:"daily_build_number"`
	DailyBuildNo      string               `json:"daily_build_no"`
	DevCloudBuildType build.RefKind        `json:"dev_cloud_build_type"`
	BuildRecordType   recordType           `json:"build_record_type"`
	SCMType           text                 `json:"scm_type"`
	SCMWebURL         text                 `json:"scm_web_url"`
	WaitReason        string               `json:"wait_reason,omitempty"` // Atelier's own: why a queued build does not run yet
}

type recordParameter struct {
	Name   string `json:"name"`
	Secret bool   `json:"secret"`
	Type   string `json:"type"`
	Value  string `json:"value"`
}

type recordType struct {
	Rerun       bool          `json:"rerun"`
	IsRerun     bool          `json:"is_rerun"`
	RecordType  string        `json:"record_type"`
	TriggerType build.Trigger `json:"trigger_type"`
}

// defaultBuildFile is what records name when no other build file is known.
const defaultBuildFile = ".cloudbuild/build.yml"

func presentRecord(r build.Record, now time.Time) buildRecordAnswer {
	status, code := recordStatus(r.State)
	file := r.BuildFile
	if file == "" {
		file = defaultBuildFile
	}
	ran, waited := build.Millis(r.RunTime(now)), build.Millis(r.WaitTime())
	answer := buildRecordAnswer{
		ID: r.ID, JobID: r.JobID, ProjectID: r.BuildProjectID, DisplayName: r.JobName, Status: status, StatusCode: code, ErrMsg: r.Error,
		CreateTime: isoTime(r.CreatedAt), ScheduleTime: isoTime(r.ScheduledAt), QueuedTime: isoTime(r.QueuedAt), StartTime: isoTime(startOf(r)),
		FinishTime: isoTime(r.FinishedAt), Duration: ran + waited, BuildDuration: ran, PendingDuration: waited,
		TriggerName: r.UserName, TriggerType: r.Trigger, UserID: r.UserID, ExecutionID: r.ExecutionID,
		Parameters: list(r.Parameters, func(v build.Value) recordParameter {
			return recordParameter{Name: v.Name, Secret: v.Private, Type: "string", Value: shown(v)}
		}),
		Repository: withoutUser(r.Repo.URL), GroupName: r.Repo.GroupName, Branch: r.Branch, Revision: r.Commit, BuildYmlPath: file,
		BuildNo: number(r.Number), DailyBuildNumber: r.DailyNumber, DailyBuildNo: r.DailyNumber, DevCloudBuildType: r.RefKind,
		BuildRecordType: recordType{Rerun: r.Rerun, IsRerun: r.Rerun, RecordType: "JOB", TriggerType: r.Trigger},
		SCMType:         text(r.Repo.Kind), SCMWebURL: text(r.Repo.WebURL),
	}
	if r.Repo.WebURL != "" && r.Commit != "" {
		answer.BuildYmlURL = text(strings.TrimRight(r.Repo.WebURL, "/") + "/blob/" + r.Commit + "/" + file)
	}
	return answer
}

// shown is a parameter's value as it may be shown.
func shown(v build.Value) string {
	if v.Private {
		return build.Mask
	}
	return v.Value
}

// startOf is when a build started; one that never did has the time of its creation where clients want a start.
func startOf(r build.Record) time.Time {
	if r.StartedAt.IsZero() && r.State.Final() {
		return r.CreatedAt
	}
	return r.StartedAt
}

// withoutUser removes the user from a repository's address, which may be a URL or user@host:path.
func withoutUser(address string) string {
	if !strings.Contains(address, "://") {
		return address[strings.Index(address, "@")+1:]
	}
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return address
	}
	u.User = nil
	return u.String()
}

type recordRequest struct {
	RecordID recordID `path:"record_id"`
}

func (a *API) showBuildRecord(c call, in recordRequest) (*envelope[buildRecordAnswer], error) {
	record, err := a.Builds.RecordByID(c.ctx(), c.actor(), build.RecordID(in.RecordID))
	if err != nil {
		return nil, err
	}
	answer := presentRecord(record, a.Now())
	answer.WaitReason, err = a.Builds.WaitOf(c.ctx(), record)
	return wrap(answer), err
}

type listRecordsRequest struct {
	BuildProjectID buildProjectID `path:"build_project_id"`
	Page           pageIndex      `query:"page"`
	Limit          pageSize       `query:"limit"`
	Triggers       []word         `query:"triggers" doc:"MANUAL|TIMED_EXECUTION|CODEHUB_TRIGGER|PIPELINE_TRIGGER"`
	Branches       []word         `query:"branches"`
	Tags           []word         `query:"tags"`
	FromDate       word           `query:"from_date" doc:"time"`
	ToDate         word           `query:"to_date" doc:"time"`
}

type recordPage struct {
	Data       []buildRecordAnswer `json:"data"`
	Pagination pagination          `json:"pagination"`
}

type pagination struct {
	Limit int `json:"limit"`
	Page  int `json:"page"`
	Total int `json:"total"`
}

func (a *API) listRecords(c call, in listRecordsRequest) (*envelope[recordPage], error) {
	q := build.RecordQuery{Branches: mapped(in.Branches, func(w word) string { return string(w) }), Tags: mapped(in.Tags, func(w word) string { return string(w) })}
	for _, w := range in.Triggers {
		trigger := build.Trigger(w)
		if _, ok := triggerWords[trigger]; !ok {
			return nil, invalid(codeInvalid, "triggers", "must be MANUAL, TIMED_EXECUTION, CODEHUB_TRIGGER or PIPELINE_TRIGGER, found %q", shorten(string(w)))
		}
		q.Triggers = append(q.Triggers, trigger)
	}
	var err error
	if q.From, err = a.moment("from_date", in.FromDate); err != nil {
		return nil, err
	}
	if q.To, err = a.moment("to_date", in.ToDate); err != nil {
		return nil, err
	}
	if !q.To.IsZero() {
		q.To = q.To.Add(time.Second) // the second that the client names is inside
	}
	job, err := a.Builds.JobOfBuildProject(c.ctx(), c.actor(), build.BuildProjectID(in.BuildProjectID))
	if err != nil {
		return nil, err
	}
	q.JobID, q.Limit = job.ID, in.Limit.rows()
	q.Offset = int(in.Page) * q.Limit
	records, total, err := a.Builds.Records(c.ctx(), c.actor(), q)
	now := a.Now()
	return wrap(recordPage{
		Data:       list(records, func(r build.Record) buildRecordAnswer { return presentRecord(r, now) }),
		Pagination: pagination{Limit: q.Limit, Page: int(in.Page), Total: total},
	}), err
}

// moment reads a time of the service's zone from a query; the zero time when it is not given.
func (a *API) moment(name string, w word) (time.Time, error) {
	if w == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(layoutPlain, string(w), a.Zone)
	if err != nil {
		return time.Time{}, invalid(codeInvalid, name, "must look like 2022-09-09 06:31:50, found %q", shorten(string(w)))
	}
	return t, nil
}
