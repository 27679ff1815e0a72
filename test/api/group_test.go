package api_test

import (
	"fmt"
	"strings"
	"testing"

	codeartsbuild "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server/servertest"
)

// newGroup makes a group below a parent; at the top when that is empty.
func newGroup(t *testing.T, s *servertest.Server, c *codeartsbuild.CodeArtsBuildClient, name, parent string) model.JobGroupResponseBodyResult {
	t.Helper()
	return (*ok(t, c.CreateJobGroup, &model.CreateJobGroupRequest{ProjectId: s.Project, Body: &model.JobGroupRequestBody{Name: &name, ParentId: &parent}}).Result)[0]
}

// tree writes the groups of a project like A(B C(D)) E.
func tree(t *testing.T, s *servertest.Server, c *codeartsbuild.CodeArtsBuildClient) string {
	t.Helper()
	var write func(groups []model.JobGroupTreeResponseBody) string
	write = func(groups []model.JobGroupTreeResponseBody) string {
		var words []string
		for _, g := range groups {
			word := *g.Name
			if g.Children != nil {
				word += "(" + write(*g.Children) + ")"
			}
			words = append(words, word)
		}
		return strings.Join(words, " ")
	}
	return write(*ok(t, c.ListGroupTree, &model.ListGroupTreeRequest{ProjectId: s.Project}).Result)
}

func TestGroups(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	a := newGroup(t, s, c, "A", "")
	b := newGroup(t, s, c, "B", *a.Id)
	newGroup(t, s, c, "测试 1", *a.Id)
	e := newGroup(t, s, c, "E", "")
	if *b.ParentId != *a.Id || *b.PathId != *a.Id+"."+*b.Id || *b.Ordinal != "1" || *b.CreateUser != s.Developer.Name || *b.ProjectId != s.Project || b.UpdateTime != nil {
		t.Errorf("the new group is %v", b)
	}
	check := func(want string) {
		t.Helper()
		if got := tree(t, s, c); got != want {
			t.Errorf("the tree is %s, want %s", got, want)
		}
	}
	check("A(B 测试 1) E")
	change := func(id string, body model.JobGroupRequestBody) model.JobGroupResponseBodyResult {
		t.Helper()
		body.Id = &id
		return (*ok(t, c.UpdateJobGroup, &model.UpdateJobGroupRequest{ProjectId: s.Project, Body: &body}).Result)[0]
	}
	if g := change(*e.Id, model.JobGroupRequestBody{ParentId: b.Id}); *g.PathId != *b.PathId+"."+*e.Id || *g.UpdateUser != s.Developer.Name || g.UpdateTime == nil {
		t.Errorf("the moved group is %v", g)
	}
	check("A(B(E) 测试 1)")
	change(*b.Id, model.JobGroupRequestBody{Name: new("Bee"), ParentId: new("")})
	check("A(测试 1) Bee(E)")
	ok(t, c.SwitchedPacket, &model.SwitchedPacketRequest{ProjectId: s.Project, SourceGroupId: *a.Id, TargetGroupId: *b.Id})
	check("Bee(E) A(测试 1)")

	job := create(t, c, shell(s, "app", "true"))
	create(t, c, shell(s, "loose", "true"))
	ePath := *b.Id + "." + *e.Id
	moved := *ok(t, c.MoveGroup, &model.MoveGroupRequest{ProjectId: s.Project, Body: &model.MoveJobGroupRequestBody{
		GroupId: e.Id, Jobs: &[]model.MoveJobGroupRequestBodyJobs{{JobId: &job, JobName: new("app")}},
	}}).Result
	if len(moved) != 1 || *moved[0].GroupPathId != ePath || *moved[0].JobId != job {
		t.Errorf("moved %v", moved)
	}
	if got := ok(t, c.ShowJobConfig, &model.ShowJobConfigRequest{JobId: job}).Result.GroupId; got == nil || *got != *e.Id {
		t.Errorf("the task is in group %v", got)
	}
	for _, list := range []struct {
		byGroup bool
		path    string
		want    string
	}{{false, "", "app loose"}, {true, "", "loose"}, {true, ePath, "app"}, {true, *b.Id, ""}, {false, *b.Id, "app"}, {false, *a.Id, ""}} {
		request := &model.ListProjectJobsRequest{ProjectId: s.Project, PageSize: 10, SortField: new("job_name"), ByGroup: &list.byGroup}
		if list.path != "" {
			request.GroupPathId = &list.path
		}
		var got []string
		for _, j := range *ok(t, c.ListProjectJobs, request).Jobs {
			got = append(got, *j.JobName)
		}
		if strings.Join(got, " ") != list.want {
			t.Errorf("by group %v at %q: %v, want %s", list.byGroup, list.path, got, list.want)
		}
	}
	ok(t, c.DeleteGroup, &model.DeleteGroupRequest{ProjectId: s.Project, Id: *b.Id})
	check("A(测试 1)")
	if got := ok(t, c.ShowJobConfig, &model.ShowJobConfigRequest{JobId: job}).Result.GroupId; got != nil {
		t.Errorf("after the group was deleted the task is in %s", *got)
	}
}

