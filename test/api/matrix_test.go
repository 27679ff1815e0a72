package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam"
	"atelier/internal/server/servertest"
)

// Numbers of roles on the wire.
const (
	projectAdministrators = -1
	developers            = 4
	testers               = 6
	viewers               = 8
)

// row returns the row of a role in the matrix of a task.
func row(t *testing.T, s *servertest.Server, user servertest.User, job string, role int32) model.ShowJobRolePermissionResult {
	t.Helper()
	for _, r := range *ok(t, s.Client(user).ShowJobRolePermission, &model.ShowJobRolePermissionRequest{JobId: job}).Result {
		if *r.RoleId == role {
			return r
		}
	}
	t.Fatalf("the matrix has no role %d", role)
	return model.ShowJobRolePermissionResult{}
}

// flags writes view, run, edit, clone, disable, delete and assign as signs.
func flags(view, execute, modify, clone, disable, remove, manage *bool) string {
	var b strings.Builder
	for _, flag := range []*bool{view, execute, modify, clone, disable, remove, manage} {
		if *flag {
			b.WriteByte('+')
		} else {
			b.WriteByte('-')
		}
	}
	return b.String()
}

func flagsOfRow(r model.ShowJobRolePermissionResult) string {
	return flags(r.IsView, r.IsExecute, r.IsModify, r.IsCopy, r.IsForbidden, r.IsDelete, r.IsManager)
}

