package api_test

import (
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam"
	"atelier/internal/server/servertest"
)

// TestLastHistory asks for the newest build of a repository that succeeded, over two tasks.
func TestLastHistory(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	repo := s.NewRepository("app")
	repo.Write(".cloudbuild/build.yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh: {inputs: {command: \"exit ${CODE:-0}\"}}\n")
	commit := repo.Commit("init")
	ask := func(name string) *model.ShowLastHistoryRequest {
		return &model.ShowLastHistoryRequest{ProjectId: s.Project, RepositoryName: name}
	}
	first := create(t, c, fromFile(s, "first", repo.URL()))
	refused(t, c.ShowLastHistory, ask("app"), 403, "CB.00031059", `no build of the repository "app" has succeeded`)
	second := create(t, c, fromFile(s, "second", repo.URL()))
	for n, job := range []string{first, second, first} {
		run(t, c, &model.RunJobRequestBody{JobId: job})
		await(t, c, job, n/2+1)
	}
	run(t, c, &model.RunJobRequestBody{JobId: second, Parameter: &[]model.ParameterItem{{Name: "CODE", Value: "1"}}})
	await(t, c, second, 2)
	last := ok(t, c.ShowLastHistory, ask("app"))
	if *last.JobId != first || *last.JobName != "first" || *last.BuildNumber != 2 || *last.Result != "SUCCESS" || *last.CommitId != commit || *last.RecordId == "" || *last.StartTime == "" || *last.EndTime == "" {
		t.Errorf("the last success is %+v", last)
	}

	tester, outsider := s.NewUser("tester"), s.NewUser("outsider")
	s.Grant(s.Project, tester, iam.Tester)
	refused(t, s.Client(tester).ShowLastHistory, ask("app"), 403, "CB.00031001", "view")
	refused(t, s.Client(outsider).ShowLastHistory, ask("app"), 404, "CB.00031006", "does not exist")
	checkProblem(t, s, s.Call(s.Developer, "GET", "/v3/jobs/"+s.Project+"/last-history", ""), 400, "CB.00060200", "repository_name: is missing")
}
