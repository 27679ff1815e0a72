package httpapi

import (
	"strings"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
)

func (a *API) groupOperations() []operation {
	return []operation{
		handle("CreateJobGroup", "POST /v1/job/{project_id}/group/create", current, "Create a group of build tasks.", a.createGroup),
		handle("UpdateJobGroup", "PUT /v1/job/{project_id}/group/update", current, "Rename or move a group of build tasks.", a.updateGroup),
		handle("DeleteGroup", "DELETE /v1/job/{project_id}/group/delete", current, "Delete a group and those below it; their tasks stay, in no group.", a.deleteGroup),
		handle("ListGroupTree", "GET /v1/job/{project_id}/group/tree", current, "The groups of a project as a tree.", a.listGroups),
		handle("MoveGroup", "POST /v1/job/{project_id}/group/move", current, "Move build tasks into a group.", a.moveJobs),
		handle("SwitchedPacket", "POST /v1/job/{project_id}/group/swap", current, "Swap the places of two groups.", a.swapGroups),
	}
}

type groupRequest struct {
	ProjectID projectID `path:"project_id"`
	Body      groupBody `body:"json"`
}

type groupBody struct {
	ID       string  `json:"id"`
	Name     *string `json:"name"`
	ParentID *string `json:"parent_id"`
}

// groupFields are what both forms of a group have.
type groupFields struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	ProjectID  build.ProjectID `json:"project_id"`
	DomainID   string          `json:"domain_id"`
	ParentID   text            `json:"parent_id"`
	PathID     string          `json:"path_id"`
	CreateUser string          `json:"create_user"`
	CreateTime text            `json:"create_time"`
	UpdateUser text            `json:"update_user"`
	UpdateTime text            `json:"update_time"`
}

func (a *API) groupFields(g build.Group) groupFields {
	at := func(t time.Time) text {
		if t.IsZero() {
			return ""
		}
		return text(t.In(a.Zone).Format("2006-01-02T15:04:05-0700"))
	}
	return groupFields{
		ID: g.ID, Name: g.Name, ProjectID: g.ProjectID, DomainID: g.DomainID, ParentID: text(g.ParentID), PathID: g.Path,
		CreateUser: g.CreatedBy, CreateTime: at(g.CreatedAt), UpdateUser: text(g.UpdatedBy), UpdateTime: at(g.UpdatedAt),
	}
}

// groupAnswer is a group that was changed. Its ordinal is a text, in the tree it is a number.
type groupAnswer struct {
	groupFields
	GroupID string `json:"group_id"`
	Ordinal string `json:"ordinal"`
}

func (a *API) changedGroup(g build.Group) *envelope[[]groupAnswer] {
	return wrap([]groupAnswer{{a.groupFields(g), g.ID, number(g.Ordinal)}})
}

func (a *API) createGroup(c call, in groupRequest) (*envelope[[]groupAnswer], error) {
	if in.Body.Name == nil {
		return nil, invalid(codeInvalid, "name", "is missing")
	}
	parent := ""
	if in.Body.ParentID != nil {
		parent = *in.Body.ParentID
	}
	g, err := a.Builds.CreateGroup(c.ctx(), c.actor(), build.ProjectID(in.ProjectID), *in.Body.Name, parent)
	return a.changedGroup(g), err
}

func (a *API) updateGroup(c call, in groupRequest) (*envelope[[]groupAnswer], error) {
	var id groupID
	if err := id.parse("id", in.Body.ID); err != nil {
		return nil, err
	}
	g, err := a.Builds.UpdateGroup(c.ctx(), c.actor(), build.ProjectID(in.ProjectID), string(id), build.GroupEdit{Name: in.Body.Name, ParentID: in.Body.ParentID})
	return a.changedGroup(g), err
}

// groupID is the id of a group, groupPath the ids from the top to one.
type (
	groupID   string
	groupPath string
)

func (id *groupID) parse(name, value string) error {
	if !isForm32(value) {
		return invalid(codeInvalidID, name, "must be 32 lower-case letters or digits, found %q", shorten(value))
	}
	*id = groupID(value)
	return nil
}

