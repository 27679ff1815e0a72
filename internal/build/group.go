package build

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"atelier/internal/fault"
)

// Limits of groups. The vendor documents none.
const (
	MaxGroups     = 1000 // of a project
	MaxGroupDepth = 5
	MaxGroupName  = 128
)

// Group is a folder for jobs of a project. Groups form a tree.
type Group struct {
	ID        string
	ProjectID ProjectID
	DomainID  string
	ParentID  string // empty at the top
	Name      string // no two below one parent have the same
	Path      string // ids from the top to this one, joined with dots
	Ordinal   int    // orders the groups of a project
	CreatedBy string // names of users
	CreatedAt time.Time
	UpdatedBy string
	UpdatedAt time.Time // zero until the first change
}

func (g Group) depth() int { return strings.Count(g.Path, ".") + 1 }

// within reports whether g is a group or below it.
func (g Group) within(id string) bool {
	return slices.Contains(strings.Split(g.Path, "."), id)
}

// GroupEdit is what changes in a group. A nil field stays as it is.
type GroupEdit struct {
	Name     *string
	ParentID *string // empty moves the group to the top
}

// Groups returns the groups of a project in their order.
func (s *Service) Groups(ctx context.Context, actor Actor, project ProjectID) ([]Group, error) {
	if err := s.Check(ctx, actor, JobRef{ProjectID: project}, View); err != nil {
		return nil, err
	}
	return s.Store.Groups(ctx, project)
}

// editGroups changes the groups of a project, which needs the right to edit its jobs.
func (s *Service) editGroups(ctx context.Context, actor Actor, project ProjectID, edit func([]Group) ([]Group, error)) error {
	if err := s.Check(ctx, actor, JobRef{ProjectID: project}, Modify); err != nil {
		return err
	}
	return s.Store.EditGroups(ctx, project, edit)
}

// CreateGroup makes a group, behind all others, below a parent or at the top.
func (s *Service) CreateGroup(ctx context.Context, actor Actor, project ProjectID, name, parentID string) (Group, error) {
	group := Group{ID: NewHexID(), ProjectID: project, DomainID: actor.DomainID, CreatedBy: actor.UserName, CreatedAt: s.now()}
	err := s.editGroups(ctx, actor, project, func(groups []Group) ([]Group, error) {
		if len(groups) >= MaxGroups {
			return nil, fault.New(fault.Limit, "the project has %d groups, no more than %d are allowed", len(groups), MaxGroups)
		}
		group.Ordinal = 0
		for _, g := range groups {
			group.Ordinal = max(group.Ordinal, g.Ordinal+1)
		}
		groups = append(groups, group)
		err := place(groups, len(groups)-1, name, parentID)
		group = groups[len(groups)-1]
		return groups, err
	})
	return group, err
}

// UpdateGroup renames a group or moves it, with all that is below it.
func (s *Service) UpdateGroup(ctx context.Context, actor Actor, project ProjectID, id string, edit GroupEdit) (Group, error) {
	var group Group
	err := s.editGroups(ctx, actor, project, func(groups []Group) ([]Group, error) {
		i, err := findGroup(groups, "id", id)
		if err != nil {
			return nil, err
		}
		name, parentID := groups[i].Name, groups[i].ParentID
		if edit.Name != nil {
			name = *edit.Name
		}
		if edit.ParentID != nil {
			parentID = *edit.ParentID
		}
		groups[i].UpdatedBy, groups[i].UpdatedAt = actor.UserName, s.now()
		err = place(groups, i, name, parentID)
		group = groups[i]
		return groups, err
	})
	return group, err
}

func findGroup(groups []Group, field, id string) (int, error) {
	i := slices.IndexFunc(groups, func(g Group) bool { return g.ID == id })
	if i < 0 {
		return 0, fault.New(fault.NotFound, "%s: group %s does not exist in the project", field, quote(id))
	}
	return i, nil
}

