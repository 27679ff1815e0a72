package build

import "time"

// FlowJob is one job of a flow. It becomes a build of its own, a child of the flow's, when those that it depends on have
// succeeded.
type FlowJob struct {
	ID        RecordID // of the build that the job becomes
	Name      string
	DependsOn []string
	Skipped   bool   // its condition does not hold; who depends on it need not wait
	Child     Record // the zero record until it begins
}

// Began reports whether the job has become a build.
func (j FlowJob) Began() bool { return j.Child.State != "" }

// Active reports whether the job's build waits or runs.
func (j FlowJob) Active() bool { return j.Began() && !j.Child.State.Final() }

// Satisfied reports whether those that depend on the job may begin.
func (j FlowJob) Satisfied() bool { return j.Skipped || j.Child.State == Succeeded }

// Ready returns the jobs of a flow that may begin now.
func Ready(flow []FlowJob) []FlowJob {
	satisfied := make(map[string]bool)
	for _, j := range flow {
		satisfied[j.Name] = j.Satisfied()
	}
	var ready []FlowJob
	for _, j := range flow {
		waits := j.Began() || j.Skipped
		for _, name := range j.DependsOn {
			waits = waits || !satisfied[name]
		}
		if !waits {
			ready = append(ready, j)
		}
	}
	return ready
}

// NewFlowJob returns a job that has not begun.
func NewFlowJob(name string, dependsOn []string, skipped bool) FlowJob {
	return FlowJob{ID: RecordID(newUUID()), Name: name, DependsOn: dependsOn, Skipped: skipped}
}

// Child returns the record of the build that a job of the flow becomes now: the same task, number, parameters and commit, and another life.
func (r Record) Child(job FlowJob, source SourceInfo, now time.Time) Record {
	child := r.fresh(source, now)
	child.ID, child.ParentID, child.Flow, child.FlowJob = job.ID, r.ID, false, job.Name
	return child
}

// fresh returns r as a build that is queued now, and of which nothing has become yet.
func (r Record) fresh(source SourceInfo, now time.Time) Record {
	r.InfoID, r.ExecutionID = newUUID(), newExecutionID()
	r.Branch, r.Commit, r.CommitMessage, r.CommitTime, r.BuildFile = source.Branch, source.Commit, source.Message, source.Time, ""
	r.Warnings, r.State, r.Error, r.Logged, r.PrivatePool = nil, Queued, "", false, false
	r.CreatedAt, r.ScheduledAt, r.QueuedAt = now, now, now
	r.StartedAt, r.RunnableAt, r.FinishedAt = time.Time{}, time.Time{}, time.Time{}
	r.StopRequestedAt, r.StopRequestedBy = time.Time{}, ""
	return r
}
