package httpapi

import (
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"atelier/internal/build"
)

// The types of parameters that select the builds of a trend.
type (
	repositoryName string // 1 to 128 characters
	listedName     string // of a repository, without Chinese characters
	trendBranch    string // at most 200 characters; empty or all for every branch
	period         int    // days, 1 to 30
)

func (n *repositoryName) parse(name, value string) error {
	return parseShort(name, value, 128, (*string)(n))
}

func (b *trendBranch) parse(name, value string) error {
	return parseShort(name, value, 200, (*string)(b))
}

func parseShort(name, value string, longest int, to *string) error {
	var w word
	if n := utf8.RuneCountInString(value); n > longest {
		return invalid(codeInvalid, name, "has %d characters, at most %d are allowed", n, longest)
	}
	err := w.parse(name, value)
	*to = string(w)
	return err
}

func (n *listedName) parse(name, value string) error {
	for _, r := range value {
		if r >= '一' && r <= '龥' {
			return invalid(codeInvalid, name, "must not have Chinese characters, found %q", shorten(value))
		}
	}
	var w word
	err := w.parse(name, value)
	*n = listedName(w)
	return err
}

func (p *period) parse(name, value string) error {
	n, err := parseNumber(name, value, 1, 30)
	*p = period(n)
	return err
}

type listRepositoryRequest struct {
	JobID jobID `path:"job_id"`
}

type repositoriesAnswer struct {
	Latest       text     `json:"latest"` // of the newest build
	Repositories []string `json:"repositories"`
}

func (a *API) listRepository(c call, in listRepositoryRequest) (*envelope[repositoriesAnswer], error) {
	latest, names, err := a.Builds.Repositories(c.ctx(), c.actor(), build.JobID(in.JobID))
	if err != nil {
		return nil, err
	}
	return wrap(repositoriesAnswer{text(latest), append([]string{}, names...)}), nil
}

type listRepoBranchRequest struct {
	JobID          jobID      `query:"job_id" required:"true"`
	RepositoryName listedName `query:"repository_name" required:"true"`
}

func (a *API) listRepoBranch(c call, in listRepoBranchRequest) (*envelope[[]string], error) {
	names, err := a.Builds.Branches(c.ctx(), c.actor(), build.JobID(in.JobID), string(in.RepositoryName))
	if err != nil {
		return nil, err
	}
	return wrap(append([]string{}, names...)), nil
}

type trendRequest struct {
	JobID          jobID          `query:"job_id" required:"true"`
	RepositoryName repositoryName `query:"repository_name" required:"true"`
	Branch         trendBranch    `query:"branch"`
	Interval       period         `query:"interval" required:"true"`
}

// allBranches is what clients write for every branch.
const allBranches = "all"

func (in trendRequest) query() build.TrendQuery {
	q := build.TrendQuery{JobID: build.JobID(in.JobID), Repository: string(in.RepositoryName), Branch: string(in.Branch), Days: int(in.Interval)}
	if q.Branch == allBranches {
		q.Branch = ""
	}
	return q
}

type successRatioAnswer struct {
	JobID                     build.JobID `json:"job_id"`
	Branch                    string      `json:"branch"`
	TotalCount                int         `json:"total_count"`
	TotalSuccessCount         int         `json:"total_success_count"`
	TotalSuccessRatioFraction string      `json:"total_success_ratio_fraction"`
	EveryDayReport            []dayReport `json:"every_day_report"`
}

// dayReport is how the builds of a day ended: null for a day without any.
type dayReport struct {
	Date         string `json:"date"`
	SuccessRatio *int   `json:"success_ratio"` // percent
}

func (a *API) showBuildSuccessRatio(c call, in trendRequest) (*envelope[successRatioAnswer], error) {
	q := in.query()
	days, err := a.Builds.Outcomes(c.ctx(), c.actor(), q)
	if err != nil {
		return nil, err
	}
	answer := successRatioAnswer{JobID: q.JobID, Branch: allBranches}
	if q.Branch != "" {
		answer.Branch = q.Branch
	}
	answer.EveryDayReport = list(days, func(d build.Outcome) dayReport {
		day := dayReport{Date: d.At.Format("2006/01/02")}
		if d.Builds > 0 {
			day.SuccessRatio = new(int(math.Round(100 * float64(d.Succeeded) / float64(d.Builds))))
		}
		answer.TotalCount += d.Builds
		answer.TotalSuccessCount += d.Succeeded
		return day
	})
	answer.TotalSuccessRatioFraction = fmt.Sprintf("%d/%d", answer.TotalSuccessCount, answer.TotalCount)
	return wrap(answer), nil
}

// buildTimeAnswer has its times in seconds.
type buildTimeAnswer struct {
	JobID        build.JobID      `json:"job_id"`
	AvgBuildTime float64          `json:"avg_build_time"`
	MaxBuildTime int64            `json:"max_build_time"`
	MinBuildTime int64            `json:"min_build_time"`
	Chart        []buildTimePoint `json:"chart"` // newest first
}

type buildTimePoint struct {
	BuildNumber      int    `json:"build_number"`
	DailyBuildNumber string `json:"daily_build_number"`
	BuildResult      text   `json:"build_result"`
	BuildTime        int64  `json:"build_time"`
}

func (a *API) showBuildTime(c call, in trendRequest) (*envelope[buildTimeAnswer], error) {
	q := in.query()
	times, err := a.Builds.BuildTimes(c.ctx(), c.actor(), q)
	if err != nil {
		return nil, err
	}
	seconds := func(d time.Duration) int64 { return min(int64(math.Round(d.Seconds())), math.MaxInt32) }
	answer := buildTimeAnswer{JobID: q.JobID, MaxBuildTime: seconds(times.Max), MinBuildTime: seconds(times.Min)}
	if times.Builds > 0 {
		answer.AvgBuildTime = math.Round(1000*times.Sum.Seconds()/float64(times.Builds)) / 1000
	}
	answer.Chart = list(times.Newest, func(b build.BuildTime) buildTimePoint {
		return buildTimePoint{b.Number, b.DailyNumber, historyResult(b.State), seconds(b.Time)}
	})
	return wrap(answer), nil
}
