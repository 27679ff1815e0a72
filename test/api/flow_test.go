package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server/servertest"
)

// TestFlowGraph runs a build of several tasks and reads its graph, its children's records and their logs.
func TestFlowGraph(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	repo := s.NewRepository("flow")
	repo.Write(".cloudbuild/build.yml", `version: 2.0
buildflow:
  strategy: lazy
  jobs:
    - {job: Package, depends_on: [Library, Broken], build_ref: .cloudbuild/ok.yml}
    - {job: Library, build_ref: .cloudbuild/ok.yml}
    - {job: Broken, build_ref: .cloudbuild/broken.yml}
`)
	const steps = "version: 2.0\nsteps:\n  BUILD:\n    - sh:\n        inputs:\n          command: "
	repo.Write(".cloudbuild/ok.yml", steps+"echo fine > made.txt\n    - upload_artifact: {inputs: {path: made.txt}}\n")
	repo.Write(".cloudbuild/broken.yml", steps+"exit 4\n")
	repo.Commit("Flow")
	job := create(t, c, fromFile(s, "flow", repo.URL()))
	run(t, c, &model.RunJobRequestBody{JobId: job})
	info := await(t, c, job, 1)
	if *info.Status != "FAILURE" || !strings.Contains(*info.ErrMsg, `Job "Broken" failed: Step "sh" failed with exit code 4. Not run, because they depend on what failed: "Package".`) {
		t.Errorf("the build: %v", info)
	}
	graph := ok(t, c.ShowBuildRecordFlowGraph, &model.ShowBuildRecordFlowGraphRequest{BuildFlowRecordId: *info.BuildRecordId}).Result
	older := ok(t, c.ShowFlowGraph, &model.ShowFlowGraphRequest{BuildFlowRecordId: *info.BuildRecordId}).Result
	if a, b := s.Call(s.Developer, http.MethodGet, "/v1/record/"+*info.BuildRecordId+"/flow-graph", ""), graph; a.Status != 200 || len(*b.Vertices) != 3 {
		t.Fatalf("the graph: %d %s", a.Status, a.Body)
	}
	ids, states := make(map[string]string), make(map[string]string)
	for _, v := range *graph.Vertices {
		ids[*v.DisplayName], states[*v.DisplayName] = *v.Id, *v.Status
	}
	if diff := cmp.Diff(map[string]string{"Package": "", "Library": "SUCCESS", "Broken": "FAILURE"}, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	var edges []string
	for _, e := range *graph.Edges {
		edges = append(edges, *e.From+" "+*e.To)
	}
	if diff := cmp.Diff([]string{ids["Package"] + " " + ids["Library"], ids["Package"] + " " + ids["Broken"]}, edges); diff != "" {
		t.Errorf("edges (-want +got):\n%s", diff)
	}
	if len(*older.Vertices) != 3 || len(*older.Edges) != 2 {
		t.Errorf("the older operation: %v", older)
	}
	child := ok(t, c.ShowBuildRecord, &model.ShowBuildRecordRequest{RecordId: ids["Library"]}).Result
	if *child.Status != "SUCCESS" || *child.BuildNo != "1" || *child.BuildYmlPath != ".cloudbuild/ok.yml" {
		t.Errorf("the child: %v", child)
	}
	if empty := ok(t, c.ShowBuildRecordFlowGraph, &model.ShowBuildRecordFlowGraphRequest{BuildFlowRecordId: ids["Library"]}).Result; len(*empty.Vertices) != 0 || len(*empty.Edges) != 0 {
		t.Errorf("the graph of a build that is no flow: %v", empty)
	}
	outputs := ok(t, c.ShowOutputInfo, &model.ShowOutputInfoRequest{JobId: job, BuildNo: 1}).Result
	if outputs.PackageInfo == nil || *outputs.PackageInfo.Name != "made.txt" {
		t.Errorf("the outputs of the jobs are none of the build's: %v", outputs)
	}
	refused(t, s.Client(s.NewUser("outsider")).ShowFlowGraph, &model.ShowFlowGraphRequest{BuildFlowRecordId: *info.BuildRecordId}, 404, "CB.00031006")
}
