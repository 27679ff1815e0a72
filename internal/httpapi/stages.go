package httpapi

import (
	"time"

	"atelier/internal/build"
)

func (a *API) stageOperations() []operation {
	return []operation{
		handle("ShowBuildRecordFullStages", "GET /v1/record/{record_id}/full-stages", current, "All stages of a build.", a.showStages),
		handle("ShowBuildRecordBuildScript", "GET /v1/record/{record_id}/build-script", current, "What a build was to do, as text.", a.showScript),
	}
}

type stagesRequest struct {
	RecordID recordID `path:"record_id"`
	Cascade  flag     `query:"cascade"`
}

// stagesAnswer has the stages by the names that the operations about logs take. Those of a flow's children have the name of the job
// before them.
type stagesAnswer struct {
	BuildStages map[string]stageAnswer `json:"build_stages"`
	CheckStages *struct{}              `json:"check_stages"` // undocumented, always null
}

type stageAnswer struct {
	ID                 string         `json:"id"`
	BuildRecordID      build.RecordID `json:"build_record_id"`
	ExecutionID        string         `json:"execution_id"`
	ExecutionStageName string         `json:"execution_stage_name"`
	DisplayName        string         `json:"display_name"`
	Status             string         `json:"status"`
	StatusCode         int            `json:"status_code"`
	LogStatus          text           `json:"log_status"` // undocumented, always null
	CreateTime         isoTime        `json:"create_time"`
	ScheduleTime       isoTime        `json:"schedule_time"`
	QueuedTime         isoTime        `json:"queued_time"`
	StartTime          isoTime        `json:"start_time"`
	FinishTime         isoTime        `json:"finish_time"`
	Duration           int64          `json:"duration"`
	BuildDuration      int64          `json:"build_duration"`
	PendingDuration    int64          `json:"pending_duration"`
	NodeID             *int           `json:"node_id"` // null for a stage that did not run
	Sequence           int            `json:"sequence"`
}

func (a *API) showStages(c call, in stagesRequest) (*envelope[stagesAnswer], error) {
	record, err := a.Builds.RecordByID(c.ctx(), c.actor(), build.RecordID(in.RecordID))
	if err != nil {
		return nil, err
	}
	answer := stagesAnswer{BuildStages: make(map[string]stageAnswer)}
	if err := a.addStages(c, answer.BuildStages, record, ""); err != nil || !bool(in.Cascade) {
		return wrap(answer), err
	}
	children, err := a.Builds.ChildrenOf(c.ctx(), record)
	if err != nil {
		return nil, err
	}
	for _, child := range children {
		if err := a.addStages(c, answer.BuildStages, child.Child, child.Name+"/"); err != nil {
			return nil, err
		}
	}
	return wrap(answer), nil
}

func (a *API) addStages(c call, stages map[string]stageAnswer, record build.Record, prefix string) error {
	steps, err := a.Builds.StepsOf(c.ctx(), record)
	now := a.Now()
	for _, s := range steps {
		stages[prefix+s.Stage] = presentStage(record, s, now)
	}
	return err
}

func presentStage(r build.Record, s build.Step, now time.Time) stageAnswer {
	status, code := stageStatus(s, r.State)
	began := orOther(s.StartedAt, r.QueuedAt)
	answer := stageAnswer{
		ID: s.ID, BuildRecordID: r.ID, ExecutionID: r.ExecutionID, ExecutionStageName: s.Stage, DisplayName: s.Name, Status: status, StatusCode: code,
		CreateTime: isoTime(r.CreatedAt), ScheduleTime: isoTime(r.ScheduledAt), QueuedTime: isoTime(r.QueuedAt), StartTime: isoTime(began),
		FinishTime: isoTime(orOther(s.FinishedAt, r.FinishedAt)), BuildDuration: build.Millis(s.RunTime(now)), Sequence: s.Sequence,
	}
	if !s.StartedAt.IsZero() {
		answer.NodeID = &s.Sequence
	}
	if s.Keyword == "" { // the preparation, before which the build waited
		answer.PendingDuration = build.Millis(r.WaitTime())
	}
	answer.Duration = answer.BuildDuration + answer.PendingDuration
	return answer
}

func orOther(t, other time.Time) time.Time {
	if t.IsZero() {
		return other
	}
	return t
}

// stageStatus is the state of a step in the words of records. A step that did not run in a build that is over has ended with it.
func stageStatus(s build.Step, of build.State) (string, int) {
	switch s.State {
	case build.StepRunning:
		return recordStatus(build.Running)
	case build.StepSucceeded:
		return recordStatus(build.Succeeded)
	case build.StepFailed:
		return recordStatus(build.Failed)
	case build.StepAborted:
		return recordStatus(build.Aborted)
	}
	if of.Final() {
		return recordStatus(build.Aborted)
	}
	return recordStatus(build.Queued)
}

func (a *API) showScript(c call, in recordRequest) (*envelope[string], error) {
	record, err := a.Builds.RecordByID(c.ctx(), c.actor(), build.RecordID(in.RecordID))
	if err != nil {
		return nil, err
	}
	script, err := a.Builds.ScriptOf(c.ctx(), record)
	return wrap(script), err
}
