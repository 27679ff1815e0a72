package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam"
	"atelier/internal/server/servertest"
)

// access is what an operation needs, with the rest of a request to it. JOB, PROJECT and the like in it stand for ids.
type access struct {
	verb  string // what the refusal says that the caller may not do with the task
	query string
	body  string

	member bool // every member may, whatever its roles
}

// accesses says what each operation needs.
var accesses = map[string]access{
	"CreateBuildJob": {verb: "create", body: `{"arch":"arm","project_id":"PROJECT","job_name":"new","steps":[]}`},
	"CreateNewJob":   {verb: "create", body: `{"arch":"arm","project_id":"PROJECT","job_name":"new","steps":[]}`},
	"UpdateBuildJob": {verb: "edit", body: `{"job_id":"JOB","arch":"arm","project_id":"PROJECT","job_name":"new","steps":[]}`},
	"UpdateNewJob":   {verb: "edit", body: `{"job_id":"JOB","arch":"arm","project_id":"PROJECT","job_name":"new","steps":[]}`},

	"DeleteBuildJob": {verb: "delete"}, "DeleteTheJob": {verb: "delete"},
	"DisableBuildJob": {verb: "disable"}, "EnableBuildJob": {verb: "disable"},
	"DisableTheJob": {verb: "disable", body: `{"disabled":true}`},
	"ShowDisable":   {verb: "view"}, "ListJobConfig": {verb: "view"}, "ShowJobConfig": {verb: "view"},

	"ShowJobListByProjectId": {verb: "view"}, "ListProjectJobs": {verb: "view"},
	"CheckJobNameIsExists": {verb: "view", query: "?project_id=PROJECT&job_name=demo"},

	"RunJob": {verb: "run", body: `{"job_id":"JOB"}`}, "ExecuteJob": {verb: "run", body: `{"job_id":"JOB"}`},
	"RerunBuild": {verb: "run"}, "StopBuildJob": {verb: "run"}, "StopTheJob": {verb: "run"}, "StopJob": {verb: "run", body: `{"job_id":"JOB","build_no":"1"}`},

	"ShowJobStatus": {verb: "view"}, "ShowRecordInfo": {verb: "view"}, "ShowRecordDetail": {verb: "view"}, "ShowJobBuildRecordDetail": {verb: "view"},
	"ShowBuildRecord": {verb: "view"}, "ShowBuildRecordFlowGraph": {verb: "view"}, "ShowFlowGraph": {verb: "view"}, "ListRecords": {verb: "view"}, "ShowListHistory": {verb: "view"}, "ShowHistoryDetails": {verb: "view"},

	"ShowRunningStatus": {verb: "view"}, "ShowJobStepStatus": {verb: "view"}, "ShowBuildDetails": {verb: "view"}, "ShowBuildInfoRecord": {verb: "view"},
	"ListBuildInfoRecord":        {verb: "view", query: "?start_time=2026-01-01%2000:00:00&end_time=2026-01-02%2000:00:00"},
	"ListBuildInfoRecordByJobId": {verb: "view", query: "?start_time=2026-01-01%2000:00:00&end_time=2026-01-02%2000:00:00"},
	"ShowJobTotal":               {verb: "view"}, "ListBuildParameter": {verb: "view"}, "ShowBuildRecordFullStages": {verb: "view"}, "ShowBuildRecordBuildScript": {verb: "view"},
	"ShowListPeriodHistory": {verb: "view", query: "?offset=0&limit=10&start_time=2026-01-01&end_time=2026-01-02"},
	"ShowJobSuccessRatio":   {verb: "view", query: "?start_time=2026-01-01&end_time=2026-01-02"},
	"ShowActionIInfo":       {verb: "view", query: "?job_id=JOB&build_no=1&start_offset=0&end_offset=0"},

	"DownloadBuildLog": {verb: "view"}, "DownloadLogByRecordId": {verb: "view"}, "DownloadBuildFullLog": {verb: "view"},
	"DownloadTaskLog": {verb: "view", query: "?task_name=stage1"}, "DownloadRealTimeLog": {verb: "view"}, "DownloadBuildRealTimeLog": {verb: "view"}, "FollowLogEvents": {verb: "view"},
	"ShowOutputInfo": {verb: "view"}, "DownloadArtifact": {verb: "view"},

	"ListNotice": {verb: "view"}, "ShowJobNoticeConfigInfo": {verb: "view"}, "DisableNotice": {verb: "edit", query: "?notice_type=message"},
	"UpdateNotice":       {verb: "edit", body: `{"notice_type":"MESSAGE","enabled_event_type_names":[]}`},
	"UpdateNewNoticeNew": {verb: "edit", body: `{"notice_type":"MESSAGE","enabled_event_type_names":[]}`},
	"CheckWebhookUrl":    {verb: "edit", body: `{"job_id":"JOB","notice_type":"WECOM","webhook_url":"https://example.org"}`},

	"ExecuteAutoBuildJob": {verb: "run", body: `{"event_type":"push","ref":"refs/heads/main","after":"1111111111111111111111111111111111111111"}`},

	"ShowYamlTemplate":     {verb: "view"},
	"SaveTemplateUsedInfo": {verb: "edit", body: `{"job_id":"JOB","template_id":"TEMPLATE"}`},

	"ShowAvailableInnerSpec":   {verb: "view", query: "?project_id=PROJECT&arch=arm", member: true},
	"ShowUserOverPackageQuota": {verb: "view", query: "?project_id=PROJECT", member: true},

	"ShowReportSummary": {verb: "view", query: "?build_no=1"}, "ListJunitCoverageSummary": {verb: "view", query: "?job_id=JOB&build_no=1"},
	"DownloadJunitCoverageZip": {verb: "view", query: "?job_id=JOB&build_no=1&root_id=ROOT"}, "ShowCoverageMetrics": {verb: "view", query: "?root_id=ROOT"},
	"ListRepository": {verb: "view"}, "ListRepoBranch": {verb: "view", query: "?job_id=JOB&repository_name=a"},
	"ShowJobBuildSuccessRatio": {verb: "view", query: "?job_id=JOB&repository_name=a&interval=7"},
	"ShowJobBuildTime":         {verb: "view", query: "?job_id=JOB&repository_name=a&interval=7"},

	"CopyJob":      {verb: "clone", body: `{"copy_job_id":"JOB","arch":"arm","project_id":"PROJECT","job_name":"new"}`},
	"ShowCopyName": {verb: "view"}, "BatchDeleteBuildJobs": {verb: "delete", body: `{"job_ids":["JOB"]}`},
	"ListUpdateJobHistory": {verb: "view"}, "ShowJobConfigDiff": {verb: "view", query: "?original_no=0&revisedl_no=0"},
	"ShowJobInfo": {verb: "view"}, "ShowJobPipelineInfo": {verb: "view"}, "ListEndPoints": {verb: "view", query: "?limit=10"},
	"CreateJobGroup": {verb: "edit", body: `{"name":"new"}`}, "UpdateJobGroup": {verb: "edit", body: `{"id":"JOB","name":"new"}`},
	"DeleteGroup": {verb: "edit", query: "?id=JOB"}, "SwitchedPacket": {verb: "edit", query: "?source_group_id=JOB&target_group_id=JOB"},
	"ListGroupTree": {verb: "view"}, "MoveGroup": {verb: "edit", body: `{"jobs":[{"job_id":"JOB"}]}`},
	"AddFavouriteTask": {verb: "view"}, "RemoverFavouriteTask": {verb: "view"},

	"SetHookSecret": {verb: "assign permissions on"}, "ListDeliveries": {verb: "edit"}, "ShowDelivery": {verb: "edit"}, "ReplayDelivery": {verb: "edit"},
	"ShowProjectNotice": {verb: "view"}, "UpdateProjectNotice": {verb: "assign permissions on", body: `{"notice_type":"MESSAGE","enabled_event_type_names":[]}`},

	"ShowProjectPermission":        {verb: "view", query: "?project_id=PROJECT", member: true},
	"ShowProjectJobPermission":     {verb: "view", query: "?project_id=PROJECT&job_id=JOB"},
	"ShowJobRolePermission":        {verb: "view", query: "?job_id=JOB"},
	"ShowDefaultProjectPermission": {verb: "view", query: "?project_id=PROJECT&job_id=JOB"},
	"BatchUpdateJobRolePermission": {verb: "assign permissions on", body: `{"project_id":"PROJECT","job_ids":["JOB"]}`},
	"ApplyProjectPermission":       {verb: "assign permissions on", body: `{"project_id":"PROJECT","job_id":"JOB","project_switch":true}`},
}