// TestMatrix gives a task permissions of its own.
func TestMatrix(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	manager, viewer, tester, developer := s.NewUser("manager"), s.NewUser("viewer"), s.NewUser("tester"), s.NewUser("developer")
	for user, role := range map[*servertest.User]iam.Role{&manager: iam.ProjectManager, &viewer: iam.Viewer, &tester: iam.Tester, &developer: iam.Developer} {
		s.Grant(s.Project, *user, role)
	}
	owner := s.Client(s.Developer) // who makes the tasks
	job, other := create(t, owner, shell(s, "demo", "true")), create(t, owner, shell(s, "other", "true"))
	c := s.Client(manager)
	may := func(user servertest.User) string {
		r := ok(t, s.Client(user).ShowProjectJobPermission, &model.ShowProjectJobPermissionRequest{ProjectId: s.Project, JobId: job}).Result
		return flags(r.IsView, r.IsExecute, r.IsModify, r.IsCopy, r.IsForbidden, r.IsDelete, r.IsManager)
	}
	lists := func(user servertest.User) (names string) {
		t.Helper()
		for _, j := range *ok(t, s.Client(user).ListJob, &model.ListJobRequest{}).Result.JobList {
			names += *j.JobName + " "
		}
		return names
	}
	set := func(role int32, given string) {
		t.Helper()
		flag := func(i int) *bool { return new(given[i] == '+') }
		ok(t, c.BatchUpdateJobRolePermission, &model.BatchUpdateJobRolePermissionRequest{Body: &model.RolePermissionsRequestBody{
			ProjectId: &s.Project, JobIds: &[]string{job}, ProjectSwitch: new(false), Permissions: &[]model.JobRolePermission{{
				RoleId: &role, IsView: flag(0), IsExecute: flag(1), IsModify: flag(2), IsCopy: flag(3), IsForbidden: flag(4), IsDelete: flag(5), IsManager: flag(6),
			}},
		}})
	}

	// A new task follows its project.
	if got := may(viewer) + " " + may(developer) + " " + may(manager) + " " + may(s.Developer) + " " + may(s.Admin); got != "+------ ++++++- +++++++ +++++++ +++++++" {
		t.Errorf("at first they may %s", got)
	}
	if r := row(t, s, viewer, job, developers); flagsOfRow(r) != "++++++-" || *r.Count != 2 || *r.RoleName != "developer" || *r.JobId != job || *r.CreateTime == "" {
		t.Errorf("developers have %+v", r)
	}
	if r := row(t, s, viewer, job, -3); flagsOfRow(r) != "+++++++" {
		t.Errorf("the task's creator has %+v", r)
	}
	refused(t, s.Client(tester).ShowJobConfig, &model.ShowJobConfigRequest{JobId: job}, 403, "DEVCB.00031001", "view")

	// Testers may view and run it, viewers may not see it, developers may not edit it.
	set(testers, "++-----")
	set(viewers, "-------")
	set(developers, "++-----")
	ok(t, s.Client(tester).ShowJobConfig, &model.ShowJobConfigRequest{JobId: job})
	number := run(t, s.Client(tester), &model.RunJobRequestBody{JobId: job})
	record := await(t, s.Client(tester), job, number)
	refused(t, s.Client(tester).DeleteTheJob, &model.DeleteTheJobRequest{JobId: job}, 403, "DEVCB.00031001", "delete")
	refused(t, s.Client(viewer).ShowJobConfig, &model.ShowJobConfigRequest{JobId: job}, 403, "DEVCB.00031001", "view")
	refused(t, s.Client(viewer).ShowBuildRecord, &model.ShowBuildRecordRequest{RecordId: *record.BuildRecordId}, 403, "DEVCB.00031001", "view")
	refused(t, s.Client(viewer).DownloadBuildFullLog, &model.DownloadBuildFullLogRequest{RecordId: *record.BuildRecordId}, 403, "DEVCB.00031001", "view")
	refused(t, s.Client(developer).DisableTheJob, &model.DisableTheJobRequest{JobId: job, Body: &model.DisableTheJobRequestBody{Disabled: true}}, 403, "DEVCB.00031001", "disable")
	if got := may(tester) + " " + may(developer) + " " + may(manager) + " " + may(s.Developer) + " " + may(s.Admin); got != "++----- ++----- +++++++ +++++++ +++++++" {
		t.Errorf("then they may %s", got)
	}
	if got := lists(tester) + "| " + lists(viewer) + "| " + lists(developer) + "| " + lists(s.Developer) + "| " + lists(s.Admin); got != "demo | other | demo other | demo other | demo other " {
		t.Errorf("they see %s", got)
	}
	if a := s.Call(tester, "GET", "/v1/job/"+s.Project+"/list?page_size=10&page_index=0", ""); a.Status != 200 || !strings.Contains(a.Body, `"total":1`) || !strings.Contains(a.Body, `"project_permission_switch":false`) {
		t.Errorf("a tester lists %d %s", a.Status, a.Body)
	}
	if r := row(t, s, tester, job, testers); flagsOfRow(r) != "++-----" || *r.CreateTime == "" || *r.LastUpdateTime < *r.CreateTime {
		t.Errorf("testers have %+v", r)
	}

	// A copy lets the same roles do the same.
	copied := *ok(t, owner.CopyJob, &model.CopyJobRequest{Body: &model.CopyBuildJobRequestBody{CopyJobId: job, ProjectId: s.Project, JobName: "copy", Arch: servertest.Arch, Steps: []model.CreateBuildJobSteps{}}}).Result.JobId
	if got := flagsOfRow(row(t, s, tester, copied, testers)) + " " + flagsOfRow(row(t, s, tester, copied, viewers)); got != "++----- -------" {
		t.Errorf("of a copy they may %s", got)
	}
	ok(t, owner.DeleteTheJob, &model.DeleteTheJobRequest{JobId: copied})

	// It follows the project again, and what was set before comes back when it no longer does.
	follow := func(yes bool) {
		t.Helper()
		ok(t, c.ApplyProjectPermission, &model.ApplyProjectPermissionRequest{Body: &model.ProjectPermissionRequestBody{ProjectId: &s.Project, JobId: &job, ProjectSwitch: &yes}})
	}
	follow(true)
	if got := may(viewer) + " " + lists(viewer) + "| " + lists(tester); got != "+------ demo other | " {
		t.Errorf("when it follows the project: %s", got)
	}
	follow(false)
	if got := may(tester) + " " + lists(viewer); got != "++----- other " {
		t.Errorf("when it does not: %s", got)
	}
	ok(t, owner.DeleteTheJob, &model.DeleteTheJobRequest{JobId: job}) // the matrix counts for the recycle bin too
	if got := inBin(t, s, tester) + "|" + inBin(t, s, viewer) + "|" + inBin(t, s, developer) + "|" + inBin(t, s, s.Developer) + "|" + inBin(t, s, s.Admin); got != "demo copy||demo copy|demo copy|demo copy" {
		t.Errorf("in the bin they see %s", got)
	}
	ok(t, owner.RestoreRecyclingJobs, &model.RestoreRecyclingJobsRequest{Body: ids(job)})
	s.Restart()
	if got := may(tester) + " " + lists(viewer); got != "++----- other " {
		t.Errorf("after a restart: %s", got)
	}

	defaults := *ok(t, s.Client(manager).ShowDefaultProjectPermission, &model.ShowDefaultProjectPermissionRequest{ProjectId: s.Project, JobId: job}).Result
	got := make(map[string]string)
	for _, r := range defaults {
		got[fmt.Sprint(*r.RoleId, " ", *r.RoleName)] = flags(r.IsView, r.IsExecute, r.IsModify, r.IsCopy, r.IsForbidden, r.IsDelete, r.IsManager)
	}
	want := map[string]string{
		"-1 project_admin": "+++++++", "3 project_manager": "+++++++", "1002 product_manager": "+------", "5 test_manager": "+------",
		"0 operation_manager": "-------", "1015 system_engineer": "++++++-", "1001 committer": "++++++-", "4 developer": "++++++-",
		"6 tester": "-------", "7 participant": "-------", "8 viewer": "+------",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the project's matrix (-want +got):\n%s", diff)
	}
	testBadMatrices(t, s, manager, job, other)
}

