package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server/servertest"
)

func TestChangeHistory(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	before := time.Now().Truncate(time.Millisecond)
	task := shell(s, "app", "make <all> & test")
	task.Parameters = &[]model.CreateBuildJobParameter{parameter("token", "hunter2", "sensitiveVar", "true")}
	job := create(t, c, task)
	save := func(command, token string) {
		t.Helper()
		body := fmt.Sprintf(`{"job_id": %q, "arch": %q, "project_id": %q, "job_name": "app",
			"steps": [{"module_id": "sh", "name": "Run", "properties": {"command": %q}}],
			"parameters": [{"name": "hudson.model.StringParameterDefinition", "params": [{"name": "name", "value": "token"}, {"name": "type", "value": "normalparam"},
				{"name": "defaultValue", "value": %q}, {"name": "sensitiveVar", "value": "true"}]}]}`, job, task.Arch, s.Project, command, token)
		if a := s.Call(s.Admin, "POST", "/v1/job/update", body); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	save("make check", "******")         // 1: another command, the same secret
	save("make check", "correct horses") // 2: another secret
	save("make check", "correct horses") // 3: the same again, sealed anew

	list := ok(t, c.ListUpdateJobHistory, &model.ListUpdateJobHistoryRequest{JobId: job}).Result
	records := *list.JobUpdateRecords
	if *list.Total != 4 || len(records) != 4 {
		t.Fatalf("%d of %d records", len(records), *list.Total)
	}
	newest, oldest := records[0], records[len(records)-1]
	if *newest.UserName != s.Admin.Name || *newest.UserId != s.Admin.ID || *newest.UpdateType != "UPDATE" || *newest.UpdateNumber != 3 {
		t.Errorf("the newest record is %v", newest)
	}
	if *oldest.UserName != s.Developer.Name || *oldest.UpdateType != "CREATE" || *oldest.UpdateNumber != 0 || *oldest.UpdateAt < before.UnixMilli() {
		t.Errorf("the oldest record is %v", oldest)
	}
	page := ok(t, c.ListUpdateJobHistory, &model.ListUpdateJobHistoryRequest{JobId: job, PageNo: new(int32(2)), PageSize: new(int32(1))}).Result
	if got := *page.JobUpdateRecords; len(got) != 1 || *got[0].Id != *records[1].Id {
		t.Errorf("the second page has %v", got)
	}

	compare := func(original, revised string) string {
		t.Helper()
		r := ok(t, c.ShowJobConfigDiff, &model.ShowJobConfigDiffRequest{JobId: job, OriginalNo: original, RevisedlNo: revised}).Result
		if r == nil {
			return ""
		}
		for _, secret := range []string{"hunter2", "correct horses"} {
			if strings.Contains(*r, secret) {
				t.Errorf("the difference shows %q:\n%s", secret, *r)
			}
		}
		return *r
	}
	checkLines := func(text string, lines ...string) {
		t.Helper()
		for _, line := range lines {
			if !strings.Contains(text, line+"\n") {
				t.Errorf("no line %s in\n%s", line, text)
			}
		}
	}
	command := compare("0", "1")
	checkLines(command, "--- version 0", "+++ version 1", `-        "command": "make <all> & test"`, `+        "command": "make check"`)
	if strings.Contains(command, "(changed)") {
		t.Errorf("a private value that stayed is shown as changed:\n%s", command)
	}
	checkLines(compare("1", "2"), `-          "value": "******"`, `+          "value": "****** (changed)"`)
	for _, same := range [][2]string{{"1", "1"}, {"2", "3"}} {
		if got := compare(same[0], same[1]); got != "" {
			t.Errorf("versions %v differ:\n%s", same, got)
		}
	}
	refused(t, c.ShowJobConfigDiff, &model.ShowJobConfigDiffRequest{JobId: job, OriginalNo: "0", RevisedlNo: "99"}, 404, "DEVCB.00031006", "revisedl_no: task "+job+" has no version 99")
	refused(t, c.ShowJobConfigDiff, &model.ShowJobConfigDiffRequest{JobId: job, OriginalNo: "99", RevisedlNo: "0"}, 404, "DEVCB.00031006", "original_no: task "+job+" has no version 99")
}

// badHistories are wrong requests about the changes of a task.
func badHistories(a app) []badRequest {
	path := "/v1/job/" + a.job
	const number = "must be a whole number from 0 to 2147483647"
	return []badRequest{
		invalid("no version", "GET", path+"/diff?original_no=0", "", "revisedl_no: is missing"),
		invalid("no original", "GET", path+"/diff?revisedl_no=0", "", "original_no: is missing"),
		invalid("version in words", "GET", path+"/diff?original_no=first&revisedl_no=1", "", "original_no: "+number, `found "first"`),
		invalid("negative version", "GET", path+"/diff?original_no=0&revisedl_no=-1", "", "revisedl_no: "+number),
		invalid("page of the history", "GET", path+"/history?page_no=x", "", "page_no: must be a whole number"),
		invalid("size of the history", "GET", path+"/history?page_size=101", "", "page_size: must be a whole number from 0 to 100"),
	}
}