// Who may call an operation that is about no project, or about what several have.
const (
	everybody      = "everybody" // in the tenant, also members of no project
	administrators = "administrators of the tenant"
	owners         = "who made it"
	viewing        = "who may view a project"
	provers        = "who has a secret"
)

// tenantAccess is what such an operation needs, with the rest of a request to it. FILE, GRANT, TEMPLATE, DELETED and the like in it stand for ids.
type tenantAccess struct {
	who, query, body string
}

// ofTenant says it of each of them.
var ofTenant = map[string]tenantAccess{
	"ListJob":                  {who: everybody},
	"ListBriefRecord":          {who: everybody, query: "?limit=10", body: `["BUILD_PROJECT"]`}, // nobody gets what they may not see: TestBriefRecords
	"ShowSummaryBuildJobInfo":  {who: everybody},
	"ShowRelatedProject":       {who: everybody},
	"ListRelatedProjectInfo":   {who: everybody},
	"ShowDomainStatus":         {who: everybody},
	"ShowDomainsStatuses":      {who: everybody, body: `{"domain_ids":"DOMAIN"}`},
	"ShowUserChargeType":       {who: everybody},
	"ShowPackageSpecCountDown": {who: everybody, body: `{"service_type":"a","resource_id":"b","reminder_day":"7"}`},
	"CheckJobCountIsTopLimit":  {who: everybody},
	"CheckJobInternal":         {who: everybody},
	"ShowImageTemplateList":    {who: everybody},
	"ShowDockerfileTemplate":   {who: everybody, query: "?image_id=IMAGE"},

	"ShowLastHistory": {who: viewing, query: "?repository_name=app"},
	"ReceiveHook":     {who: provers}, // TestBadPushes

	"ListMessages": {who: everybody},
	"ReadMessage":  {who: owners},

	"UploadKeystore":           {who: everybody}, // a form: TestKeystore
	"UpdateKeystore":           {who: owners, body: `{"keystore_name":"a.pem","description":"","share":1}`},
	"DeleteKeystore":           {who: owners},
	"DownloadKeystore":         {who: owners, query: "?file_name=a.pem&domain_id=DOMAIN"},
	"DownloadKeystoreByName":   {who: owners, query: "?name=a.pem&id=FILE&domain_id=DOMAIN"},
	"ListKeystore":             {who: everybody},
	"ListKeystoreSearch":       {who: everybody},
	"ShowKeystorePermission":   {who: everybody, query: "?page=1&page_size=10"},
	"AddKeystorePermission":    {who: owners, body: `{"keystore_id":"FILE","user_id":"USER","user_name":"x","usage":true,"modify":false,"delete":false,"setting":false,"can_absent":true}`},
	"UpdateKeystorePermission": {who: owners, body: `{"id":"GRANT","keystore_id":"FILE","user_name":"x","usage":true,"modify":true,"delete":false}`},
	"DeleteKeystorePermission": {who: owners},

	"CreateTemplates":                  {who: everybody, body: `{"name":"UNIQUE","template":{"steps":[{"module_id":"sh","name":"Run","properties":{"command":"true"}}]}}`},
	"CreateTemplate":                   {who: everybody, body: `{"name":"UNIQUE","template":{"steps":[{"module_id":"sh","name":"Run","properties":{"command":"true"}}]}}`},
	"DeleteTemplates":                  {who: owners},
	"DeleteTemplate":                   {who: owners},
	"ListTemplates":                    {who: everybody},
	"ListCustomTemplate":               {who: everybody},
	"ShowTemplate":                     {who: everybody},
	"ListOfficialTemplate":             {who: everybody},
	"ListRecommendOfficialTemplate":    {who: "who may create tasks", body: `{"git_url":"REPO","branch":"main"}`},
	"AddFavouriteCustomTemplate":       {who: everybody},
	"RemoverFavouriteCustomTemplate":   {who: everybody},
	"AddFavouriteOfficialTemplate":     {who: everybody},
	"RemoverFavouriteOfficialTemplate": {who: everybody},

	"ListRecyclingJob":     {who: everybody},
	"RestoreRecyclingJobs": {who: "who may delete tasks", body: `{"job_ids":["DELETED"]}`},
	"DeleteRecyclingJobs":  {who: "who may delete tasks", body: `{"job_ids":["DELETED"]}`},
	"ClearRecyclingJobs":   {who: everybody}, // of what they may delete
	"SetKeepTime":          {who: administrators, body: `{"keep_time":7}`},

	"ShowJobSystemParameters": {who: everybody}, "ShowDefaultBuildParameters": {who: everybody}, "ShowBuildParamsList": {who: everybody},
}

