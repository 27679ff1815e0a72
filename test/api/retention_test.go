package api_test

import (
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/purge"
	"atelier/internal/server/servertest"
)

// TestRetention starts a server that keeps less than there is: the old builds go with their logs, and the latest stays.
func TestRetention(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	job := create(t, c, shell(s, "app", "true"))
	var records []string
	for number := 1; number <= 3; number++ {
		run(t, c, &model.RunJobRequestBody{JobId: job})
		records = append(records, *await(t, c, job, number).BuildRecordId)
	}
	s.Config.Retention = purge.Retention{For: time.Millisecond, Latest: 1}
	s.Restart()
	c = s.Client(s.Developer)
	awaitNoLogs(t, s, records[:2]...)
	for number := range int32(2) {
		refused(t, c.ShowRecordInfo, &model.ShowRecordInfoRequest{JobId: job, BuildNo: number + 1}, 404, "CB.00031006", "has no build")
	}
	if kept := ok(t, c.ShowRecordInfo, &model.ShowRecordInfoRequest{JobId: job, BuildNo: 3}); *kept.Result.Status != "SUCCESS" {
		t.Errorf("the latest build is %+v", kept.Result)
	}
	if n := run(t, c, &model.RunJobRequestBody{JobId: job}); n != 4 {
		t.Errorf("the next build has the number %d", n)
	}
	await(t, c, job, 4)
}
