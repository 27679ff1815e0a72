package httpapi

import (
	"bytes"
	"encoding/json"

	"github.com/rogpeppe/go-internal/diff"

	"atelier/internal/build"
)

func (a *API) jobHistoryOperations() []operation {
	return []operation{
		handle("ListUpdateJobHistory", "GET /v1/job/{job_id}/history", current, "Who has changed a build task, and when.", a.listVersions),
		handle("ShowJobConfigDiff", "GET /v1/job/{job_id}/diff", current, "What differs between two versions of a build task.", a.showDiff),
	}
}

type listVersionsRequest struct {
	JobID    jobID    `path:"job_id"`
	PageNo   pageNo   `query:"page_no"`
	PageSize pageSize `query:"page_size"`
}

type versionsAnswer struct {
	Records []versionAnswer `json:"job_update_records"`
	Total   int             `json:"total"`
}

type versionAnswer struct {
	ID       string `json:"id"`
	Number   int    `json:"update_number"`
	Type     string `json:"update_type"`
	At       int64  `json:"update_at"`
	UserID   string `json:"user_id"`
	UserName string `json:"user_name"`
	NickName string `json:"nick_name"`
}

func (a *API) listVersions(c call, in listVersionsRequest) (*envelope[versionsAnswer], error) {
	versions, total, err := a.Builds.Versions(c.ctx(), c.actor(), build.JobID(in.JobID), in.PageNo.offset(in.PageSize), in.PageSize.rows())
	return wrap(versionsAnswer{Total: total, Records: list(versions, func(v build.Version) versionAnswer {
		answer := versionAnswer{
			ID: string(in.JobID) + "." + number(v.Number), Number: v.Number, Type: "UPDATE", At: v.SavedAt.UnixMilli(),
			UserID: v.UserID, UserName: v.UserName, NickName: v.UserName,
		}
		if v.Number == 0 {
			answer.Type = "CREATE"
		}
		return answer
	})}), err
}

type showDiffRequest struct {
	JobID    jobID `path:"job_id"`
	Revised  count `query:"revisedl_no" required:"true"` // the vendor's spelling
	Original count `query:"original_no" required:"true"`
}

func (a *API) showDiff(c call, in showDiffRequest) (*envelope[text], error) {
	before, after, err := a.Builds.Compare(c.ctx(), c.actor(), build.JobID(in.JobID), int(in.Original), int(in.Revised))
	if err != nil {
		return nil, err
	}
	original, err := indented(presentConfig(before))
	if err != nil {
		return nil, err
	}
	revised, err := indented(presentConfig(after))
	return wrap(text(diff.Diff("version "+number(int(in.Original)), original, "version "+number(int(in.Revised)), revised))), err
}

// indented returns v as JSON with a line for each value, and a line feed at its end.
func indented(v any) ([]byte, error) {
	compact, err := encode(v)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
