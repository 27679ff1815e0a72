package server_test

import (
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server/servertest"
)

// TestServer checks that a server answers the official client.
func TestServer(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	list, err := s.Client(s.Developer).ShowJobListByProjectId(&model.ShowJobListByProjectIdRequest{ProjectId: s.Project, PageIndex: 0, PageSize: 10})
	if err != nil {
		t.Fatal(err)
	}
	if *list.Total != 0 {
		t.Errorf("the new project has %d tasks", *list.Total)
	}
}
