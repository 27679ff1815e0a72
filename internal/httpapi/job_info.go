package httpapi

import (
	"bytes"
	"fmt"
	"strings"

	"atelier/internal/build"
)

func (a *API) jobInfoOperations() []operation {
	return []operation{
		handle("ShowJobInfo", "GET /v1/job/{job_id}/info", current, "A build task: its last build, its health, what the caller may do.", a.showJobInfo),
		handle("ShowJobPipelineInfo", "GET /v1/job/{job_id}/pipeline-info", current, "What a pipeline has to know of a build task.", a.showPipelineInfo),
	}
}

type jobInfoAnswer struct {
	ID             build.JobID          `json:"id"`
	ProjectID      build.BuildProjectID `json:"project_id"` // which is the build project's here
	JobName        string               `json:"job_name"`
	CreateTime     *int64               `json:"create_time"`
	LastTime       *int64               `json:"last_build_time"`
	LastStatus     text                 `json:"last_build_status"`
	Running        text                 `json:"running_status"`
	BuildTime      string               `json:"build_time"`
	ChargeTime     string               `json:"charge_time"`
	HealthScore    int                  `json:"health_score"`
	SourceCode     string               `json:"source_code"`
	Disabled       bool                 `json:"disabled"`
	Favorite       bool                 `json:"favorite"`
	NewBuild       bool                 `json:"new_build"`
	FollowsProject bool                 `json:"project_permission_switch"`
	rightsAnswer
	IsManager bool `json:"is_manager"`
}

func (a *API) showJobInfo(c call, in jobRequest) (*envelope[jobInfoAnswer], error) {
	job, err := a.Builds.JobSummary(c.ctx(), c.actor(), build.JobID(in.JobID))
	if err != nil {
		return nil, err
	}
	matrix, err := a.IAM.Matrix(c.ctx(), job.ID)
	if err != nil {
		return nil, err
	}
	answer := jobInfoAnswer{
		ID: job.ID, ProjectID: job.BuildProjectID, JobName: job.Config.Name, CreateTime: epochMillis(job.CreatedAt), BuildTime: "0.00", ChargeTime: "0.00",
		HealthScore: job.HealthScore, SourceCode: "codeci", Disabled: job.Disabled != nil, Favorite: job.Favourite, FollowsProject: !matrix.Own,
		rightsAnswer: a.rights(c, job.Ref()), IsManager: a.Builds.Check(c.ctx(), c.actor(), job.Ref(), build.Manage) == nil,
	}
	if last := job.Last; last != nil {
		status, _ := recordStatus(last.State)
		answer.LastTime, answer.LastStatus, answer.Running = epochMillis(last.CreatedAt), text(strings.ToLower(status)), text(runningStatus(last.State))
		answer.BuildTime = fmt.Sprintf("%.2f", last.RunTime(a.Now()).Minutes())
	}
	return wrap(answer), nil
}

type pipelineInfoRequest struct {
	JobID    jobID `path:"job_id"`
	All      flag  `query:"all"` // what it leaves out is not documented, so everything is always there
	OnlyUsed flag  `query:"check_param_used"`
}

// pipelineParameter has two fields more than elsewhere, of which nothing is known.
type pipelineParameter struct {
	parameterAnswer
	Language text `json:"language"`
	Region   text `json:"region"`
}

type pipelineInfoAnswer struct {
	JobName      string              `json:"job_name"`
	NamePattern  string              `json:"job_name_regex"`
	NameMessage  string              `json:"job_name_massage"` // the vendor's spelling
	Parameters   []pipelineParameter `json:"parameters"`
	Sources      []sourceAnswer      `json:"scms"`
	SourceCode   string              `json:"source_code"`
	BuildProject string              `json:"build_project_id"`
}

func (a *API) showPipelineInfo(c call, in pipelineInfoRequest) (*envelope[pipelineInfoAnswer], error) {
	job, err := a.Builds.Job(c.ctx(), c.actor(), build.JobID(in.JobID))
	if err != nil {
		return nil, err
	}
	config := presentConfig(job)
	if in.OnlyUsed && job.Config.EffectiveKind() == build.Action { // what a build file uses is known at its commit only
		used, err := encode([]any{config.Steps, config.Sources})
		if err != nil {
			return nil, err
		}
		config.Parameters = []parameterAnswer{}
		for _, p := range job.Config.Parameters {
			if p.Name() == build.BranchParameter || bytes.Contains(used, []byte(p.Name())) {
				config.Parameters = append(config.Parameters, presentParameter(p))
			}
		}
	}
	return wrap(pipelineInfoAnswer{
		JobName: config.Name, NamePattern: build.JobNamePattern,
		Parameters: list(config.Parameters, func(p parameterAnswer) pipelineParameter { return pipelineParameter{parameterAnswer: p} }), Sources: config.Sources, SourceCode: "codeci", BuildProject: string(job.BuildProjectID),
		NameMessage: fmt.Sprintf("The name has 1 to %d letters, digits, hyphens or underscores.", build.MaxJobName),
	}), nil
}
