package build

import (
	"context"
	"slices"
	"time"

	"atelier/internal/fault"
)

// Version is one configuration that a job had. Number 0 is the one that it was created with.
type Version struct {
	Number   int
	UserID   string
	UserName string
	SavedAt  time.Time
}

// Versions returns a page of the versions of a job, newest first, and the number of all.
func (s *Service) Versions(ctx context.Context, actor Actor, id JobID, offset, limit int) ([]Version, int, error) {
	if _, err := s.job(ctx, actor, id, View); err != nil {
		return nil, 0, err
	}
	return s.Store.Versions(ctx, id, offset, limit)
}

// changedMask stands for a private value that is not the one it is compared with.
const changedMask = Mask + " (changed)"

// Compare returns a job as it was at two versions, to be shown side by side: private values are masked, and in the revised one a
// mask says so when the value behind it is another one.
func (s *Service) Compare(ctx context.Context, actor Actor, id JobID, original, revised int) (Job, Job, error) {
	job, err := s.job(ctx, actor, id, View)
	if err != nil {
		return Job{}, Job{}, err
	}
	before, after := job, job
	if before.Config, err = s.versionConfig(ctx, id, "original_no", original); err != nil {
		return Job{}, Job{}, err
	}
	if after.Config, err = s.versionConfig(ctx, id, "revisedl_no", revised); err != nil {
		return Job{}, Job{}, err
	}
	marked, err := s.markChanged(before.Config, after.Config)
	after.Config.Parameters = marked
	return before, after, err
}

func (s *Service) versionConfig(ctx context.Context, id JobID, field string, version int) (Config, error) {
	c, err := s.Store.JobConfig(ctx, id, version)
	return c, hideMissing(err, fault.New(fault.NotFound, "%s: task %s has no version %d", field, id, version))
}

// markChanged returns the parameters of after, with another mask where a private value of before has changed.
func (s *Service) markChanged(before, after Config) ([]Parameter, error) {
	parameters := slices.Clone(after.Parameters)
	for i, p := range parameters {
		old, ok := sealedDefault(before, p.Name())
		now := p.property("defaultValue")
		if !ok || !now.Sealed {
			continue // what became private, or ceased to be, differs anyway
		}
		same, err := s.sameSecret(old, now.Value)
		if err != nil {
			return nil, err
		}
		if same {
			continue
		}
		parameters[i].Properties = slices.Clone(p.Properties)
		for j, q := range p.Properties {
			if q.Name == "defaultValue" {
				parameters[i].Properties[j].Value, parameters[i].Properties[j].Sealed = changedMask, false
			}
		}
	}
	return parameters, nil
}

// sameSecret reports whether two sealed texts hold the same. Sealing the same text twice gives two results.
func (s *Service) sameSecret(a, b string) (bool, error) {
	if a == b {
		return true, nil
	}
	plainA, err := s.Sealer.Open(a)
	if err != nil {
		return false, err
	}
	plainB, err := s.Sealer.Open(b)
	return plainA == plainB, err
}
