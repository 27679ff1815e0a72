package httpapi

import (
	"fmt"
	"math"
	"regexp"

	"atelier/internal/build"
	"atelier/internal/report"
)

func (a *API) reportOperations() []operation {
	return []operation{
		handle("ShowReportSummary", "GET /v1/report/{job_id}/summary", current, "Test results of a build.", a.showReportSummary),
		handle("ListJunitCoverageSummary", "GET /v1/report/junit/coverage/list", current, "Coverage reports of a build.", a.listCoverage),
		handle("DownloadJunitCoverageZip", "GET /v1/report/junit/coverage/download", current, "A coverage report as a ZIP file.", a.downloadCoverage),
		handle("ShowCoverageMetrics", "GET /v1/report/{job_id}/{build_no}/coverage/metrics", current, "Figures of a coverage report.", a.showCoverageMetrics),
		handle("ListRepository", "GET /v1/report/{job_id}/repositories", current, "Repositories that a task has built.", a.listRepository),
		handle("ListRepoBranch", "GET /v1/report/branches", current, "Branches that a task has built of a repository.", a.listRepoBranch),
		handle("ShowJobBuildSuccessRatio", "GET /v1/report/ratio", current, "Share of successful builds by day.", a.showBuildSuccessRatio),
		handle("ShowJobBuildTime", "GET /v1/report/time", current, "How long builds ran.", a.showBuildTime),
	}
}

// rootID is the id of a report. Not all that clients may send is one of ours.
type rootID string

var formRootID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

func (id *rootID) parse(name, value string) error {
	if !formRootID.MatchString(value) {
		return invalid(codeInvalid, name, "must be 1 to 40 letters, digits, hyphens or underscores, found %q", shorten(value))
	}
	*id = rootID(value)
	return nil
}

type reportSummaryRequest struct {
	JobID   jobID   `path:"job_id"`
	BuildNo buildNo `query:"build_no" required:"true"`
}

// reportSummaryAnswer has no summary when no tests were found.
type reportSummaryAnswer struct {
	Summary     *testSummary  `json:"summary"`
	SubSummarys []testSummary `json:"sub_summarys"` // spelled so by the vendor
}

// reportRef is what all answers say of a report.
type reportRef struct {
	JobID     build.JobID `json:"job_id"`
	BuildNo   int         `json:"build_no"`
	RootID    string      `json:"root_id"`
	StageName string      `json:"stage_name"`
	Region    string      `json:"region"`
}

func refOf(b build.Record, r build.Report) reportRef {
	return reportRef{b.JobID, b.Number, r.ID, r.Stage, b.Region}
}

type testSummary struct {
	reportRef
	Total          int     `json:"total"`
	Success        int     `json:"success"`
	Failures       int     `json:"failures"`
	Errors         int     `json:"errors"`
	Others         int     `json:"others"`
	ExecutionTime  int64   `json:"execution_time"`
	IsSuccess      bool    `json:"is_success"`
	SuccessDensity float64 `json:"success_density"`
	GenrateTime    isoTime `json:"genrate_time"` // spelled so by the vendor
}

func (a *API) showReportSummary(c call, in reportSummaryRequest) (*envelope[reportSummaryAnswer], error) {
	record, reports, err := a.Builds.Reports(c.ctx(), c.actor(), build.JobID(in.JobID), int(in.BuildNo))
	if err != nil {
		return nil, err
	}
	answer := reportSummaryAnswer{SubSummarys: []testSummary{}}
	var sum report.Tests
	for _, r := range reports {
		if r.Files == 0 {
			continue
		}
		answer.SubSummarys = append(answer.SubSummarys, presentTests(refOf(record, r), r.Tests, isoTime(r.CreatedAt)))
		sum.Add(r.Tests)
	}
	if n := len(answer.SubSummarys); n > 0 {
		last := answer.SubSummarys[n-1]
		ref := last.reportRef
		ref.RootID = string(record.ID) // it is no report of its own
		total := presentTests(ref, sum, last.GenrateTime)
		answer.Summary = &total
	}
	return wrap(answer), nil
}

