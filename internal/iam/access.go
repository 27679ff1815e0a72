package iam

import (
	"context"

	"atelier/internal/build"
	"atelier/internal/fault"
)

var _ build.Access = (*Service)(nil)

// standing is what a user may do in a project.
type standing struct {
	member bool
	rights rights // on every task, whoever made it
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
	case st.rights.has(right), right != build.Create && ref.CreatorID == actor.UserID:
		return nil
	default:
		return errNoRight
	}
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
		return standing{member: true, rights: all}
	}
	st := standing{member: true}
	for _, role := range m.Roles {
		st.rights |= role.rights()
	}
	return st
}

// ProjectsOf returns the projects, by name, in which an actor holds a right on every task.
func (s *Service) ProjectsOf(ctx context.Context, actor build.Actor, right build.Right) ([]Project, error) {
	memberships, err := s.Store.Memberships(ctx, actor.UserID, "")
	if err != nil {
		return nil, err
	}
	var out []Project
	for _, m := range memberships {
		if m.standing().rights.has(right) {
			out = append(out, m.Project)
		}
	}
	return out, nil
}