// place gives a group a name and a parent, and new paths to it and all below it.
func place(groups []Group, i int, name, parentID string) error {
	group := &groups[i]
	if n := utf8.RuneCountInString(name); n < 1 || n > MaxGroupName || strings.TrimSpace(name) != name || strings.ContainsFunc(name, unicode.IsControl) {
		return fault.Field("name", "must be 1 to %d characters without blanks at the ends and control characters, found %s", MaxGroupName, quote(name))
	}
	path := group.ID
	if parentID != "" {
		p, err := findGroup(groups, "parent_id", parentID)
		if err != nil {
			return err
		}
		if groups[p].within(group.ID) {
			return fault.Field("parent_id", "a group cannot be below itself; %s is %s or below it", quote(groups[p].Name), quote(group.Name))
		}
		path = groups[p].Path + "." + group.ID
	}
	for j := range groups {
		g := &groups[j]
		if j != i && g.ParentID == parentID && g.Name == name {
			return &fault.Error{Kind: fault.Exists, Field: "name", Message: "another group at this place is called " + quote(name)}
		}
		if j == i || !g.within(group.ID) {
			continue
		}
		_, below, _ := strings.Cut(g.Path, group.ID)
		if g.Path = path + below; g.depth() > MaxGroupDepth {
			return tooDeep(g.depth())
		}
	}
	group.Name, group.ParentID, group.Path = name, parentID, path
	if group.depth() > MaxGroupDepth {
		return tooDeep(group.depth())
	}
	return nil
}

func tooDeep(depth int) error {
	return fault.Field("parent_id", "the tree of groups would have %d levels, at most %d are allowed", depth, MaxGroupDepth)
}

// DeleteGroup removes a group and those below it. Their jobs stay, in no group.
func (s *Service) DeleteGroup(ctx context.Context, actor Actor, project ProjectID, id string) error {
	return s.editGroups(ctx, actor, project, func(groups []Group) ([]Group, error) {
		if _, err := findGroup(groups, "id", id); err != nil {
			return nil, err
		}
		return slices.DeleteFunc(groups, func(g Group) bool { return g.within(id) }), nil
	})
}

// SwapGroups exchanges the places of two groups that have one parent.
func (s *Service) SwapGroups(ctx context.Context, actor Actor, project ProjectID, source, target string) error {
	return s.editGroups(ctx, actor, project, func(groups []Group) ([]Group, error) {
		i, err := findGroup(groups, "source_group_id", source)
		if err != nil {
			return nil, err
		}
		j, err := findGroup(groups, "target_group_id", target)
		if err != nil {
			return nil, err
		}
		if groups[i].ParentID != groups[j].ParentID {
			return nil, fault.Field("target_group_id", "must be a group with the same parent as the source's; %s and %s have two", quote(groups[i].Name), quote(groups[j].Name))
		}
		groups[i].Ordinal, groups[j].Ordinal = groups[j].Ordinal, groups[i].Ordinal
		return groups, nil
	})
}

// MoveJobs puts jobs into a group, or into none when the id is empty: all or none of them. It returns the group's path.
func (s *Service) MoveJobs(ctx context.Context, actor Actor, project ProjectID, groupID string, ids []JobID) (path string, err error) {
	for _, id := range ids {
		job, err := s.job(ctx, actor, id, Modify)
		if err != nil {
			return "", err
		}
		if job.ProjectID != project {
			return "", fault.Field("jobs", "task %s belongs to another project", id)
		}
	}
	groups, err := s.Store.Groups(ctx, project)
	if err != nil {
		return "", err
	}
	if groupID != "" {
		i, err := findGroup(groups, "group_id", groupID)
		if err != nil {
			return "", err
		}
		path = groups[i].Path
	}
	return path, s.Store.MoveJobs(ctx, project, groupID, slices.Compact(slices.Sorted(slices.Values(ids))))
}
