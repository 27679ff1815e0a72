package build

import (
	"context"
	"slices"
)

// TenantSummary counts what a tenant has.
type TenantSummary struct {
	Jobs         int
	Builds       int // that were started
	SuccessRatio int // the mean of the health scores of the jobs that were built, in percent; 0 without any
	Versions     int // of artifacts in the release repository
}

// Summary counts what the actor's tenant has.
func (s *Service) Summary(ctx context.Context, actor Actor) (TenantSummary, error) {
	return s.Store.TenantSummary(ctx, actor.DomainID)
}

// JobLimitReached reports whether the actor's tenant can have no more jobs.
func (s *Service) JobLimitReached(ctx context.Context, actor Actor) (bool, error) {
	count, err := s.Store.CountJobs(ctx, actor.DomainID)
	return count >= s.MaxJobs, err
}

// Engines returns what the engines offer that take builds now.
func (s *Service) Engines(ctx context.Context) ([]Offer, error) { return s.Store.Engines(ctx, s.now()) }

// ClassesOf returns the classes that some engines of an architecture offer, smallest first.
func ClassesOf(engines []Offer, arch string) []string {
	return slices.DeleteFunc(slices.Clone(Classes), func(class string) bool {
		return !slices.ContainsFunc(engines, func(o Offer) bool { return o.Arch == arch && slices.Contains(o.Classes, class) })
	})
}
