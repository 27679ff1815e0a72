package api_test

import (
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/plan"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// TestModuleAlias uses a module id that the operator has learnt, and what becomes of it when he forgets it.
func TestModuleAlias(t *testing.T) {
	t.Parallel()
	const id = "devcloud2018.codeci_action_20099.action"
	s := servertest.Start(t, func(c *server.Config) { c.Modules = plan.Modules{id: "go"} })
	task := shell(s, "alias", "echo from the alias")
	task.Steps[0].ModuleId = id
	c := s.Client(s.Developer)
	job := create(t, c, task)
	run(t, c, &model.RunJobRequestBody{JobId: job})
	r := await(t, c, job, 1)
	checkStatus(t, r, "SUCCESS")
	if text := fullLog(s, *r.BuildRecordId); !strings.Contains(text, "from the alias") {
		t.Error(text)
	}
	if steps := ok(t, c.ShowJobConfig, &model.ShowJobConfigRequest{JobId: job}).Result.Steps; steps[0].ModuleId != id {
		t.Errorf("the task has %+v", steps)
	}

	s.Config.Modules = nil
	s.Restart()
	c = s.Client(s.Developer)
	if steps := ok(t, c.ShowJobConfig, &model.ShowJobConfigRequest{JobId: job}).Result.Steps; steps[0].ModuleId != id {
		t.Errorf("the task has %+v", steps)
	}
	ok(t, c.CopyJob, &model.CopyJobRequest{Body: &model.CopyBuildJobRequestBody{Arch: servertest.Arch, ProjectId: s.Project, CopyJobId: job, JobName: "copy"}})
	run(t, c, &model.RunJobRequestBody{JobId: job})
	r = await(t, c, job, 2)
	checkStatus(t, r, "FAILURE")
	if !strings.Contains(*r.ErrMsg, `Step "Run" failed: its module `+id+" is not known to this service") {
		t.Error(*r.ErrMsg)
	}
	ok(t, c.DeleteBuildJob, &model.DeleteBuildJobRequest{JobId: job})
}
