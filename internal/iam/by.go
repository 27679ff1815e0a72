package iam

import (
	"context"
	"slices"

	"atelier/internal/fault"
)

// The methods of this file are what callers of the API may do: whoever calls manages its own keys, and as an administrator those of
// all users of its domain.

// UserBy returns a user that the caller may manage.
func (s *Service) UserBy(ctx context.Context, caller Caller, userID string) (User, error) {
	if userID == caller.User.ID {
		return caller.User, nil
	}
	if !caller.User.Administrator {
		return User{}, errForbidden // whether or not there is such a user
	}
	user, err := s.User(ctx, UserRef{ID: userID})
	if err == nil && !caller.manages(user) {
		err = fault.New(fault.NotFound, "the user does not exist")
	}
	return user, err
}

// CreateKeyBy makes a permanent key for a user. See [Service.CreateKey].
func (s *Service) CreateKeyBy(ctx context.Context, caller Caller, userID, description string) (AccessKey, string, error) {
	if _, err := s.UserBy(ctx, caller, userID); err != nil {
		return AccessKey{}, "", err
	}
	return s.CreateKey(ctx, userID, description)
}

// KeysBy returns the permanent keys of a user.
func (s *Service) KeysBy(ctx context.Context, caller Caller, userID string) ([]AccessKey, error) {
	if _, err := s.UserBy(ctx, caller, userID); err != nil {
		return nil, err
	}
	return s.Keys(ctx, userID)
}

// KeyBy returns a permanent key. One that the caller may not manage does not exist.
func (s *Service) KeyBy(ctx context.Context, caller Caller, access string) (AccessKey, error) {
	key, account, err := s.Store.Key(ctx, access)
	if err != nil {
		return AccessKey{}, err
	}
	if !caller.manages(account.User) || !key.ExpiresAt.IsZero() {
		return AccessKey{}, fault.New(fault.NotFound, "the access key does not exist")
	}
	return key.AccessKey, nil
}

// SetKeyActiveBy switches a permanent key off or on again.
func (s *Service) SetKeyActiveBy(ctx context.Context, caller Caller, access string, active bool) error {
	if _, err := s.KeyBy(ctx, caller, access); err != nil {
		return err
	}
	return s.SetKeyActive(ctx, access, active)
}

// DeleteKeyBy removes a permanent key.
func (s *Service) DeleteKeyBy(ctx context.Context, caller Caller, access string) error {
	if _, err := s.KeyBy(ctx, caller, access); err != nil {
		return err
	}
	return s.DeleteKey(ctx, access)
}

// RegionsOf returns the regions that the caller may act in, by name; with a name only that one, or none.
func (s *Service) RegionsOf(ctx context.Context, caller Caller, name string) ([]Region, error) {
	regions, err := s.regions(ctx, caller.Domain.ID)
	return slices.DeleteFunc(regions, func(r Region) bool { return name != "" && r.Name != name }), err
}

// RegionBy returns a region that the caller may act in.
func (s *Service) RegionBy(ctx context.Context, caller Caller, id string) (Region, error) {
	regions, err := s.regions(ctx, caller.Domain.ID)
	if err != nil {
		return Region{}, err
	}
	i := slices.IndexFunc(regions, func(r Region) bool { return r.ID == id })
	if i < 0 {
		return Region{}, fault.New(fault.NotFound, "the project does not exist")
	}
	return regions[i], nil
}
