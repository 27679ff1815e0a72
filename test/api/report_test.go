package api_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	codeartsbuild "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server/servertest"
)

// collect lets a step collect what its tests leave, with further properties in pairs.
func collect(step *model.CreateBuildJobSteps, properties ...string) {
	step.Properties["deal"] = "deal"
	for i := 0; i < len(properties); i += 2 {
		step.Properties[properties[i]] = properties[i+1]
	}
}

// goProject is a repository with a Go module and its test, which a build runs.
func goProject(t *testing.T, s *servertest.Server) string {
	t.Helper()
	cache, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	repo := s.NewRepository("shop")
	repo.Write("go.mod", "module example.org/shop\n\ngo 1.26\n")
	repo.Write("cart.go", "package shop\n\nfunc total(n int) int {\n\tif n < 0 {\n\t\treturn 0\n\t}\n\treturn n\n}\n")
	repo.Write("cart_test.go", "package shop\n\nimport \"testing\"\n\nfunc TestTotal(t *testing.T) {\n\tif total(2) != 2 {\n\t\tt.Fatal()\n\t}\n}\n")
	repo.Write(".cloudbuild/build.yml", `version: 2.0
steps:
  BUILD:
    - go:
        inputs:
          command: |
            export GOTOOLCHAIN=local GOFLAGS= HOME=$PWD GOCACHE='`+strings.TrimSpace(string(cache))+`'
            go test -coverprofile=cover.out ./...
            cat > results.xml <<'END'
            <testsuites><testsuite name="example.org/shop" tests="2" failures="0" skipped="1" time="1.251">
              <testcase name="TestTotal" classname="example.org/shop" time="1.250"/>
              <testcase name="TestShip" classname="example.org/shop" time="0.001"><skipped message="later"/></testcase>
            </testsuite></testsuites>
            END
          unit_test: {report_path: results.xml, coverage: true, coverage_report_path: cover.out}
    - sh:
        inputs:
          command: |
            echo '<testsuite><testcase name="one" time="2"><failure/></testcase><testcase name="two"><error/></testcase></testsuite>' > check.xml
          unit_test: {report_path: check.xml}
`)
	repo.Commit("Shop")
	return repo.URL()
}

// TestReports runs a build with real tests and reads what came of them.
func TestReports(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	job := create(t, c, fromFile(s, "shop", goProject(t, s)))
	run(t, c, &model.RunJobRequestBody{JobId: job})
	info := await(t, c, job, 1)
	checkStatus(t, info, "SUCCESS")
	s.Restart()
	c = s.Client(s.Developer)

	got := ok(t, c.ShowReportSummary, &model.ShowReportSummaryRequest{JobId: job, BuildNo: 1}).Result
	summary := func(stage string, total, success, failures, errs, others, took int32) model.ShowReportSummary {
		return model.ShowReportSummary{
			JobId: &job, BuildNo: new(int32(1)), StageName: &stage, Region: new(servertest.Region), Total: &total, Success: &success, Failures: &failures,
			Errors: &errs, Others: &others, ExecutionTime: &took, IsSuccess: new(failures+errs == 0),
		}
	}
	total := summary("stage3", 4, 1, 1, 1, 1, 3251)
	want := &model.ShowReportSummaryBodyResult{Summary: &total, SubSummarys: &[]model.ShowReportSummary{
		summary("stage2", 2, 1, 0, 0, 1, 1251), summary("stage3", 2, 0, 1, 1, 0, 2000),
	}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(model.ShowReportSummary{}, "RootId", "GenrateTime")); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	subs := *got.SubSummarys
	if *got.Summary.RootId != *info.BuildRecordId || *subs[0].RootId == *subs[1].RootId || len(*subs[0].RootId) != 36 {
		t.Errorf("root ids: %s, %s, %s", *got.Summary.RootId, *subs[0].RootId, *subs[1].RootId)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000-07:00", *subs[0].GenrateTime); err != nil || !strings.HasSuffix(*subs[0].GenrateTime, "+00:00") {
		t.Errorf("genrate_time is %s", *subs[0].GenrateTime)
	}
	raw := s.Call(s.Developer, http.MethodGet, "/v1/report/"+job+"/summary?build_no=1", "").Body
	if !strings.Contains(raw, `"success_density":0.25,`) || !strings.Contains(raw, `"success_density":0.5,`) {
		t.Errorf("no density in %s", raw)
	}
	checkCoverage(t, s, c, job, subs[0])
}

