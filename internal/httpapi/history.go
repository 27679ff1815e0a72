package httpapi

import (
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
)

func (a *API) historyOperations() []operation {
	return []operation{
		handle("ShowListHistory", "GET /v3/jobs/{job_id}/history", outdated, "Builds of a task in the last days.", a.showListHistory),
		handle("ShowListPeriodHistory", "GET /v3/jobs/{job_id}/period-history", outdated, "Builds of a task between two days.", a.showPeriodHistory),
		handle("ShowLastHistory", "GET /v3/jobs/{project_id}/last-history", outdated, "The newest build of a repository in a project that succeeded.", a.showLastHistory),
		handle("ShowJobSuccessRatio", "GET /v3/jobs/{job_id}/success-ratio", outdated, "Share of a task's builds between two days that succeeded.", a.showSuccessRatio),
		handle("ShowHistoryDetails", "GET /v3/jobs/{job_id}/{build_number}/history-details", outdated, "Steps and parameters of one build.", a.showHistoryDetails),
	}
}

type listHistoryRequest struct {
	JobID    jobID     `path:"job_id"`
	Offset   pageIndex `query:"offset"` // a page number
	Limit    pageSize  `query:"limit"`
	Interval days      `query:"interval"`
}

// days is a number of days back from today, 7 when it is not given.
type days struct {
	n     int
	given bool
}

func (d *days) parse(name, value string) error {
	n, err := parseNumber(name, value, 0, 30)
	*d = days{int(n), true}
	return err
}

type historyAnswer struct {
	HistoryRecords []historyRecord `json:"history_records"`
	Total          int             `json:"total"`
}

// historyRecord has the daily number where its key says record id: so the vendor's has.
type historyRecord struct {
	RecordID    string      `json:"record_id"`
	JobID       build.JobID `json:"job_id"`
	BuildNumber int         `json:"build_number"`
	StartTime   text        `json:"start_time"`
	EndTime     text        `json:"end_time"`
	Result      text        `json:"result"`
}

func (a *API) showListHistory(c call, in listHistoryRequest) (*historyAnswer, error) {
	interval := 7
	if in.Interval.given {
		interval = in.Interval.n
	}
	year, month, day := a.Now().In(a.Zone).Date()
	limit := in.Limit.rows()
	records, total, err := a.Builds.Records(c.ctx(), c.actor(), build.RecordQuery{
		JobID: build.JobID(in.JobID), From: time.Date(year, month, day-interval, 0, 0, 0, 0, a.Zone), Limit: limit, Offset: int(in.Offset) * limit,
	})
	return &historyAnswer{Total: total, HistoryRecords: list(records, a.presentHistory)}, err
}

func (a *API) presentHistory(r build.Record) historyRecord {
	return historyRecord{
		RecordID: r.DailyNumber, JobID: r.JobID, BuildNumber: r.Number, StartTime: a.local(startOf(r)), EndTime: a.local(r.FinishedAt), Result: historyResult(r.State),
	}
}

// local is a moment in the service's zone; null when it has not come.
func (a *API) local(t time.Time) text {
	if t.IsZero() {
		return ""
	}
	return text(t.In(a.Zone).Format(layoutLocal))
}

type historyDetailsRequest struct {
	JobID       jobID   `path:"job_id"`
	BuildNumber buildNo `path:"build_number"`
}

type historyDetailsAnswer struct {
	JobName     string            `json:"job_name"`
	BuildNumber int               `json:"build_number"`
	ProjectID   build.ProjectID   `json:"project_id"`
	ProjectName string            `json:"project_name"`
	Parameters  map[string]string `json:"parameters"`
	BuildSteps  []historyStep     `json:"build_steps"`
}

type historyStep struct {
	Name      string `json:"name"`
	Status    string `json:"status"`
	BuildTime int64  `json:"build_time"`
}

func (a *API) showHistoryDetails(c call, in historyDetailsRequest) (*historyDetailsAnswer, error) {
	record, _, err := a.Builds.Record(c.ctx(), c.actor(), build.JobID(in.JobID), int(in.BuildNumber))
	if err != nil {
		return nil, err
	}
	if record.RunnableAt.IsZero() {
		return nil, fault.New(fault.NoHistory, "build %d has not begun, so there is no history of its steps", record.Number)
	}
	steps, err := a.Builds.StepsOf(c.ctx(), record)
	if err != nil {
		return nil, err
	}
	name, err := a.IAM.ProjectName(c.ctx(), string(record.ProjectID))
	if err != nil {
		return nil, err
	}
	answer := historyDetailsAnswer{
		JobName: record.JobName, BuildNumber: record.Number, ProjectID: record.ProjectID, ProjectName: name,
		Parameters: make(map[string]string, len(record.Parameters)), BuildSteps: []historyStep{},
	}
	for _, v := range record.Parameters {
		answer.Parameters[v.Name] = shown(v)
	}
	now := a.Now()
	for _, s := range steps {
		if s.Keyword == "" {
			continue // the preparation, which is not shown to people
		}
		answer.BuildSteps = append(answer.BuildSteps, historyStep{s.Name, stepStatus(s.State), build.Millis(s.RunTime(now))})
	}
	return &answer, nil
}
