package build

import (
	"context"
	"time"

	"atelier/internal/fault"
	"atelier/internal/report"
)

// Report is what the tests of one step came to, and the coverage that it left.
type Report struct {
	ID        string // a UUID; clients call it the root id
	RecordID  RecordID
	Sequence  int // of the step
	Stage     string
	Files     int          // with results; 0 when the step only left coverage
	Tests     report.Tests // names are not kept
	Coverage  report.Coverage
	Archive   string // of the coverage reports, in the artifacts' bucket; empty when there is none
	CreatedAt time.Time
}

// NewReportID returns an id that sorts by the time it was made.
func NewReportID() string { return newUUID() }

// Reports returns a build with its reports and those of its children, in the order in which they came.
func (s *Service) Reports(ctx context.Context, actor Actor, id JobID, number int) (Record, []Report, error) {
	record, _, err := s.Record(ctx, actor, id, number)
	if err != nil {
		return Record{}, nil, err
	}
	reports, err := s.Store.Reports(ctx, record.ID)
	return record, reports, err
}

// CoverageReport returns a build's report that has coverage, by its id.
func (s *Service) CoverageReport(ctx context.Context, actor Actor, id JobID, number int, report string) (Record, Report, error) {
	record, reports, err := s.Reports(ctx, actor, id, number)
	if err != nil {
		return Record{}, Report{}, err
	}
	for _, r := range reports {
		if r.ID == report && r.Archive != "" {
			return record, r, nil
		}
	}
	return Record{}, Report{}, fault.New(fault.NotFound, "build %d has no coverage report %s", number, report)
}
