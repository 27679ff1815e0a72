package httpapi

import (
	"strings"

	"atelier/internal/build"
)

func (a *API) runningOperations() []operation {
	return []operation{
		handle("ShowRunningStatus", "GET /v1/job/{job_id}/running-status", current, "Does a build task run, and how does its newest build stand?", a.showRunningStatus),
		handle("ShowJobStepStatus", "GET /v1/job/{job_id}/status", current, "How one build stands.", a.showStepStatus),
		handle("ShowBuildDetails", "GET /v1/job/{job_id}/{build_no}/build-info", current, "Result of one build.", a.showBuildDetails),
	}
}

// runningStatusAnswer is about the newest build; a task that was never built has none of it.
type runningStatusAnswer struct {
	IsRunning       bool `json:"is_running"`
	LastBuildNo     text `json:"last_build_no"`
	LastBuildStatus text `json:"last_build_status"`
	LastJobID       text `json:"last_job_id"`
}

func (a *API) showRunningStatus(c call, in jobRequest) (*envelope[runningStatusAnswer], error) {
	running, err := a.Builds.IsRunning(c.ctx(), c.actor(), build.JobID(in.JobID))
	if err != nil {
		return nil, err
	}
	newest, _, err := a.Builds.Records(c.ctx(), c.actor(), build.RecordQuery{JobID: build.JobID(in.JobID), Limit: 1})
	if err != nil || len(newest) == 0 {
		return wrap(runningStatusAnswer{}), err
	}
	last := newest[0]
	return wrap(runningStatusAnswer{running, text(number(last.Number)), text(runningStatus(last.State)), text(last.JobID)}), nil
}

type stepStatusRequest struct {
	JobID   jobID   `path:"job_id"`
	BuildNo buildNo `query:"build_no"`
}

// stepStatusAnswer has the words of the vendor's models, and inside those of its newer service.
type stepStatusAnswer struct {
	Status      string         `json:"status"`
	AbortStatus string         `json:"abort_status"`
	Label       string         `json:"label"`
	Workflow    workflowAnswer `json:"workflow"`
}

type workflowAnswer struct {
	Status      string `json:"status"`
	AbortStatus string `json:"abort_status"`
}

func (a *API) showStepStatus(c call, in stepStatusRequest) (*envelope[stepStatusAnswer], error) {
	number := max(int(in.BuildNo), 1)
	job, err := a.Builds.Job(c.ctx(), c.actor(), build.JobID(in.JobID))
	if err != nil {
		return nil, err
	}
	record, _, err := a.Builds.Record(c.ctx(), c.actor(), job.ID, number)
	if err != nil {
		return nil, err
	}
	answer := stepStatusAnswer{Status: "error", Label: executorLabel(job.Config), Workflow: workflowAnswer{Status: "completed"}}
	switch record.State {
	case build.Succeeded:
		answer.Status = "success"
	case build.Aborted:
		answer.AbortStatus = "aborted"
	case build.TimedOut:
		answer.AbortStatus = "timeout"
	case build.Running:
		answer.Status, answer.Workflow.Status = "running", "runnable"
	case build.Failed, build.Unschedulable:
	default:
		answer.Status, answer.Workflow.Status = "running", "pending"
	}
	answer.Workflow.AbortStatus = answer.AbortStatus
	return wrap(answer), nil
}

// executorLabel names the kind of executor that a task asks for, such as default-x86-2u8g.
func executorLabel(c build.Config) string {
	arch, _, _ := strings.Cut(c.Arch, "-")
	return "default-" + arch + "-" + strings.ToLower(c.Class())
}

type buildDetailsRequest struct {
	JobID   jobID   `path:"job_id"`
	BuildNo buildNo `path:"build_no"`
}

type buildDetailsAnswer struct {
	Building bool   `json:"building"`
	Result   text   `json:"build_result"`
	Region   string `json:"region"`
}

func (a *API) showBuildDetails(c call, in buildDetailsRequest) (*envelope[buildDetailsAnswer], error) {
	record, _, err := a.Builds.Record(c.ctx(), c.actor(), build.JobID(in.JobID), int(in.BuildNo))
	return wrap(buildDetailsAnswer{!record.State.Final(), historyResult(record.State), record.Region}), err
}