// testBadMatrices sends what changes nothing.
func testBadMatrices(t *testing.T, s *servertest.Server, manager servertest.User, job, other string) {
	before := s.Call(manager, "GET", "/v1/job/permission/role?job_id="+job, "").Body + s.Call(manager, "GET", "/v1/job/permission/role?job_id="+other, "").Body
	one := func(row string) string { return fmt.Sprintf(`{"job_ids": [%q], "permissions": [%s]}`, job, row) }
	ids := strings.TrimSuffix(strings.Repeat(`"`+job+`",`, 101), ",")
	const unknown = "cb5fa20de5fd4cf8be681d4bd6fdd2f6"
	for _, r := range []badRequest{
		{"no task", "POST", "/v1/job/permissions/batch", `{"job_ids": []}`, 400, "CB.00060200", []string{"job_ids: must have 1 to 100 ids, found 0"}},
		{"too many tasks", "POST", "/v1/job/permissions/batch", `{"job_ids": [` + ids + `]}`, 400, "CB.00060200", []string{"job_ids: must have 1 to 100 ids, found 101"}},
		{"no role", "POST", "/v1/job/permissions/batch", one(`{"is_view": true}`), 400, "CB.00060200", []string{"permissions[0].role_id: is missing"}},
		{"a role that is none", "POST", "/v1/job/permissions/batch", one(`{"role_id": 500}`), 400, "CB.00060200", []string{"permissions[0].role_id: must be the number of a role", "found 500"}},
		{"a role twice", "POST", "/v1/job/permissions/batch", one(`{"role_id": 6}, {"role_id": 6}`), 400, "CB.00060200", []string{"permissions: has the role tester twice"}},
		{"the administrator", "POST", "/v1/job/permissions/batch", one(`{"role_id": -1, "is_view": true}`), 400, "CB.00060200", []string{"what the project's administrator may do is fixed"}},
		{"the creator", "POST", "/v1/job/permissions/batch", one(`{"role_id": -3, "is_view": true}`), 400, "CB.00060200", []string{"permissions[0]: what the creator of a task may do is fixed"}},
		{"a flag", "POST", "/v1/job/permissions/batch", one(`{"role_id": 6, "is_view": "maybe"}`), 400, "CB.00060200", []string{"is_view: must be true or false"}},
		{"one of them is unknown", "POST", "/v1/job/permissions/batch", fmt.Sprintf(`{"job_ids": [%q, %q], "permissions": [{"role_id": 6, "is_view": true}]}`, other, unknown), 404, "DEVCB.00031006", []string{unknown}},
		{"another project", "POST", "/v1/job/permissions/batch", fmt.Sprintf(`{"project_id": %q, "job_ids": [%q]}`, unknown, job), 404, "DEVCB.00031006", []string{"does not exist in project"}},
		{"no switch", "POST", "/v1/job/project/permission", fmt.Sprintf(`{"job_id": %q}`, job), 400, "CB.00060200", []string{"project_switch: is missing"}},
		{"no job id", "POST", "/v1/job/project/permission", `{"project_switch": true}`, 400, "CB.00060201", []string{"job_id: must be 32"}},
		{"a project's task that is not there", "GET", "/v1/job/permission?project_id=" + unknown + "&job_id=" + job, "", 404, "DEVCB.00031006", []string{"does not exist"}},
	} {
		t.Run(r.name, func(t *testing.T) {
			checkProblem(t, s, s.Call(manager, r.method, r.path, r.body), r.status, r.code, r.words...)
		})
	}
	if after := s.Call(manager, "GET", "/v1/job/permission/role?job_id="+job, "").Body + s.Call(manager, "GET", "/v1/job/permission/role?job_id="+other, "").Body; after != before {
		t.Errorf("something has changed:\n%s\n%s", before, after)
	}
}

func TestProjectPermission(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	tester := s.NewUser("tester")
	s.Grant(s.Project, tester, iam.Tester)
	s.Grant(s.Project, tester, iam.Viewer)
	r := ok(t, s.Client(tester).ShowProjectPermission, &model.ShowProjectPermissionRequest{ProjectId: s.Project}).Result
	if !*r.ViewPermission || *r.CreatePermission || *r.ManagerPermission || *r.GroupPermission || *r.ProjectId != s.Project ||
		fmt.Sprint(*r.RoleIds, *r.RoleNames) != "[6 8] [tester viewer]" || *r.RoleId != "6" {
		t.Errorf("a tester and viewer has %+v", r)
	}
	r = ok(t, s.Client(s.Admin).ShowProjectPermission, &model.ShowProjectPermissionRequest{ProjectId: s.Project}).Result
	if !*r.ViewPermission || !*r.CreatePermission || !*r.ManagerPermission || !*r.GroupPermission || *r.RoleId != fmt.Sprint(projectAdministrators) || *r.RoleName != "project_admin" {
		t.Errorf("an administrator has %+v", r)
	}
}