// TestTenantRoles sends every operation of the table as the holder of every role of a project, as somebody who is in none, and as nobody.
func TestTenantRoles(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	repo := s.NewRepository("app")
	repo.Write("go.mod", "module app\n")
	repo.Commit("init")
	owner := s.NewUser("owner")
	s.Grant(s.Project, owner, iam.Developer)
	c := s.Client(owner)
	job := create(t, c, shell(s, "demo", "true"))
	run(t, c, &model.RunJobRequestBody{JobId: job})
	info := await(t, c, job, 1)
	file := uploadFile(t, s, owner, "a.pem", "dont-show-this")
	grant := *ok(t, c.AddKeystorePermission, &model.AddKeystorePermissionRequest{Body: &model.AddKeystorePermissionRequestBody{
		KeystoreId: file, UserId: s.NewUser("grantee").ID, UserName: "grantee", Usage: true, CanAbsent: true,
	}}).Result
	deleted := create(t, c, shell(s, "deleted", "true"))
	ok(t, c.DeleteTheJob, &model.DeleteTheJobRequest{JobId: deleted})
	template := *ok(t, c.CreateTemplate, &model.CreateTemplateRequest{Body: &model.CreateTemplatesRequestBody{Name: "template", Template: &model.CreateTemplate{Steps: []model.CreateTemplateSteps{{ModuleId: "sh", Name: new("Run"), Properties: map[string]any{"command": "true"}}}}}}).Result.Uuid
	official := *(*ok(t, c.ListOfficialTemplate, &model.ListOfficialTemplateRequest{}).Result.Items)[0].Uuid
	image := *(*ok(t, c.ShowImageTemplateList, &model.ShowImageTemplateListRequest{}).Result.ImageTemplates)[0].ImageId

	members := map[string]servertest.User{"of no project": s.NewUser("outsider")}
	s.Grant(s.OtherProject, members["of no project"], iam.Participant)
	verbs := map[string][]string{}
	for role, may := range roles {
		name := fmt.Sprint(role)
		members[name], verbs[name] = s.NewUser("holder-"+strings.ReplaceAll(name, "_", "-")), may
		s.Grant(s.Project, members[name], role)
	}
	n := 0
	for _, o := range operations() {
		need, listed := ofTenant[o.id]
		if !listed || need.who == provers {
			continue
		}
		uuid := template
		if strings.Contains(o.path, "/official/") {
			uuid = official
		}
		words := strings.NewReplacer("{project_id}", s.Project, "{keystore_id}", file, "{id}", file, "{permission_id}", grant, "{uuid}", uuid, "{message_id}", *info.BuildRecordId,
			"BUILD_PROJECT", *info.BuildProjectId, "DOMAIN", *info.DomainId, "IMAGE", image, "FILE", file, "USER", owner.ID, "GRANT", grant, "REPO", repo.URL(), "DELETED", deleted)
		path := words.Replace(o.path + need.query)
		checkProblem(t, s, s.Send(s.Request(o.method, path, "")), 401, "APIGW.0301", "x-auth-token not found")
		for name, user := range members {
			if (o.id == "ClearRecyclingJobs" || need.who == "who may delete tasks") && slices.Contains(verbs[name], "delete") {
				continue // they would do it: TestRecycleBin
			}
			n++
			a := s.Call(user, o.method, path, strings.Replace(words.Replace(need.body), "UNIQUE", fmt.Sprintf("template-%d", n), 1))
			var may bool
			switch need.who {
			case everybody:
				may = true
			case viewing:
				may = slices.Contains(verbs[name], "view")
			case "who may create tasks":
				may = slices.Contains(verbs[name], "create")
			}
			refused := a.Status == http.StatusForbidden && !strings.Contains(a.Body, "CB.00031059") || a.Status == http.StatusNotFound
			if refused == may || a.Status >= 500 || a.Status == http.StatusUnauthorized || refused && strings.Contains(a.Body, "dont-show-this") {
				t.Errorf("%s, %s: %d %s", o.id, name, a.Status, a.Body)
			}
		}
	}
	if a := s.Call(s.Admin, "POST", "/v1/job/keep-time", `{"keep_time":7}`); a.Status != 200 {
		t.Errorf("an administrator is refused: %d %s", a.Status, a.Body)
	}
	if got := s.Call(owner, "GET", "/v2/keystore/download?name=a.pem&id="+file+"&domain_id="+*info.DomainId, "").Body; got != "dont-show-this" {
		t.Errorf("afterwards the file holds %q", got)
	}
	ok(t, c.ShowTemplate, &model.ShowTemplateRequest{Uuid: template})
	ok(t, c.RestoreRecyclingJobs, &model.RestoreRecyclingJobsRequest{Body: ids(deleted)})
}

