package iam

import (
	"context"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// Rule says what a role may do with a task.
type Rule struct {
	Role      Role
	Rights    Rights
	CreatedAt time.Time // zero in a task that follows its project
	UpdatedAt time.Time
}

// Matrix says what roles may do with one task.
type Matrix struct {
	Own   bool   // false when the task follows its project
	Rules []Rule // one for each role, in the order of [Roles]
}

// rights is what several roles come to: they add up.
func (m Matrix) rights(held []Role) (r Rights) {
	for _, rule := range m.Rules {
		for _, role := range held {
			if rule.Role == role {
				r |= rule.Rights
			}
		}
	}
	return r
}

// matrixStore keeps the matrices of tasks.
type matrixStore interface {
	// JobRules returns whether a job has a matrix of its own, and the rules that were ever given to it if so.
	JobRules(ctx context.Context, id build.JobID) (own bool, rules []Rule, err error)
	// SetJobRules gives rules to some jobs and says whether they count. Roles that are not named keep theirs.
	SetJobRules(ctx context.Context, ids []build.JobID, own bool, rules []Rule) error
}

// DefaultMatrix is that of a project: what roles may do with the tasks that follow it.
func DefaultMatrix() Matrix {
	m := Matrix{Rules: make([]Rule, len(roles))}
	for i, r := range roles {
		m.Rules[i] = Rule{Role: r.role, Rights: r.rights}
	}
	return m
}

func (s *Service) loadMatrix(ctx context.Context, id build.JobID) (Matrix, error) {
	own, rules, err := s.Store.JobRules(ctx, id)
	m := DefaultMatrix()
	if err != nil || !own {
		return m, err
	}
	m.Own = true
	for i := range m.Rules {
		for _, rule := range rules {
			if rule.Role == m.Rules[i].Role {
				m.Rules[i] = rule
			}
		}
	}
	return m, nil
}

// Matrix returns what roles may do with a task. It asks for nobody's rights.
func (s *Service) Matrix(ctx context.Context, id build.JobID) (Matrix, error) {
	return s.matrices.get(ctx, id)
}

// FollowProject lets tasks follow their project, or have matrices of their own again. The actor must hold [build.Manage] on all of them.
func (s *Service) FollowProject(ctx context.Context, actor build.Actor, tasks []build.JobRef, follow bool) error {
	return s.setRules(ctx, actor, tasks, !follow, nil)
}

// SetMatrix gives tasks a matrix of their own. Roles that it does not name keep what they had. The actor must hold [build.Manage] on
// all of them. What a project's administrator may do is fixed.
func (s *Service) SetMatrix(ctx context.Context, actor build.Actor, tasks []build.JobRef, rules []Rule) error {
	seen := make(map[Role]bool)
	for i := range rules {
		r := &rules[i]
		if err := checkRole(r.Role); err != nil {
			return err
		}
		if seen[r.Role] {
			return fault.Field("permissions", "has the role %s twice", r.Role)
		}
		seen[r.Role] = true
		r.Rights &^= RightsOf(build.Create) // which is about no task
		if r.Role == ProjectAdministrator && r.Rights != all&^RightsOf(build.Create) {
			return fault.Field("permissions", "what the project's administrator may do is fixed: everything")
		}
		r.CreatedAt, r.UpdatedAt = s.now(), s.now()
	}
	return s.setRules(ctx, actor, tasks, true, rules)
}

func (s *Service) setRules(ctx context.Context, actor build.Actor, tasks []build.JobRef, own bool, rules []Rule) error {
	ids := make([]build.JobID, len(tasks))
	for i, task := range tasks {
		if err := s.Check(ctx, actor, task, build.Manage); err != nil {
			return err
		}
		ids[i] = task.ID
	}
	return s.Store.SetJobRules(ctx, ids, own, rules)
}

// Standing is what a user may do with the tasks that follow a project, and the roles that this comes from.
type Standing struct {
	Roles  []Role // a domain's administrator and a project's creator are administrators of it
	Rights Rights
}

// Standing returns what the actor may do in a project. The error is a fault.NotFound when it is no member.
func (s *Service) Standing(ctx context.Context, actor build.Actor, project build.ProjectID) (Standing, error) {
	st, err := s.standings.get(ctx, standingKey{actor.UserID, string(project)})
	switch {
	case err != nil:
		return Standing{}, err
	case !st.member:
		return Standing{}, fault.New(fault.NotFound, "project %s does not exist", project)
	case st.administrator:
		return Standing{Roles: []Role{ProjectAdministrator}, Rights: st.rights}, nil
	}
	return Standing{Roles: st.roles, Rights: st.rights}, nil
}
