package httpapi

import (
	"hash/fnv"
	"slices"
	"strconv"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/iam"
)

func (a *API) permissionOperations() []operation {
	return []operation{
		handle("ShowProjectPermission", "GET /v1/domain/user-permission", current, "What the caller may do in a project.", a.showProjectPermission),
		handle("ShowProjectJobPermission", "GET /v1/job/permission", current, "What the caller may do with a build task.", a.showTaskPermission),
		handle("ShowJobRolePermission", "GET /v1/job/permission/role", current, "What each role may do with a build task.", a.showRolePermissions),
		handle("ShowDefaultProjectPermission", "GET /v1/job/project/default-permission", current, "What each role may do with the tasks that follow a project.", a.showDefaultPermissions),
		handle("BatchUpdateJobRolePermission", "POST /v1/job/permissions/batch", current, "Change what roles may do with some build tasks.", a.setPermissions),
		handle("ApplyProjectPermission", "POST /v1/job/project/permission", current, "Let a build task follow the permissions of its project, or not.", a.followProject),
	}
}

// creatorRow is the number of the row that stands for whoever made the task. It is no role, and holds everything.
const creatorRow = -3

// wireRole is the vendor's number of a role, and the name that it has in answers.
type wireRole struct {
	role   iam.Role
	number int
	name   string
}

var wireRoles = []wireRole{
	{iam.ProjectAdministrator, -1, "project_admin"},
	{iam.ProjectManager, 3, "project_manager"},
	{iam.ProductManager, 1002, "product_manager"},
	{iam.TestManager, 5, "test_manager"},
	{iam.OperationManager, 0, "operation_manager"},
	{iam.SystemEngineer, 1015, "system_engineer"},
	{iam.Committer, 1001, "committer"},
	{iam.Developer, 4, "developer"},
	{iam.Tester, 6, "tester"},
	{iam.Participant, 7, "participant"},
	{iam.Viewer, 8, "viewer"},
}

func numberOf(role iam.Role) (number int, name string) {
	for _, r := range wireRoles {
		if r.role == role {
			return r.number, r.name
		}
	}
	return 0, ""
}

type projectPermissionAnswer struct {
	ProjectID build.ProjectID `json:"project_id"`
	View      bool            `json:"view_permission"`
	Create    bool            `json:"create_permission"`
	Execute   bool            `json:"execute_permission"`
	Modify    bool            `json:"modify_permission"`
	Copy      bool            `json:"copy_permission"`
	Forbidden bool            `json:"forbidden_permission"`
	Delete    bool            `json:"delete_permission"`
	Manager   bool            `json:"manager_permission"`
	Group     bool            `json:"group_permission"`
	RoleID    text            `json:"role_id"`
	RoleIDs   []string        `json:"role_ids"`
	RoleName  text            `json:"role_name"`
	RoleNames []string        `json:"role_names"`
}

type projectPermissionRequest struct {
	ProjectID projectID `query:"project_id" required:"true"`
}

// showProjectPermission answers every member, also one whose roles let it do nothing.
func (a *API) showProjectPermission(c call, in projectPermissionRequest) (*envelope[projectPermissionAnswer], error) {
	st, err := a.IAM.Standing(c.ctx(), c.actor(), build.ProjectID(in.ProjectID))
	if err != nil {
		return nil, err
	}
	may := st.Rights.Has
	answer := projectPermissionAnswer{
		ProjectID: build.ProjectID(in.ProjectID), View: may(build.View), Create: may(build.Create), Execute: may(build.Execute), Modify: may(build.Modify),
		Copy: may(build.Copy), Forbidden: may(build.Disable), Delete: may(build.Delete), Manager: may(build.Manage), Group: may(build.Create),
	}
	for _, role := range st.Roles {
		number, name := numberOf(role)
		answer.RoleIDs, answer.RoleNames = append(answer.RoleIDs, strconv.Itoa(number)), append(answer.RoleNames, name)
	}
	answer.RoleID, answer.RoleName = text(answer.RoleIDs[0]), text(answer.RoleNames[0])
	return wrap(answer), nil
}

type taskPermissionRequest struct {
	ProjectID projectID `query:"project_id" required:"true"`
	JobID     jobID     `query:"job_id" required:"true"`
}

// taskOf returns a task of a project that the caller may view.
func (a *API) taskOf(c call, in taskPermissionRequest) (build.Job, error) {
	job, err := a.Builds.Job(c.ctx(), c.actor(), build.JobID(in.JobID))
	if err == nil && job.ProjectID != build.ProjectID(in.ProjectID) {
		err = fault.New(fault.NotFound, "task %s does not exist in project %s", in.JobID, in.ProjectID)
	}
	return job, err
}

// flagsAnswer is what somebody may do with a task.
type flagsAnswer struct {
	rightsAnswer
	IsManager bool `json:"is_manager"`
}