// TestPermissions sends every operation as members who may only look, members who may do nothing, and strangers.
func TestPermissions(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	task := shell(s, "demo", "echo jar > app.jar")
	collect(&task.Steps[0], "junitCoverageSwitch", "true", "coverageReportPath", "app.jar")
	task.Steps = append(task.Steps, upload("file", "app.jar", "buildVersion", "1.0"))
	job := create(t, c, task)
	run(t, c, &model.RunJobRequestBody{JobId: job})
	info := await(t, c, job, 1)
	coverage := ok(t, c.ListJunitCoverageSummary, &model.ListJunitCoverageSummaryRequest{JobId: job, BuildNo: 1}).Result
	viewer, tester, outsider := s.NewUser("viewer"), s.NewUser("tester"), s.NewUser("outsider")
	s.Grant(s.Project, viewer, iam.Viewer)
	s.Grant(s.Project, tester, iam.Tester)
	s.Grant(s.OtherProject, outsider, iam.ProjectAdministrator)
	before := snapshot(t, s)

	ids := strings.NewReplacer(
		"{job_id}", job, "{project_id}", s.Project, "{build_no}", "1", "{build_number}", "1", "{delivery_id}", *info.BuildRecordId, "{record_id}", *info.BuildRecordId, "{build_flow_record_id}", *info.BuildRecordId, "{build_project_id}", *info.BuildProjectId,
		"JOB", job, "PROJECT", s.Project, "*", "1.0/app.jar",
		"ROOT", *(*coverage.UnitSummaryList)[0].RootId,
	)
	t.Run("operations", func(t *testing.T) {
		for _, o := range operations() {
			if _, elsewhere := ofTenant[o.id]; elsewhere || isIdentity(o) {
				continue // identity: tested with the identity service
			}
			need, listed := accesses[o.id]
			if !listed {
				t.Errorf("nobody has said who may call %s", o.id)
				continue
			}
			t.Run(o.id, func(t *testing.T) {
				t.Parallel()
				call := func(user servertest.User) servertest.Answer {
					return s.Call(user, o.method, ids.Replace(o.path+need.query), ids.Replace(need.body))
				}
				old := ""
				if strings.HasPrefix(o.path, "/v1/") || strings.HasPrefix(o.path, "/v2/") {
					old = "DEV"
				}
				forbidden := "your roles in the project do not let you " + need.verb + " this task"
				if a := call(viewer); need.verb != "view" {
					checkProblem(t, s, a, 403, old+"CB.00031001", forbidden)
				} else if a.Status != 200 {
					t.Errorf("a viewer got %d %s", a.Status, a.Body)
				}
				if a := call(tester); !need.member {
					checkProblem(t, s, a, 403, old+"CB.00031001", forbidden)
				} else if a.Status != 200 {
					t.Errorf("a tester got %d %s", a.Status, a.Body)
				}
				checkProblem(t, s, call(outsider), 404, old+"CB.00031006", " does not exist")
				checkProblem(t, s, s.Send(s.Request(o.method, ids.Replace(o.path+need.query), ids.Replace(need.body))), 401, "APIGW.0301", "x-auth-token not found")
			})
		}
	})
	for user, want := range map[*servertest.User]string{&viewer: `"total":1}`, &tester: `"total":0}`, &outsider: `"total":0}`, &s.Developer: `"total":1}`, &s.Admin: `"total":1}`} {
		if a := s.Call(*user, http.MethodGet, "/v1/job/list", ""); a.Status != 200 || !strings.Contains(a.Body, want) {
			t.Errorf("%s got %d %s", user.Name, a.Status, a.Body)
		}
	}
	// The flags tell a client beforehand what it may do.
	flags := s.Call(viewer, http.MethodGet, "/v1/job/list", "").Body
	for _, flag := range []string{`"is_modify":false`, `"is_delete":false`, `"is_execute":false`, `"is_copy":false`, `"is_forbidden":false`, `"is_view":true`} {
		if !strings.Contains(flags, flag) {
			t.Errorf("no %s in %s", flag, flags)
		}
	}
	testNothingIsTold(t, s, outsider, job, info)
	if diff := cmp.Diff(before, snapshot(t, s)); diff != "" {
		t.Errorf("something has changed:\n%s", diff)
	}
}

