package build

import (
	"context"
	"time"
)

// TrendQuery selects the builds of a task of which a trend is made: those of a repository and, unless it is empty, a branch.
type TrendQuery struct {
	JobID      JobID
	Repository string
	Branch     string
	Days       int       // up to today
	From       time.Time // when those days begin; the service finds it
}

// Outcome is how the builds that were started at about the same time have ended.
type Outcome struct {
	At        time.Time // within a quarter of an hour, which no day of any zone begins in
	Builds    int       // that are over
	Succeeded int
}

// BuildTimes says how long builds ran. Those that were over before they began do not count.
type BuildTimes struct {
	Builds   int
	Sum      time.Duration
	Min, Max time.Duration
	Newest   []BuildTime // newest first, at most [MaxBuildTimes]
}

// BuildTime is how long one build ran.
type BuildTime struct {
	Number      int
	DailyNumber string
	State       State
	Time        time.Duration
}

// MaxBuildTimes is how many builds a trend shows one by one.
const MaxBuildTimes = 1000

// maxRepositoryName is how many characters of a repository's name tell it from others. Clients ask with no more.
const maxRepositoryName = 128

// TrendName returns the name by which trends of a repository are asked for.
func TrendName(name string) string {
	if r := []rune(name); len(r) > maxRepositoryName {
		return string(r[:maxRepositoryName])
	}
	return name
}

// Repositories returns the names of the repositories that a task has built, and that of its newest build.
func (s *Service) Repositories(ctx context.Context, actor Actor, id JobID) (latest string, names []string, err error) {
	if _, err := s.job(ctx, actor, id, View); err != nil {
		return "", nil, err
	}
	return s.Store.Repositories(ctx, id)
}

// Branches returns the branches that a task has built of a repository; none when it has not built it.
func (s *Service) Branches(ctx context.Context, actor Actor, id JobID, repository string) ([]string, error) {
	if _, err := s.job(ctx, actor, id, View); err != nil {
		return nil, err
	}
	return s.Store.RepositoryBranches(ctx, id, TrendName(repository))
}

// Outcomes returns how the builds of each of the days ended, the oldest first. A day without builds is among them.
func (s *Service) Outcomes(ctx context.Context, actor Actor, q TrendQuery) ([]Outcome, error) {
	q, err := s.trend(ctx, actor, q)
	if err != nil {
		return nil, err
	}
	outcomes, err := s.Store.Outcomes(ctx, q)
	if err != nil {
		return nil, err
	}
	days := make([]Outcome, q.Days)
	index := make(map[string]int, q.Days)
	for i := range days {
		days[i].At = q.From.AddDate(0, 0, i)
		index[Day(days[i].At, s.Zone)] = i
	}
	for _, o := range outcomes {
		if i, ok := index[Day(o.At, s.Zone)]; ok { // one that was started tomorrow, by another server's clock, is not
			days[i].Builds += o.Builds
			days[i].Succeeded += o.Succeeded
		}
	}
	return days, nil
}

// BuildTimes returns how long the builds of the days ran.
func (s *Service) BuildTimes(ctx context.Context, actor Actor, q TrendQuery) (BuildTimes, error) {
	q, err := s.trend(ctx, actor, q)
	if err != nil {
		return BuildTimes{}, err
	}
	return s.Store.BuildTimes(ctx, q)
}

// trend checks that the actor may ask, and finds when the days begin.
func (s *Service) trend(ctx context.Context, actor Actor, q TrendQuery) (TrendQuery, error) {
	if _, err := s.job(ctx, actor, q.JobID, View); err != nil {
		return q, err
	}
	year, month, day := s.Now().In(s.Zone).Date()
	q.From = time.Date(year, month, day-q.Days+1, 0, 0, 0, 0, s.Zone)
	q.Repository = TrendName(q.Repository)
	return q, nil
}