func (p *groupPath) parse(name, value string) error {
	ids := strings.Split(value, ".")
	for _, id := range ids {
		if !isForm32(id) || len(ids) > build.MaxGroupDepth {
			return invalid(codeInvalidID, name, "must be 1 to %d ids of groups, joined with dots, found %q", build.MaxGroupDepth, shorten(value))
		}
	}
	*p = groupPath(value)
	return nil
}

type deleteGroupRequest struct {
	ProjectID projectID `path:"project_id"`
	ID        groupID   `query:"id" required:"true"`
}

func (a *API) deleteGroup(c call, in deleteGroupRequest) (*envelope[text], error) {
	return wrap(text("")), a.Builds.DeleteGroup(c.ctx(), c.actor(), build.ProjectID(in.ProjectID), string(in.ID))
}

type projectRequest struct {
	ProjectID projectID `path:"project_id"`
}

type groupTree struct {
	groupFields
	Ordinal  int         `json:"ordinal"`
	Children []groupTree `json:"children" doc:",null"`
}

func (a *API) listGroups(c call, in projectRequest) (*envelope[[]groupTree], error) {
	groups, err := a.Builds.Groups(c.ctx(), c.actor(), build.ProjectID(in.ProjectID))
	children := make(map[string][]build.Group)
	for _, g := range groups {
		children[g.ParentID] = append(children[g.ParentID], g)
	}
	var tree func(build.Group) groupTree
	tree = func(g build.Group) groupTree {
		return groupTree{a.groupFields(g), g.Ordinal, mapped(children[g.ID], tree)}
	}
	return wrap(list(children[""], tree)), err
}

type moveJobsRequest struct {
	ProjectID projectID `path:"project_id"`
	Body      struct {
		GroupID string `json:"group_id"`
		Jobs    []struct {
			ID string `json:"job_id" doc:"required"`
		} `json:"jobs"`
	} `body:"json"`
}

type movedJobAnswer struct {
	Path  text        `json:"group_path_id"`
	JobID build.JobID `json:"job_id"`
}

func (a *API) moveJobs(c call, in moveJobsRequest) (*envelope[[]movedJobAnswer], error) {
	if n := len(in.Body.Jobs); n == 0 || n > maxListed {
		return nil, invalid(codeInvalid, "jobs", "must have 1 to %d tasks, found %d", maxListed, n)
	}
	ids := make([]build.JobID, len(in.Body.Jobs))
	for i, job := range in.Body.Jobs {
		if err := (*jobID)(&ids[i]).parse("jobs["+number(i)+"].job_id", job.ID); err != nil {
			return nil, err
		}
	}
	path, err := a.Builds.MoveJobs(c.ctx(), c.actor(), build.ProjectID(in.ProjectID), in.Body.GroupID, ids)
	return wrap(list(ids, func(id build.JobID) movedJobAnswer { return movedJobAnswer{text(path), id} })), err
}

type swapGroupsRequest struct {
	ProjectID projectID `path:"project_id"`
	Source    groupID   `query:"source_group_id" required:"true"`
	Target    groupID   `query:"target_group_id" required:"true"`
}

func (a *API) swapGroups(c call, in swapGroupsRequest) (*envelope[text], error) {
	return wrap(text("")), a.Builds.SwapGroups(c.ctx(), c.actor(), build.ProjectID(in.ProjectID), string(in.Source), string(in.Target))
}

// inGroup narrows a list of tasks. A path selects a group and all below it. By group, it selects the group alone, and no path
// the tasks that are in no group.
func (a *API) inGroup(c call, q *build.JobQuery, project projectID, byGroup flag, path groupPath) error {
	if path == "" {
		q.Ungrouped = bool(byGroup)
		return nil
	}
	groups, err := a.Builds.Groups(c.ctx(), c.actor(), build.ProjectID(project))
	if err != nil {
		return err
	}
	for _, g := range groups {
		switch {
		case g.Path == string(path):
			q.GroupIDs = append(q.GroupIDs, g.ID)
		case !bool(byGroup) && strings.HasPrefix(g.Path, string(path)+"."):
			q.GroupIDs = append(q.GroupIDs, g.ID)
		}
	}
	if len(q.GroupIDs) == 0 {
		return fault.New(fault.NotFound, "group_path_id: group %s does not exist in the project", path)
	}
	return nil
}
