package api_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/executor/container"
	"atelier/internal/executor/container/podmantest"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// TestReportsOfContainers collects what a step has left that ran in a container.
func TestReportsOfContainers(t *testing.T) {
	t.Parallel()
	engine := podmantest.Start(t)
	file := filepath.Join(t.TempDir(), "images.yml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "default: tools\nimages: {tools: %s}\n", podmantest.Tools), 0o600); err != nil {
		t.Fatal(err)
	}
	images, err := container.ReadCatalogue(file)
	if err != nil {
		t.Fatal(err)
	}
	s := servertest.Start(t, func(c *server.Config) {
		c.Containers = &container.Config{Socket: engine.Socket, Network: "none", Images: images, Pull: "never"}
	})
	c := s.Client(s.Developer)
	task := shell(s, "inside", `echo '<testsuite><testcase name="a"/></testsuite>' > TEST-a.xml; printf 'mode: set\na.go:1.1,2.2 3 1\n' > cover.out; exit 3`)
	collect(&task.Steps[0], "file", "TEST*.xml", "junitCoverageSwitch", "true", "coverageReportPath", "cover.out")
	job := create(t, c, task)
	run(t, c, &model.RunJobRequestBody{JobId: job})
	checkStatus(t, await(t, c, job, 1), "FAILURE")
	if got := ok(t, c.ShowReportSummary, &model.ShowReportSummaryRequest{JobId: job, BuildNo: 1}).Result; got.Summary == nil || *got.Summary.Success != 1 {
		t.Errorf("summary: %v", got)
	}
	if got := *ok(t, c.ListJunitCoverageSummary, &model.ListJunitCoverageSummaryRequest{JobId: job, BuildNo: 1}).Result.UnitSummaryList; len(got) != 1 {
		t.Errorf("coverage: %v", got)
	}
}
