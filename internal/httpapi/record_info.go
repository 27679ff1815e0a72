package httpapi

import (
	"strings"
	"time"

	"atelier/internal/build"
)

func (a *API) recordInfoOperations() []operation {
	return []operation{
		handle("ShowRecordInfo", "GET /v3/jobs/{job_id}/{build_no}/record-info", retiring, "One build by task and number.", a.showRecordInfo),
		handle("ShowRecordDetail", "GET /v4/jobs/{job_id}/{build_no}/record-info", outdated, "One build by task and number.", a.showRecordDetail),
		handle("ShowJobBuildRecordDetail", "GET /v1/record/{job_id}/{build_no}/record-info", current, "One build by task and number.", a.showRecordDetail),
	}
}

// recordInfo is a build in the spelling that SDKs decode.
type recordInfo struct {
	ID                string               `json:"id"`
	BuildProjectID    build.BuildProjectID `json:"build_project_id"`
	BuildRecordID     build.RecordID       `json:"build_record_id"`
	ParentRecordID    text                 `json:"parent_record_id"`
	DevcloudProjectID build.ProjectID      `json:"devcloud_project_id"`
	CodeciJobID       build.JobID          `json:"codeci_job_id"`
	UserID            string               `json:"user_id"`
	BuildNo           int                  `json:"build_no"`
	DailyBuildNum     string               `json:"daily_build_num"`
	ExecutionID       string               `json:"execution_id"`
	RepoName          text                 `json:"repo_name"`
	RepoID            text                 `json:"repo_id"`
	Branch            text                 `json:"branch"`
	Tag               text                 `json:"tag"`
	Commit            text                 `json:"commit"`
	CommitMessage     text                 `json:"commit_message"`
	CommitCreateTime  isoTime              `json:"commit_create_time"`
	TriggerType       build.Trigger        `json:"trigger_type"`
	BuildType         build.RefKind        `json:"build_type"`
	Status            string               `json:"status"`
	DomainID          string               `json:"domain_id"`
	CreateTime        isoTime              `json:"create_time"`
	ScheduleTime      isoTime              `json:"schedule_time"`
	QueuedTime        isoTime              `json:"queued_time"`
	StartTime         isoTime              `json:"start_time"`
	RunnableTime      isoTime              `json:"runnable_time"`
	FinishTime        isoTime              `json:"finish_time"`
	Duration          millis               `json:"duration"`
	RecordStatus      text                 `json:"record_status"` // undocumented, always null
	UsePrivateSlave   int                  `json:"use_private_slave"`
	Region            string               `json:"region"`
	ErrMsg            text                 `json:"err_msg"`
	BuildConfigType   build.ConfigKind     `json:"build_config_type"`
}

// recordInfoPage is the same in the spelling of the vendor's reference page. The compiler keeps the two alike.
type recordInfoPage struct {
	ID                string               `json:"id"`
	BuildProjectID    build.BuildProjectID `json:"buildProjectId"`
	BuildRecordID     build.RecordID       `json:"buildRecordId"`
	ParentRecordID    text                 `json:"parentRecordId"`
	DevcloudProjectID build.ProjectID      `json:"devcloudProjectId"`
	CodeciJobID       build.JobID          `json:"codeciJobId"`
	UserID            string               `json:"userId"`
	BuildNo           int                  `json:"buildNo"`
	DailyBuildNum     string               `json:"dailyBuildNum"`
	ExecutionID       string               `json:"executionId"`
	RepoName          text                 `json:"repoName"`
	RepoID            text                 `json:"repoId"`
	Branch            text                 `json:"branch"`
	Tag               text                 `json:"tag"`
	Commit            text                 `json:"commit"`
	CommitMessage     text                 `json:"commitMessage"`
	CommitCreateTime  isoTime              `json:"commitCreateTime"`
	TriggerType       build.Trigger        `json:"triggerType"`
	BuildType         build.RefKind        `json:"buildType"`
	Status            string               `json:"status"`
	DomainID          string               `json:"domainId"`
	CreateTime        isoTime              `json:"createTime"`
	ScheduleTime      isoTime              `json:"scheduleTime"`
	QueuedTime        isoTime              `json:"queuedTime"`
	StartTime         isoTime              `json:"startTime"`
	RunnableTime      isoTime              `json:"runnableTime"`
	FinishTime        isoTime              `json:"finishTime"`
	Duration          millis               `json:"duration"`
	RecordStatus      text                 `json:"recordStatus"`
	UsePrivateSlave   int                  `json:"usePrivateSlave"`
	Region            string               `json:"region"`
	ErrMsg            text                 `json:"errMsg"`
	BuildConfigType   build.ConfigKind     `json:"buildConfigType"`
}