// isIdentity reports whether an operation is one of the identity service.
func isIdentity(o operation) bool {
	return slices.ContainsFunc([]string{"/v3/auth/", "/v3/projects", "/v3/users/", "/v3.0/"}, func(prefix string) bool { return strings.HasPrefix(o.path, prefix) })
}

// TestAccessesAreOperations checks that the table above has nothing that is not there.
func TestAccessesAreOperations(t *testing.T) {
	t.Parallel()
	for id := range ofTenant {
		if !slices.ContainsFunc(operations(), func(o operation) bool { return o.id == id }) {
			t.Errorf("there is no operation %s", id)
		}
	}
	for id := range accesses {
		if !slices.ContainsFunc(operations(), func(o operation) bool { return o.id == id }) {
			t.Errorf("there is no operation %s", id)
		}
	}
}

// testNothingIsTold checks that an outsider gets the same words about what is there and what is not.
func testNothingIsTold(t *testing.T, s *servertest.Server, outsider servertest.User, job string, info model.RecordInfoResult) {
	const none, noneUUID = "cb5fa20de5fd4cf8be681d4bd6fdd2f6", "48da14e2-6ee7-495b-9dc7-f14d4a344511"
	for form, id := range map[string][2]string{
		"GET /v3/jobs/%s/1/record-info":        {job, none},
		"GET /v3/jobs/%s/7/record-info":        {job, none},
		"GET /v3/jobs/%s/1/history-details":    {job, none},
		"POST /v3/jobs/%s/1/stop":              {job, none},
		"POST /v1/job/%s/stop":                 {job, none},
		"GET /v1/job/%s/config":                {job, none},
		"GET /v1/record/%s/info":               {*info.BuildRecordId, noneUUID},
		"GET /v4/%s/download-log":              {*info.BuildRecordId, noneUUID},
		"GET /v4/%s/task-log?task_name=stage1": {*info.BuildRecordId, noneUUID},
		"GET /v4/%s/task-log?task_name=other":  {*info.BuildRecordId, noneUUID},
		"GET /v1/record/%s/records":            {*info.BuildProjectId, noneUUID},
		"GET /v3/jobs/%s/1/output-info":        {job, none},
		"GET /v1/report/%s/summary?build_no=1": {job, none},
		"GET /v1/report/%s/summary?build_no=7": {job, none},
		"GET /v1/report/%s/repositories":       {job, none},

		"GET /v1/report/junit/coverage/download?job_id=%s&build_no=1&root_id=x": {job, none},
		"GET /v1/report/ratio?job_id=%s&repository_name=a&interval=1":           {job, none},

		"GET /v1/artifacts/%s/1.0/app.jar": {s.Project, none},
		"GET /v1/artifacts/%s/1.0/other":   {s.Project, none},
		"GET /v3/%s/jobs":                  {s.Project, none},
		"GET /v1/job/%s/list":              {s.Project, none},
	} {
		answer := func(id string) string {
			method, path, _ := strings.Cut(fmt.Sprintf(form, id), " ")
			a := s.Call(outsider, method, path, "")
			if a.Status != 404 {
				t.Errorf("%s: %d %s", path, a.Status, a.Body)
			}
			p := decoded[problem](t, a.Body)
			return p.Code + " " + strings.ReplaceAll(p.Message, id, "ID")
		}
		if there, missing := answer(id[0]), answer(id[1]); there != missing {
			t.Errorf("%s: %q for what is there, %q for what is not", form, there, missing)
		}
	}
}