// checkCoverage checks the one coverage report of a build, which is of the given step.
func checkCoverage(t *testing.T, s *servertest.Server, c *codeartsbuild.CodeArtsBuildClient, job string, step model.ShowReportSummary) {
	t.Helper()
	listed := *ok(t, c.ListJunitCoverageSummary, &model.ListJunitCoverageSummaryRequest{JobId: job, BuildNo: 1}).Result.UnitSummaryList
	if diff := cmp.Diff([]model.ListJunitCoverageSummaryResultUnitSummaryList{{
		JobId: &job, BuildNo: new(int32(1)), StageName: new("stage2"), RootId: step.RootId, Region: new(servertest.Region),
	}}, listed); diff != "" {
		t.Errorf("coverage (-want +got):\n%s", diff)
	}
	root := *step.RootId
	var file bytes.Buffer
	if _, err := ok(t, c.DownloadJunitCoverageZip, &model.DownloadJunitCoverageZipRequest{JobId: job, BuildNo: 1, RootId: root}).Consume(&file); err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil || len(archive.File) != 1 || archive.File[0].Name != "cover.out" {
		t.Fatalf("the ZIP has %v, %v", archive, err)
	}
	metrics := func(root string) servertest.Answer {
		return s.Call(s.Developer, http.MethodGet, fmt.Sprintf("/v1/report/%s/1/coverage/metrics?root_id=%s", job, root), "")
	}
	type figures struct{ Covered, Total, Ratio float64 }
	type answer struct {
		Result struct {
			RootID                      string `json:"root_id"`
			Lines, Branches, Statements *figures
		}
	}
	wanted := answer{}
	wanted.Result.RootID, wanted.Result.Statements = root, &figures{2, 3, 0.6667}
	if diff := cmp.Diff(wanted, decoded[answer](t, metrics(root).Body)); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	checkProblem(t, s, metrics("none"), 404, "DEVCB.00031006", "build 1 has no coverage report none")
	refused(t, c.DownloadJunitCoverageZip, &model.DownloadJunitCoverageZipRequest{JobId: job, BuildNo: 1, RootId: "none"}, 404, "DEVCB.00031006", "has no coverage report none")
}