// millis is a duration in milliseconds: a whole number, or a float where the vendor's type is one.
type millis struct {
	value int64
	float bool
}

// MarshalJSON implements [json.Marshaler].
func (m millis) MarshalJSON() ([]byte, error) {
	if m.float {
		return floatMillis(m.value).MarshalJSON()
	}
	return encode(m.value)
}

// recordInfoAnswer is the envelope of the v3 operation.
type recordInfoAnswer[T any] struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
	ErrCode string `json:"err_code"`
	Result  T      `json:"result"`
}

func presentRecordInfo(r build.Record, now time.Time, float bool) recordInfo {
	status, _ := recordStatus(r.State)
	info := recordInfo{
		ID: r.InfoID, BuildProjectID: r.BuildProjectID, BuildRecordID: r.ID, ParentRecordID: text(r.ParentID), DevcloudProjectID: r.ProjectID,
		CodeciJobID: r.JobID, UserID: r.UserID, BuildNo: r.Number, DailyBuildNum: r.DailyNumber, ExecutionID: r.ExecutionID,
		RepoName: text(r.Repo.Name), RepoID: text(r.Repo.ID), Branch: text(r.Branch), Tag: text(r.Tag), Commit: text(r.Commit),
		CommitMessage: text(r.CommitMessage), CommitCreateTime: isoTime(r.CommitTime), TriggerType: r.Trigger, BuildType: r.RefKind, Status: status,
		DomainID: r.DomainID, CreateTime: isoTime(r.CreatedAt), ScheduleTime: isoTime(r.ScheduledAt), QueuedTime: isoTime(r.QueuedAt),
		StartTime: isoTime(r.StartedAt), RunnableTime: isoTime(r.RunnableAt), FinishTime: isoTime(r.FinishedAt),
		Duration: millis{build.Millis(r.RunTime(now)), float}, Region: r.Region, ErrMsg: text(r.Error), BuildConfigType: r.ConfigKind,
	}
	if r.PrivatePool {
		info.UsePrivateSlave = 1
	}
	return info
}

// sdkAgent is how the User-Agent of every official SDK begins.
const sdkAgent = "huaweicloud-usdk-"

func (a *API) showRecordInfo(c call, in buildRequest) (encoded[recordInfoAnswer[recordInfoPage], recordInfoAnswer[recordInfo]], error) {
	// SDKs decode another spelling than the reference page shows, so this one operation answers each in its own.
	c.w.Header().Set("Vary", "User-Agent")
	sdk := strings.HasPrefix(c.r.Header.Get("User-Agent"), sdkAgent)
	body, err := a.finished.info(c.ctx(), recordKey{build.JobID(in.JobID), int(in.BuildNo), sdk}, c.actor())
	if body != nil || err != nil {
		return body, err
	}
	return a.loadRecordInfo(c, in, sdk)
}

func (a *API) loadRecordInfo(c call, in buildRequest, sdk bool) ([]byte, error) {
	// Read before the record: what changes in between makes the cache forget.
	epoch, err := a.Epoch(c.ctx())
	if err != nil {
		return nil, err
	}
	record, ref, err := a.Builds.Record(c.ctx(), c.actor(), build.JobID(in.JobID), int(in.BuildNo))
	if err != nil {
		return nil, err
	}
	info := presentRecordInfo(record, a.Now(), true)
	var body []byte
	if sdk {
		body, err = encode(recordInfoAnswer[recordInfo]{Success: true, Result: info})
	} else {
		body, err = encode(recordInfoAnswer[recordInfoPage]{Success: true, Result: recordInfoPage(info)})
	}
	if err == nil && record.State.Final() {
		a.finished.put(recordKey{record.JobID, record.Number, sdk}, finishedRecord{body, ref}, epoch)
	}
	return body, err
}

func (a *API) showRecordDetail(c call, in buildRequest) (*envelope[recordInfo], error) {
	record, _, err := a.Builds.Record(c.ctx(), c.actor(), build.JobID(in.JobID), int(in.BuildNo))
	return wrap(presentRecordInfo(record, a.Now(), false)), err
}