func TestGroupLimits(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	var ids []string
	parent := ""
	for i := range 5 {
		parent = *newGroup(t, s, c, fmt.Sprint("level", i+1), parent).Id
		ids = append(ids, parent)
	}
	top := *newGroup(t, s, c, strings.Repeat("名", 128), "").Id
	child := *newGroup(t, s, c, "child", top).Id
	create := func(name, parent string) *model.CreateJobGroupRequest {
		return &model.CreateJobGroupRequest{ProjectId: s.Project, Body: &model.JobGroupRequestBody{Name: &name, ParentId: &parent}}
	}
	change := func(id, parent string) *model.UpdateJobGroupRequest {
		return &model.UpdateJobGroupRequest{ProjectId: s.Project, Body: &model.JobGroupRequestBody{Id: &id, ParentId: &parent}}
	}
	before := tree(t, s, c)
	const bad, none = "CB.00060200", "DEVCB.00031006"
	refused(t, c.CreateJobGroup, create("deep", ids[4]), 400, bad, "parent_id: the tree of groups would have 6 levels, at most 5 are allowed")
	refused(t, c.UpdateJobGroup, change(top, ids[3]), 400, bad, "would have 6 levels")
	refused(t, c.UpdateJobGroup, change(ids[0], ids[4]), 400, bad, "a group cannot be below itself")
	refused(t, c.UpdateJobGroup, change(ids[0], ids[0]), 400, bad, "a group cannot be below itself")
	refused(t, c.UpdateJobGroup, change(ids[0], strings.Repeat("0", 32)), 404, none, "parent_id: group", "does not exist in the project")
	refused(t, c.CreateJobGroup, create("level1", ""), 400, "CB.00039001", `another group at this place is called "level1"`)
	for _, name := range []string{"", " a", "a\nb", strings.Repeat("a", 129)} {
		refused(t, c.CreateJobGroup, create(name, ""), 400, bad, "name: must be 1 to 128 characters")
	}
	refused(t, c.SwitchedPacket, &model.SwitchedPacketRequest{ProjectId: s.Project, SourceGroupId: top, TargetGroupId: child}, 400, bad, "target_group_id: must be a group with the same parent")
	if after := tree(t, s, c); after != before {
		t.Errorf("the tree was %s and is %s", before, after)
	}
}

// badGroups are wrong requests about groups.
func badGroups(s *servertest.Server, a app) []badRequest {
	path := "/v1/job/" + s.Project + "/group/"
	none := strings.Repeat("0", 32)
	id := func(name, method, path, body, field string) badRequest {
		return badRequest{name, method, path, body, 400, "CB.00060202", []string{field + ": must be"}}
	}
	return []badRequest{
		invalid("group without a name", "POST", path+"create", `{}`, "name: is missing"),
		invalid("no group to delete", "DELETE", path+"delete", "", "id: is missing"),
		invalid("no tasks to move", "POST", path+"move", `{"jobs":[]}`, "jobs: must have 1 to 100 tasks, found 0"),
		invalid("nothing to swap", "POST", path+"swap?source_group_id="+none, "", "target_group_id: is missing"),
		id("group to delete", "DELETE", path+"delete?id=x", "", "id"),
		id("group to change", "PUT", path+"update", `{"id":"x"}`, "id"),
		id("group to swap", "POST", path+"swap?source_group_id=x&target_group_id="+none, "", "source_group_id"),
		id("path", "GET", "/v1/job/"+s.Project+"/list?group_path_id=a.b", "", "group_path_id"),
		id("long path", "GET", "/v1/job/"+s.Project+"/list?group_path_id="+strings.Repeat(none+".", 5)+none, "", "group_path_id"),
		invalid("flag", "GET", "/v1/job/"+s.Project+"/list?by_group=maybe", "", "by_group: must be true or false"),
		{"task to move", "POST", path + "move", `{"jobs":[{"job_id":"x"}]}`, 400, "CB.00060201", []string{"jobs[0].job_id: must be 32"}},
		{"no such group", "DELETE", path + "delete?id=" + none, "", 404, "DEVCB.00031006", []string{"group", "does not exist in the project"}},
		{"no such group to move to", "POST", path + "move", `{"group_id":"x","jobs":[{"job_id":"` + a.job + `"}]}`, 404, "DEVCB.00031006", []string{`group_id: group "x" does not exist`}},
		{"no such group in a list", "GET", "/v1/job/" + s.Project + "/list?group_path_id=" + none, "", 404, "DEVCB.00031006", []string{"group_path_id: group", "does not exist in the project"}},
	}
}
