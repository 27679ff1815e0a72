package httpapi

import (
	"math"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// The longest periods of queries, in days.
const (
	maxHistoryDays = 30
	maxRecordDays  = 31
)

// period reads two days of the service's zone, both of which are inside. It returns the beginning of the first and of the day after
// the second.
func (a *API) period(first, last word) (from, to time.Time, err error) {
	if from, err = a.day("start_time", first); err != nil {
		return from, to, err
	}
	if to, err = a.day("end_time", last); err != nil {
		return from, to, err
	}
	switch {
	case to.Before(from):
		return from, to, invalid(codeInvalid, "end_time", "must not be before start_time, found %s and %s", last, first)
	case from.AddDate(0, 0, maxHistoryDays).Before(to):
		return from, to, fault.New(fault.Period, "start_time and end_time may be at most %d days apart, found %s and %s", maxHistoryDays, first, last)
	}
	return from, to.AddDate(0, 0, 1), nil
}

func (a *API) day(name string, w word) (time.Time, error) {
	t, err := time.ParseInLocation(layoutDay, string(w), a.Zone)
	if err != nil {
		return t, invalid(codeInvalid, name, "must look like 2022-09-09, found %q", shorten(string(w)))
	}
	return t, nil
}

type periodHistoryRequest struct {
	JobID  jobID     `path:"job_id"`
	Offset pageIndex `query:"offset"` // a page number
	Limit  pageSize  `query:"limit"`
	Start  word      `query:"start_time" required:"true" doc:"day"`
	End    word      `query:"end_time" required:"true" doc:"day"`
}

type periodHistoryAnswer struct {
	HistoryRecords []periodHistoryRecord `json:"history_records"`
	Total          int                   `json:"total"`
}

type periodHistoryRecord struct {
	historyRecord
	Branch        text `json:"branch"`
	CommitID      text `json:"commit_id"`
	CommitMessage text `json:"commit_message"`
	Executor      text `json:"executor"`
	TriggerType   text `json:"trigger_type"`
}

func (a *API) showPeriodHistory(c call, in periodHistoryRequest) (*periodHistoryAnswer, error) {
	from, to, err := a.period(in.Start, in.End)
	if err != nil {
		return nil, err
	}
	limit := in.Limit.rows()
	records, total, err := a.Builds.Records(c.ctx(), c.actor(), build.RecordQuery{
		JobID: build.JobID(in.JobID), From: from, To: to, Limit: limit, Offset: int(in.Offset) * limit,
	})
	return &periodHistoryAnswer{Total: total, HistoryRecords: list(records, func(r build.Record) periodHistoryRecord {
		return periodHistoryRecord{
			historyRecord: a.presentHistory(r), Branch: text(r.Branch), CommitID: text(r.Commit), CommitMessage: text(r.CommitMessage),
			Executor: text(r.UserName), TriggerType: text(triggerWord(c.r, r.Trigger)),
		}
	})}, err
}

type periodRatioRequest struct {
	JobID jobID `path:"job_id"`
	Start word  `query:"start_time" required:"true" doc:"day"`
	End   word  `query:"end_time" required:"true" doc:"day"`
}

type periodRatioAnswer struct {
	Successes int     `json:"success_count"`
	Total     int     `json:"total_count"`   // of finished builds
	Ratio     float64 `json:"success_ratio"` // 0 to 1, with two decimals; 0 without builds
}

func (a *API) showSuccessRatio(c call, in periodRatioRequest) (*periodRatioAnswer, error) {
	from, to, err := a.period(in.Start, in.End)
	if err != nil {
		return nil, err
	}
	finished, succeeded, err := a.Builds.CountResults(c.ctx(), c.actor(), build.JobID(in.JobID), from, to)
	answer := periodRatioAnswer{Successes: succeeded, Total: finished}
	if finished > 0 {
		answer.Ratio = math.Round(100*float64(succeeded)/float64(finished)) / 100
	}
	return &answer, err
}