// roles is the vendor's table of what the roles of a project let their holders do with its tasks.
var roles = map[iam.Role][]string{
	iam.ProjectAdministrator: {"create", "edit", "delete", "view", "run", "clone", "disable", "assign permissions on"},
	iam.ProjectManager:       {"create", "edit", "delete", "view", "run", "clone", "disable", "assign permissions on"},
	iam.SystemEngineer:       {"create", "edit", "delete", "view", "run", "clone", "disable"},
	iam.Committer:            {"create", "edit", "delete", "view", "run", "clone", "disable"},
	iam.Developer:            {"create", "edit", "delete", "view", "run", "clone", "disable"},
	iam.ProductManager:       {"view"},
	iam.TestManager:          {"view"},
	iam.Viewer:               {"view"},
	iam.OperationManager:     {},
	iam.Tester:               {},
	iam.Participant:          {},
}

// TestRoles sends every operation as every role: what its holder may not do is refused, and what it may is not.
func TestRoles(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Admin)
	one := create(t, c, shell(s, "built", "true"))
	run(t, c, &model.RunJobRequestBody{JobId: one})
	info := await(t, c, one, 1)
	for role, verbs := range roles {
		user := s.NewUser("holder-" + strings.ReplaceAll(fmt.Sprint(role), "_", "-"))
		s.Grant(s.Project, user, role)
		for _, o := range operations() {
			need, listed := accesses[o.id]
			if !listed {
				continue
			}
			job, may := one, need.member || slices.Contains(verbs, need.verb)
			if may && need.verb != "view" { // which may well be the end of it
				job = create(t, c, shell(s, fmt.Sprintf("for-%v-%s", role, o.id), "true"))
			}
			ids := strings.NewReplacer(
				"{job_id}", job, "{project_id}", s.Project, "{build_no}", "1", "{build_number}", "1", "{delivery_id}", *info.BuildRecordId, "{record_id}", *info.BuildRecordId, "{build_flow_record_id}", *info.BuildRecordId,
				"{build_project_id}", *info.BuildProjectId, "JOB", job, "PROJECT", s.Project, "*", "1.0/app.jar", "ROOT", job,
			)
			a := s.Call(user, o.method, ids.Replace(o.path+need.query), ids.Replace(need.body))
			if refused := strings.Contains(a.Body, "your roles in the project do not let you"); refused == may || refused != (a.Status == 403) || a.Status >= 500 || a.Status == 401 {
				t.Errorf("%v, %s: %d %s", role, o.id, a.Status, a.Body)
			}
		}
	}
}
