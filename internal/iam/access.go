package iam

import (
	"context"
	"slices"

	"atelier/internal/build"
	"atelier/internal/fault"
)

var _ build.Access = (*Service)(nil)

// standing is what a user may do in a project.
type standing struct {
	member        bool
	administrator bool   // of the domain, or the project's creator: holds every right on every task
	roles         []Role // in the project
	rights        Rights // on the tasks that follow the project
}

type standingKey struct{ userID, projectID string }

// The errors of [Service.Check]. The build service puts words of its own in their place.
var (
	errNoMember = fault.New(fault.NotFound, "the project does not exist")
	errNoRight  = fault.New(fault.Forbidden, "the roles in the project do not allow this")
)

// Check implements [build.Access]. Whoever made a task holds every right on it, for as long as it is a member of the project.
func (s *Service) Check(ctx context.Context, actor build.Actor, ref build.JobRef, right build.Right) error {
	st, err := s.standings.get(ctx, standingKey{actor.UserID, string(ref.ProjectID)})
	switch {
	case err != nil:
		return err
	case !st.member:
		return errNoMember
	case st.administrator, right != build.Create && ref.CreatorID == actor.UserID:
		return nil
	}
	granted := st.rights
	if ref.ID != "" && right != build.Create {
		m, err := s.matrices.get(ctx, ref.ID)
		if err != nil {
			return err
		}
		granted = m.rights(st.roles)
	}
	if !granted.Has(right) {
		return errNoRight
	}
	return nil
}

// Viewing implements [build.Access].
func (s *Service) Viewing(ctx context.Context, actor build.Actor, projects []build.ProjectID) (build.Viewing, error) {
	memberships, err := s.Store.Memberships(ctx, actor.UserID, "")
	v := build.Viewing{UserID: actor.UserID}
	for _, m := range memberships {
		id, st := build.ProjectID(m.Project.ID), m.standing()
		switch {
		case len(projects) > 0 && !slices.Contains(projects, id):
		case st.administrator:
			v.Everything = append(v.Everything, id)
		case st.rights.Has(build.View):
			v.ByProject = append(v.ByProject, id)
		default:
			v.ByTask = append(v.ByTask, id)
		}
	}
	return v, err
}

func (s *Service) loadStanding(ctx context.Context, key standingKey) (standing, error) {
	if key.userID == "" || key.projectID == "" {
		return standing{}, nil
	}
	memberships, err := s.Store.Memberships(ctx, key.userID, key.projectID)
	if err != nil || len(memberships) == 0 {
		return standing{}, err
	}
	return memberships[0].standing(), nil
}

// standing returns what follows from a membership: the roles add up, and the project's creator holds everything.
func (m Membership) standing() standing {
	if m.Administrator || m.Project.CreatorID == m.UserID {
		return standing{member: true, administrator: true, roles: m.Roles, rights: all}
	}
	st := standing{member: true, roles: m.Roles}
	for _, role := range m.Roles {
		st.rights |= role.Rights()
	}
	return st
}

// ProjectsOf returns the projects, by name, that an actor is a member of, and in which its roles give it some rights.
func (s *Service) ProjectsOf(ctx context.Context, actor build.Actor, needed ...build.Right) ([]Project, error) {
	memberships, err := s.Store.Memberships(ctx, actor.UserID, "")
	if err != nil {
		return nil, err
	}
	var out []Project
	for _, m := range memberships {
		if needs := RightsOf(needed...); m.standing().rights&needs == needs {
			out = append(out, m.Project)
		}
	}
	return out, nil
}
