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
	child := r
	child.ID, child.InfoID, child.ParentID, child.ExecutionID = job.ID, newUUID(), r.ID, newExecutionID()
	child.Flow, child.FlowJob = false, job.Name
	child.Branch, child.Commit, child.CommitMessage, child.CommitTime = source.Branch, source.Commit, source.Message, source.Time
	child.BuildFile, child.Warnings = "", nil
	child.State, child.Error = Queued, ""
	child.CreatedAt, child.ScheduledAt, child.QueuedAt = now, now, now
	child.StartedAt, child.RunnableAt, child.FinishedAt = time.Time{}, time.Time{}, time.Time{}
	child.StopRequestedAt, child.StopRequestedBy = time.Time{}, ""
	return child
}