func presentTests(ref reportRef, t report.Tests, at isoTime) testSummary {
	clamp := func(n int) int { return min(n, math.MaxInt32) } // clients decode no more
	s := testSummary{
		reportRef: ref, Total: clamp(t.Total()), Success: clamp(t.Succeeded), Failures: clamp(t.Failed), Errors: clamp(t.Errors), Others: clamp(t.Skipped),
		ExecutionTime: build.Millis(t.Time), IsSuccess: t.Failed+t.Errors == 0, GenrateTime: at,
	}
	if total := t.Total(); total > 0 {
		s.SuccessDensity = math.Round(100*float64(t.Succeeded)/float64(total)) / 100
	}
	return s
}

type coverageListRequest struct {
	JobID   jobID   `query:"job_id" required:"true"`
	BuildNo buildNo `query:"build_no" required:"true"`
}

type coverageListAnswer struct {
	UnitSummaryList []reportRef `json:"unit_summary_list"`
}

func (a *API) listCoverage(c call, in coverageListRequest) (*envelope[coverageListAnswer], error) {
	record, reports, err := a.Builds.Reports(c.ctx(), c.actor(), build.JobID(in.JobID), int(in.BuildNo))
	if err != nil {
		return nil, err
	}
	answer := coverageListAnswer{UnitSummaryList: []reportRef{}}
	for _, r := range reports {
		if r.Archive != "" {
			answer.UnitSummaryList = append(answer.UnitSummaryList, refOf(record, r))
		}
	}
	return wrap(answer), nil
}

type coverageZipRequest struct {
	JobID   jobID   `query:"job_id" required:"true"`
	BuildNo buildNo `query:"build_no" required:"true"`
	RootID  rootID  `query:"root_id" required:"true"`
}

func (a *API) downloadCoverage(c call, in coverageZipRequest) (*download, error) {
	record, r, err := a.Builds.CoverageReport(c.ctx(), c.actor(), build.JobID(in.JobID), int(in.BuildNo), string(in.RootID))
	if err != nil {
		return nil, err
	}
	body, size, err := a.Artifacts.Kept(c.ctx(), r.Archive)
	if err != nil {
		return nil, err
	}
	return &download{name: fmt.Sprintf("coverage-%d-%s.zip", record.Number, r.Stage), size: size, body: body}, nil
}

type coverageMetricsRequest struct {
	JobID   jobID   `path:"job_id"`
	BuildNo buildNo `path:"build_no"`
	RootID  rootID  `query:"root_id" required:"true"`
}

// coverageMetricsAnswer has null for what the reports do not count.
type coverageMetricsAnswer struct {
	reportRef
	Lines      *coverageCounter `json:"lines"`
	Branches   *coverageCounter `json:"branches"`
	Statements *coverageCounter `json:"statements"` // of Go; instructions of JaCoCo
}

type coverageCounter struct {
	Covered int64   `json:"covered"`
	Total   int64   `json:"total"`
	Ratio   float64 `json:"ratio"` // 0 to 1, with four decimals
}

func (a *API) showCoverageMetrics(c call, in coverageMetricsRequest) (*envelope[coverageMetricsAnswer], error) {
	record, r, err := a.Builds.CoverageReport(c.ctx(), c.actor(), build.JobID(in.JobID), int(in.BuildNo), string(in.RootID))
	if err != nil {
		return nil, err
	}
	present := func(c report.Counter) *coverageCounter {
		if c.Total == 0 {
			return nil
		}
		return &coverageCounter{c.Covered, c.Total, math.Round(10_000*c.Ratio()) / 10_000}
	}
	return wrap(coverageMetricsAnswer{refOf(record, r), present(r.Coverage.Lines), present(r.Coverage.Branches), present(r.Coverage.Statements)}), nil
}