func flagsOf(r iam.Rights) flagsAnswer {
	return flagsAnswer{rightsAnswer{
		IsModify: r.Has(build.Modify), IsDelete: r.Has(build.Delete), IsExecute: r.Has(build.Execute), IsCopy: r.Has(build.Copy),
		IsForbidden: r.Has(build.Disable), IsView: r.Has(build.View),
	}, r.Has(build.Manage)}
}

type taskPermissionAnswer struct {
	flagsAnswer
	JobID      build.JobID `json:"job_id"`
	RoleID     int         `json:"role_id"`
	Count      int         `json:"count"` // of the roles that the caller has in the project
	CreateTime isoTime     `json:"create_time"`
	UpdateTime isoTime     `json:"last_update_time"`
}

func (a *API) showTaskPermission(c call, in taskPermissionRequest) (*envelope[taskPermissionAnswer], error) {
	job, err := a.taskOf(c, in)
	if err != nil {
		return nil, err
	}
	st, err := a.IAM.Standing(c.ctx(), c.actor(), job.ProjectID)
	if err != nil {
		return nil, err
	}
	rights := a.rights(c, job.Ref())
	manages := a.Builds.Check(c.ctx(), c.actor(), job.Ref(), build.Manage) == nil
	number, _ := numberOf(st.Roles[0])
	if job.CreatorID == c.actor().UserID {
		number = creatorRow
	}
	return wrap(taskPermissionAnswer{
		flagsAnswer{rights, manages}, job.ID, number, len(st.Roles), isoTime(job.CreatedAt), isoTime(job.UpdatedAt),
	}), nil
}

// rolePermissionAnswer is a row of a task's matrix.
type rolePermissionAnswer struct {
	flagsAnswer
	ID         int32       `json:"id"`
	JobID      build.JobID `json:"job_id"`
	RoleID     int         `json:"role_id"`
	RoleName   text        `json:"role_name"`
	Count      int         `json:"count"` // of the project's members who have the role
	CreateTime isoTime     `json:"create_time"`
	UpdateTime isoTime     `json:"last_update_time"`
}

type rolePermissionsRequest struct {
	JobID jobID `query:"job_id" required:"true"`
}

func (a *API) showRolePermissions(c call, in rolePermissionsRequest) (*envelope[[]rolePermissionAnswer], error) {
	job, err := a.Builds.Job(c.ctx(), c.actor(), build.JobID(in.JobID))
	if err != nil {
		return nil, err
	}
	matrix, err := a.IAM.Matrix(c.ctx(), job.ID)
	if err != nil {
		return nil, err
	}
	members, err := a.IAM.Members(c.ctx(), string(job.ProjectID))
	if err != nil {
		return nil, err
	}
	holders := make(map[iam.Role]int)
	for _, m := range members {
		for _, role := range m.Roles {
			holders[role]++
		}
	}
	rows := []rolePermissionAnswer{{
		flagsAnswer: flagsOf(^iam.Rights(0)), ID: rowID(job.ID, creatorRow), JobID: job.ID, RoleID: creatorRow, Count: 1,
		CreateTime: isoTime(job.CreatedAt), UpdateTime: isoTime(job.CreatedAt),
	}}
	for _, rule := range matrix.Rules {
		number, name := numberOf(rule.Role)
		row := rolePermissionAnswer{
			flagsAnswer: flagsOf(rule.Rights), ID: rowID(job.ID, number), JobID: job.ID, RoleID: number, RoleName: text(name), Count: holders[rule.Role],
			CreateTime: isoTime(rule.CreatedAt), UpdateTime: isoTime(rule.UpdatedAt),
		}
		if rule.CreatedAt.IsZero() { // it has never been another than the project's
			row.CreateTime, row.UpdateTime = isoTime(job.CreatedAt), isoTime(job.CreatedAt)
		}
		rows = append(rows, row)
	}
	return wrap(rows), nil
}

// rowID is the number of a row. It is the same in every answer; nothing is looked up by it.
func rowID(job build.JobID, role int) int32 {
	h := fnv.New32a()
	h.Write([]byte(string(job) + strconv.Itoa(role)))
	return int32(h.Sum32() >> 1)
}

type defaultPermissionAnswer struct {
	flagsAnswer
	RoleID   int    `json:"role_id"`
	RoleName string `json:"role_name"`
}

func (a *API) showDefaultPermissions(c call, in taskPermissionRequest) (*envelope[[]defaultPermissionAnswer], error) {
	if _, err := a.taskOf(c, in); err != nil {
		return nil, err
	}
	var rows []defaultPermissionAnswer
	for _, rule := range iam.DefaultMatrix().Rules {
		number, name := numberOf(rule.Role)
		rows = append(rows, defaultPermissionAnswer{flagsOf(rule.Rights), number, name})
	}
	return wrap(rows), nil
}

type setPermissionsRequest struct {
	Body struct {
		ProjectID     string           `json:"project_id"`
		JobIDs        []string         `json:"job_ids"`
		ProjectSwitch looseBool        `json:"project_switch"`
		Permissions   []permissionBody `json:"permissions"`
	} `body:"json"`
}

