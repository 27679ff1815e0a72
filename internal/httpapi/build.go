package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"atelier/internal/build"
)

func (a *API) buildOperations() []operation {
	return []operation{
		handle("RunJob", "POST /v3/jobs/build", outdated, "Start a build.", a.runJob),
		handle("ExecuteJob", "POST /v1/job/execute", current, "Start a build.", a.executeJob),
		handle("RerunBuild", "POST /v3/jobs/{job_id}/{build_no}/rerun", own, "Repeat a build: the same parameters and commit.", a.rerunBuild),
		handle("StopBuildJob", "POST /v3/jobs/{job_id}/{build_no}/stop", outdated, "Stop a build.", a.stopBuildJob),
		handle("StopJob", "POST /v3/jobs/stop", retiring, "Stop a build.", a.stopJob),
		handle("StopTheJob", "POST /v1/job/{job_id}/stop", current, "Stop a build.", a.stopTheJob),
		handle("ShowJobStatus", "GET /v3/jobs/{job_id}/status", outdated, "Does a build of the task wait or run?", a.showJobStatus),
	}
}

type runRequest struct {
	Body runBody `body:"json"`
}

type runBody struct {
	JobID     string          `json:"job_id" doc:"required"`
	Parameter []nameValueBody `json:"parameter"`
	Trigger   build.Trigger   `json:"trigger_type"` // Atelier's own: a pipeline says that it is one
	SCM       struct {
		Tag       looseText `json:"build_tag"`
		CommitID  looseText `json:"build_commit_id"`
		Branch    looseText `json:"branch"`
		BuildType looseText `json:"build_type"`
	} `json:"scm"`
}

// startedAnswer has texts only, also for numbers.
type startedAnswer struct {
	OctopusJobName    string `json:"octopus_job_name"`
	ActualBuildNumber string `json:"actual_build_number"`
	DailyBuildNumber  string `json:"daily_build_number"`
}

func (a *API) start(c call, body runBody) (*startedAnswer, error) {
	var id jobID
	if err := id.parse("job_id", body.JobID); err != nil {
		return nil, err
	}
	token, err := clientToken(c.r.Header)
	if err != nil {
		return nil, err
	}
	if t := body.Trigger; t != "" && t != build.Manual && t != build.Pipeline {
		return nil, invalid(codeInvalid, "trigger_type", "must be %s or %s, found %q", build.Manual, build.Pipeline, shorten(string(t)))
	}
	if err := checkValues("parameter", body.Parameter); err != nil {
		return nil, err
	}
	record, err := a.Builds.Start(c.ctx(), c.actor(), build.StartRequest{
		JobID: build.JobID(id), Token: token, Trigger: body.Trigger, Parameters: mapped(body.Parameter, nameValueBody.domain), RefKind: build.RefKind(body.SCM.BuildType),
		Branch: string(body.SCM.Branch), Tag: string(body.SCM.Tag), Commit: string(body.SCM.CommitID),
	})
	return &startedAnswer{record.ExecutionID, number(record.Number), record.DailyNumber}, err
}

// clientToken returns the token that makes a start request safe to repeat; empty when the client gave none.
func clientToken(h http.Header) (string, error) {
	const longest = 64
	values := h[build.ClientToken]
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", invalid(codeInvalid, build.ClientToken, "is given %d times, once is allowed", len(values))
	}
	token := values[0]
	bad := strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
	if bad || token == "" || len(token) > longest {
		return "", invalid(codeInvalid, build.ClientToken, "must be 1 to %d printable ASCII characters without blanks, found %q of %d bytes",
			longest, shorten(token), len(token))
	}
	return token, nil
}

func (a *API) rerunBuild(c call, in buildRequest) (*startedAnswer, error) {
	record, err := a.Builds.Rerun(c.ctx(), c.actor(), build.JobID(in.JobID), int(in.BuildNo))
	return &startedAnswer{record.ExecutionID, number(record.Number), record.DailyNumber}, err
}

func (a *API) runJob(c call, in runRequest) (*startedAnswer, error) {
	return a.start(c, in.Body)
}

// executeAnswer holds the same twice: SDKs read it at the top, other clients below result.
type executeAnswer struct {
	startedAnswer
	envelope[startedAnswer]
}

func (a *API) executeJob(c call, in runRequest) (*executeAnswer, error) {
	started, err := a.start(c, in.Body)
	if err != nil {
		return nil, err
	}
	return &executeAnswer{*started, *wrap(*started)}, nil
}

type buildRequest struct {
	JobID   jobID   `path:"job_id"`
	BuildNo buildNo `path:"build_no"`
}

type stopBuildAnswer struct {
	Success bool   `json:"success"`
	Result  string `json:"result"`
}

func (a *API) stopBuildJob(c call, in buildRequest) (*stopBuildAnswer, error) {
	return &stopBuildAnswer{Success: true}, a.Builds.Stop(c.ctx(), c.actor(), build.JobID(in.JobID), int(in.BuildNo))
}

type stopJobRequest struct {
	Body struct {
		JobID   string    `json:"job_id" doc:"required"`
		BuildNo looseText `json:"build_no" doc:"required"`
	} `body:"json"`
}

type boolAnswer struct {
	Result bool `json:"result"`
}

func (a *API) stopJob(c call, in stopJobRequest) (*boolAnswer, error) {
	var id jobID
	if err := id.parse("job_id", in.Body.JobID); err != nil {
		return nil, err
	}
	var n buildNo
	if err := n.parse("build_no", string(in.Body.BuildNo)); err != nil {
		return nil, err
	}
	return &boolAnswer{true}, a.Builds.Stop(c.ctx(), c.actor(), build.JobID(id), int(n))
}

// stopTheJobRequest takes the number where SDKs put it and where other clients do; the query wins.
type stopTheJobRequest struct {
	JobID   jobID   `path:"job_id"`
	BuildNo buildNo `query:"build_no"`
	Body    struct {
		BuildNo looseText `json:"build_no"`
	} `body:"optional"`
}

func (a *API) stopTheJob(c call, in stopTheJobRequest) (*success, error) {
	n := in.BuildNo
	if n == 0 && in.Body.BuildNo != "" {
		if err := n.parse("build_no", string(in.Body.BuildNo)); err != nil {
			return nil, err
		}
	}
	return &success{"success"}, a.Builds.Stop(c.ctx(), c.actor(), build.JobID(in.JobID), int(n)) // 0: the newest that runs
}

func (a *API) showJobStatus(c call, in jobRequest) (*boolAnswer, error) {
	running, err := a.Builds.IsRunning(c.ctx(), c.actor(), build.JobID(in.JobID))
	return &boolAnswer{running}, err
}

func number(n int) string { return strconv.Itoa(n) }
