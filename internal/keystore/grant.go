package keystore

import (
	"context"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// assignable returns a file whose grants the actor may change.
func (s *Service) assignable(ctx context.Context, actor build.Actor, id string) error {
	f, err := s.seen(ctx, actor, id)
	if err != nil {
		return err
	}
	return allowed(f.Rights.Assign, "assign permissions on")
}

// Grants returns a page of what users may do with a file of the actor's domain, the creator's first, and how many there are.
func (s *Service) Grants(ctx context.Context, actor build.Actor, fileID string, offset, limit int) ([]Grant, int, error) {
	if _, err := s.seen(ctx, actor, fileID); err != nil {
		return nil, 0, err
	}
	return s.Store.Grants(ctx, fileID, offset, limit)
}

// AddGrant lets a user of the domain do something with a file. It returns the grant with its id and the user's name.
func (s *Service) AddGrant(ctx context.Context, actor build.Actor, grant Grant) (Grant, error) {
	if err := s.assignable(ctx, actor, grant.FileID); err != nil {
		return Grant{}, err
	}
	name, err := s.Users.UserName(ctx, actor.DomainID, grant.UserID)
	if err != nil {
		return Grant{}, err
	}
	grant.ID, grant.UserName, grant.Creator = build.NewHexID(), name, false
	return grant, s.Store.AddGrant(ctx, grant)
}

// UpdateGrant changes what a user may do with a file; it does not change whether the user may assign permissions.
func (s *Service) UpdateGrant(ctx context.Context, actor build.Actor, id, fileID string, rights Rights) error {
	grant, err := s.changeable(ctx, actor, id)
	if err == nil && grant.FileID != fileID {
		err = noSuchGrant(id)
	}
	if err != nil {
		return err
	}
	rights.Assign = grant.Rights.Assign
	grant.Rights = rights
	return s.Store.UpdateGrant(ctx, grant)
}

// DeleteGrant takes away what a user may do with a file.
func (s *Service) DeleteGrant(ctx context.Context, actor build.Actor, id string) error {
	if _, err := s.changeable(ctx, actor, id); err != nil {
		return err
	}
	return s.Store.DeleteGrant(ctx, id)
}

func noSuchGrant(id string) error {
	return fault.New(fault.NotFound, "permission %.40s does not exist", id)
}

// changeable returns a grant that the actor may change. One on a file of another domain does not exist.
func (s *Service) changeable(ctx context.Context, actor build.Actor, id string) (Grant, error) {
	grant, err := s.Store.Grant(ctx, id)
	if err == nil {
		err = s.assignable(ctx, actor, grant.FileID)
	}
	switch {
	case fault.Is(err, fault.NotFound):
		return Grant{}, noSuchGrant(id)
	case err != nil:
		return Grant{}, err
	case grant.Creator:
		return Grant{}, fault.New(fault.Forbidden, "the permission of the one who uploaded the file cannot be changed")
	case grant.Fixed:
		return Grant{}, fault.New(fault.Forbidden, "the permission was given so that it cannot be changed")
	}
	return grant, nil
}