// permissionBody is a row of a matrix as clients write it. Flags that are not given are false.
type permissionBody struct {
	RoleID      *int      `json:"role_id"`
	RoleName    string    `json:"role_name"`
	IsModify    looseBool `json:"is_modify"`
	IsDelete    looseBool `json:"is_delete"`
	IsView      looseBool `json:"is_view"`
	IsExecute   looseBool `json:"is_execute"`
	IsCopy      looseBool `json:"is_copy"`
	IsForbidden looseBool `json:"is_forbidden"`
	IsManager   looseBool `json:"is_manager"`
}

func (p permissionBody) rights() iam.Rights {
	var given []build.Right
	for right, flag := range map[build.Right]looseBool{
		build.Modify: p.IsModify, build.Delete: p.IsDelete, build.View: p.IsView, build.Execute: p.IsExecute, build.Copy: p.IsCopy,
		build.Disable: p.IsForbidden, build.Manage: p.IsManager,
	} {
		if flag.value != nil && *flag.value {
			given = append(given, right)
		}
	}
	return iam.RightsOf(given...)
}

// creatorsRights is what the row of whoever made the task has, and must have.
var creatorsRights = iam.RightsOf(build.View, build.Execute, build.Modify, build.Copy, build.Disable, build.Delete, build.Manage)

// rulesOf returns what the rows say. The row of the task's creator is fixed.
func rulesOf(rows []permissionBody) ([]iam.Rule, error) {
	var rules []iam.Rule
	for i, row := range rows {
		field := "permissions[" + strconv.Itoa(i) + "]"
		if row.RoleID == nil {
			return nil, invalid(codeInvalid, field+".role_id", "is missing")
		}
		if *row.RoleID == creatorRow {
			if row.rights() != creatorsRights {
				return nil, invalid(codeInvalid, field, "what the creator of a task may do is fixed: everything")
			}
			continue
		}
		at := slices.IndexFunc(wireRoles, func(r wireRole) bool { return r.number == *row.RoleID })
		if at < 0 {
			return nil, invalid(codeInvalid, field+".role_id", "must be the number of a role, such as 4 for developers, found %d", *row.RoleID)
		}
		rules = append(rules, iam.Rule{Role: wireRoles[at].role, Rights: row.rights()})
	}
	return rules, nil
}

// maxPermissionTasks is how many tasks one request may change.
const maxPermissionTasks = 100

func (a *API) setPermissions(c call, in setPermissionsRequest) (*envelope[*string], error) {
	if n := len(in.Body.JobIDs); n == 0 || n > maxPermissionTasks {
		return nil, invalid(codeInvalid, "job_ids", "must have 1 to %d ids, found %d", maxPermissionTasks, n)
	}
	rules, err := rulesOf(in.Body.Permissions)
	if err != nil {
		return nil, err
	}
	refs, err := a.tasksToManage(c, in.Body.ProjectID, "job_ids", in.Body.JobIDs...)
	if err != nil {
		return nil, err
	}
	if follow := in.Body.ProjectSwitch.value; follow != nil && *follow {
		err = a.IAM.FollowProject(c.ctx(), c.actor(), refs, true)
	} else {
		err = a.IAM.SetMatrix(c.ctx(), c.actor(), refs, rules)
	}
	return wrap[*string](nil), err
}

// tasksToManage returns tasks of a project whose permissions the caller may change. Without a project they may be of any; key is
// where the ids stand in the body.
func (a *API) tasksToManage(c call, project, key string, ids ...string) ([]build.JobRef, error) {
	var of projectID
	if project != "" {
		if err := of.parse("project_id", project); err != nil {
			return nil, err
		}
	}
	var refs []build.JobRef
	for _, id := range ids {
		var valid jobID
		if err := valid.parse(key, id); err != nil {
			return nil, err
		}
		job, err := a.Builds.JobFor(c.ctx(), c.actor(), build.JobID(valid), build.Manage)
		if err != nil {
			return nil, err
		}
		if project != "" && job.ProjectID != build.ProjectID(of) {
			return nil, fault.New(fault.NotFound, "task %s does not exist in project %s", id, project)
		}
		refs = append(refs, job.Ref())
	}
	return refs, nil
}

type followProjectRequest struct {
	Body struct {
		JobID         string    `json:"job_id" doc:"required"`
		ProjectID     string    `json:"project_id"`
		ProjectSwitch looseBool `json:"project_switch"`
	} `body:"json"`
}

func (a *API) followProject(c call, in followProjectRequest) (*envelope[*string], error) {
	if in.Body.ProjectSwitch.value == nil {
		return nil, invalid(codeInvalid, "project_switch", "is missing")
	}
	refs, err := a.tasksToManage(c, in.Body.ProjectID, "job_id", in.Body.JobID)
	if err != nil {
		return nil, err
	}
	return wrap[*string](nil), a.IAM.FollowProject(c.ctx(), c.actor(), refs, *in.Body.ProjectSwitch.value)
}