// TestNoReport asks for the reports of a build that has none, and of one that is not there.
func TestNoReport(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	job := create(t, c, shell(s, "plain", "true"))
	run(t, c, &model.RunJobRequestBody{JobId: job})
	await(t, c, job, 1)
	for path, want := range map[string]string{
		"/v1/report/" + job + "/summary?build_no=1":                      `{"result":{"summary":null,"sub_summarys":[]},"error":null,"status":"success"}`,
		"/v1/report/junit/coverage/list?build_no=1&job_id=" + job:        `{"result":{"unit_summary_list":[]},"error":null,"status":"success"}`,
		"/v1/report/" + job + "/repositories":                            `{"result":{"latest":null,"repositories":[]},"error":null,"status":"success"}`,
		"/v1/report/branches?repository_name=none&job_id=" + job:         `{"result":[],"error":null,"status":"success"}`,
		"/v1/report/time?repository_name=none&interval=1&job_id=" + job:  `"avg_build_time":0,"max_build_time":0,"min_build_time":0,"chart":[]}`,
		"/v1/report/ratio?repository_name=none&interval=1&job_id=" + job: `"branch":"all","total_count":0,"total_success_count":0,"total_success_ratio_fraction":"0/0","every_day_report":[{`,
	} {
		if a := s.Call(s.Developer, http.MethodGet, path, ""); a.Status != 200 || !strings.Contains(a.Body, want) {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	for _, path := range []string{"/v1/report/" + job + "/summary?build_no=2", "/v1/report/junit/coverage/list?build_no=2&job_id=" + job} {
		checkProblem(t, s, s.Call(s.Developer, http.MethodGet, path, ""), 404, "DEVCB.00031006", "has no build 2")
	}
}

// TestTrends builds two branches of a repository, and asks how that went.
func TestTrends(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	repo := s.NewRepository("shop")
	file := func(command string) {
		repo.Write(".cloudbuild/build.yml", "version: 2.0\nsteps: {BUILD: [{sh: {inputs: {command: "+command+"}}}]}\n")
		repo.Commit(command)
	}
	file("exit 1")
	repo.Git("branch", "broken")
	file("true")
	job := create(t, c, fromFile(s, "shop", repo.URL()))
	for i, branch := range []string{"main", "broken", "main"} {
		run(t, c, &model.RunJobRequestBody{JobId: job, Parameter: &[]model.ParameterItem{{Name: "codeBranch", Value: branch}}})
		await(t, c, job, i+1)
	}

	names := ok(t, c.ListRepository, &model.ListRepositoryRequest{JobId: job}).Result
	if diff := cmp.Diff(&model.RepositoriesResult{Latest: new("shop"), Repositories: &[]string{"shop"}}, names); diff != "" {
		t.Errorf("repositories (-want +got):\n%s", diff)
	}
	if got := *ok(t, c.ListRepoBranch, &model.ListRepoBranchRequest{JobId: job, RepositoryName: "shop"}).Result; !cmp.Equal(got, []string{"broken", "main"}) {
		t.Errorf("branches: %v", got)
	}
	for branch, want := range map[string]struct {
		fraction string
		results  []string
	}{"": {"2/3", []string{"SUCCESS", "FAILURE", "SUCCESS"}}, "all": {"2/3", []string{"SUCCESS", "FAILURE", "SUCCESS"}}, "broken": {"0/1", []string{"FAILURE"}}} {
		ratio := ok(t, c.ShowJobBuildSuccessRatio, &model.ShowJobBuildSuccessRatioRequest{JobId: job, RepositoryName: "shop", Branch: &branch, Interval: 30}).Result
		days := *ratio.EveryDayReport
		shown := branch
		if branch == "" {
			shown = "all"
		}
		if *ratio.TotalSuccessRatioFraction != want.fraction || *ratio.Branch != shown || *ratio.JobId != job || int(*ratio.TotalCount) != len(want.results) || len(days) != 30 {
			t.Errorf("%q: %v", branch, ratio)
		}
		var built []int32
		for _, d := range days {
			if _, err := time.Parse("2006/01/02", *d.Date); err != nil {
				t.Error(err)
			}
			if d.SuccessRatio != nil {
				built = append(built, *d.SuccessRatio)
			}
		}
		if whole := map[string]int32{"2/3": 67, "0/1": 0}[want.fraction]; len(built) == 0 || len(built) == 1 && built[0] != whole { // two around midnight
			t.Errorf("%q: ratios of days: %v", branch, built)
		}
		times := ok(t, c.ShowJobBuildTime, &model.ShowJobBuildTimeRequest{JobId: job, RepositoryName: "shop", Branch: &branch, Interval: 30}).Result
		var results []string
		for _, b := range *times.Chart {
			results = append(results, *b.BuildResult)
			if *b.BuildTime < 0 || *b.BuildTime > 60 || !strings.Contains(*b.DailyBuildNumber, ".") {
				t.Errorf("%q: %v", branch, b)
			}
		}
		if diff := cmp.Diff(want.results, results); diff != "" || *times.AvgBuildTime <= 0 || *times.MinBuildTime > *times.MaxBuildTime {
			t.Errorf("%q: %v, difference (-want +got):\n%s", branch, times, diff)
		}
	}
}

// badReports puts wrong values into each parameter of the operations for reports.
func badReports(a app) []badRequest {
	base := map[string]string{"job_id": a.job, "build_no": "1", "root_id": "x", "repository_name": "app", "interval": "7", "branch": "all"}
	request := func(path, wrong, value string) string {
		query := ""
		for _, name := range strings.Fields(path)[1:] {
			given := base[name]
			if name == wrong {
				given = value
			}
			query += "&" + name + "=" + given
		}
		return strings.Fields(path)[0] + "?" + query[1:]
	}
	const summary, list, zip, metrics = "/v1/report/JOB/summary build_no", "/v1/report/junit/coverage/list job_id build_no",
		"/v1/report/junit/coverage/download job_id build_no root_id", "/v1/report/JOB/1/coverage/metrics root_id"
	const branches, ratio, times = "/v1/report/branches job_id repository_name", "/v1/report/ratio job_id repository_name branch interval",
		"/v1/report/time job_id repository_name branch interval"
	var out []badRequest
	for _, c := range []struct {
		name   string
		paths  []string
		values map[string]string // with what is said of each
	}{
		{"build_no", []string{summary, list, zip}, map[string]string{"": "is missing", "0": "must be a whole number from 1 to 2147483647", "2147483648": "must be a whole number"}},
		{"root_id", []string{zip, metrics}, map[string]string{
			"": "is missing", strings.Repeat("a", 41): "must be 1 to 40 letters, digits, hyphens or underscores", "a%2Fb": `found "a/b"`,
		}},
		{"interval", []string{ratio, times}, map[string]string{"": "is missing", "0": "must be a whole number from 1 to 30", "31": `found "31"`, "7d": `found "7d"`}},
		{"repository_name", []string{ratio, times}, map[string]string{"": "is missing", strings.Repeat("a", 129): "has 129 characters, at most 128 are allowed", "%00": "must be UTF-8 text"}},
		{"repository_name", []string{branches}, map[string]string{"": "is missing", "%E4%B8%80": "must not have Chinese characters", strings.Repeat("a", 1001): "has 1001 characters"}},
		{"branch", []string{ratio, times}, map[string]string{strings.Repeat("a", 201): "has 201 characters, at most 200 are allowed", "%ff": "must be UTF-8 text"}},
	} {
		for _, path := range c.paths {
			for value, words := range c.values {
				at := strings.Replace(request(path, c.name, value), "JOB", a.job, 1)
				out = append(out, invalid(fmt.Sprintf("%s %.20q in %s", c.name, value, path), "GET", at, "", c.name+": ", words))
			}
		}
	}
	for _, path := range []string{list, zip, branches, ratio, times} {
		out = append(out, badRequest{"job_id in " + path, "GET", request(path, "job_id", "JOB"), "", 400, "CB.00060201", []string{"job_id: must be 32"}})
	}
	return append(out,
		badRequest{"job_id in the summary", "GET", "/v1/report/JOB/summary?build_no=1", "", 400, "CB.00060201", []string{"job_id: must be 32"}},
		badRequest{"no job_id", "GET", "/v1/report/ratio?repository_name=a&interval=1", "", 400, "CB.00060200", []string{"job_id: is missing"}},
		invalid("build_no in a path", "GET", "/v1/report/"+a.job+"/0/coverage/metrics?root_id=a", "", "build_no: must be a whole number"),
	)
}
