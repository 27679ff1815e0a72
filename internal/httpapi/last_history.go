package httpapi

import (
	"atelier/internal/build"
	"atelier/internal/fault"
)

type lastHistoryRequest struct {
	ProjectID  projectID `path:"project_id"`
	Repository word      `query:"repository_name" required:"true"`
}

// lastHistoryAnswer has the daily number where its key says record id: so the vendor's has.
type lastHistoryAnswer struct {
	historyRecord
	JobName  string `json:"job_name"`
	CommitID text   `json:"commit_id"`
}

func (a *API) showLastHistory(c call, in lastHistoryRequest) (*lastHistoryAnswer, error) {
	record, err := a.Builds.LastSuccess(c.ctx(), c.actor(), build.ProjectID(in.ProjectID), string(in.Repository))
	if fault.Is(err, fault.NoHistory) {
		return nil, fault.New(fault.NoHistory, "no build of the repository %q has succeeded in the project", shorten(string(in.Repository)))
	}
	return &lastHistoryAnswer{a.presentHistory(record), record.JobName, text(record.Commit)}, err
}
