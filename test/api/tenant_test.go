package api_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

func TestTenant(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, func(c *server.Config) { c.Classes, c.Slots = []string{"2U8G", "8U16G"}, 3 })
	c := s.Client(s.Developer)
	viewer := s.NewUser("viewer")
	s.Grant(s.Project, viewer, iam.Viewer)
	task := shell(s, "demo", "echo jar > app.jar; exit $CODE")
	task.Parameters = &[]model.CreateBuildJobParameter{parameter("CODE", "0", "staticVar", "true")}
	task.Steps = append(task.Steps, upload("file", "app.jar", "buildVersion", "1.0"))
	job := create(t, c, task)
	create(t, c, shell(s, "never-built", "true"))
	for n, code := range []string{"0", "0", "3"} {
		run(t, c, &model.RunJobRequestBody{JobId: job, Parameter: &[]model.ParameterItem{{Name: "CODE", Value: code}}})
		await(t, c, job, n+1)
	}
	if sum := ok(t, c.ShowSummaryBuildJobInfo, &model.ShowSummaryBuildJobInfoRequest{}).Result.Summary; *sum.JobTotal != 2 || *sum.BuildNo != 3 || *sum.AvgSuccessRatio != 66 || *sum.VersionTotal != "1" {
		t.Errorf("summary: %+v", sum)
	}

	projects := func(user servertest.User) (names string) {
		r := ok(t, s.Client(user).ShowRelatedProject, &model.ShowRelatedProjectRequest{}).Result
		for _, p := range *r.ProjectInfoList {
			names += fmt.Sprint(*p.Name, *p.IsCreator, " ")
		}
		return fmt.Sprint(r.Total, " ", names)
	}
	all := ok(t, s.Client(s.Admin).ListRelatedProjectInfo, &model.ListRelatedProjectInfoRequest{PageSize: new(int32(1)), PageNo: new(int32(2))}).Result
	if all.Total != 2 || len(*all.ProjectInfoList) != 1 || *(*all.ProjectInfoList)[0].Status != 1 {
		t.Errorf("the administrator's second page: %+v", all)
	}
	if got := projects(viewer); !strings.HasPrefix(got, "1 ") || strings.Contains(got, "true") {
		t.Errorf("a viewer has the projects %s", got)
	}
	if none := ok(t, s.Client(s.Admin).ListRelatedProjectInfo, &model.ListRelatedProjectInfoRequest{Search: new("no such name")}).Result; none.Total != 0 || len(*none.ProjectInfoList) != 0 {
		t.Errorf("found %+v", none)
	}

	if r := ok(t, c.ShowDomainStatus, &model.ShowDomainStatusRequest{}).Result; r.Status != 1 || !*r.FreeQuota || r.AllowCustomEnv != 0 {
		t.Errorf("status: %+v", r)
	}
	domain := *(*ok(t, c.ShowRelatedProject, &model.ShowRelatedProjectRequest{}).Result.ProjectInfoList)[0].AuthorDomainId
	const unknown = "cb5fa20de5fd4cf8be681d4bd6fdd2f6"
	statuses := *ok(t, c.ShowDomainsStatuses, &model.ShowDomainsStatusesRequest{Body: &model.DomainsStatusesRequestBody{DomainIds: new(domain + ", " + unknown)}}).Result
	host, other := "X86", "ARM"
	if servertest.Arch == "arm" {
		host, other = other, host
	}
	if len(statuses) != 1 || *statuses[0].DomainId != domain || *statuses[0].DomainName != "acme" || *statuses[0].Status != 1 ||
		*statuses[0].SpecThreshold != fmt.Sprintf(`[{"spec":"cbhost-%[1]s-2U8G","threshold":3},{"spec":"cbhost-%[1]s-8U16G","threshold":3}]`, host) {
		t.Errorf("statuses: %+v", statuses)
	}
	if a := s.Call(s.Developer, "POST", "/v1/domain/domains-statuses", fmt.Sprintf(`{"domain_ids": [%q]}`, domain)); a.Status != 200 || !strings.Contains(a.Body, `"service_name":"CodeCI"`) {
		t.Errorf("with a list: %d %s", a.Status, a.Body)
	}
	if a := s.Call(s.Developer, "POST", "/v1/domain/domains-statuses", fmt.Sprintf(`{"domain_ids": %q}`, unknown)); a.Status != 200 || !strings.Contains(a.Body, `"result":[]`) {
		t.Errorf("of another tenant: %d %s", a.Status, a.Body)
	}

	spec := func(arch string) []string {
		return *ok(t, c.ShowAvailableInnerSpec, &model.ShowAvailableInnerSpecRequest{ProjectId: s.Project, Arch: arch}).Body
	}
	arches := map[string]string{"X86": "x86-64", "ARM": "arm"}
	if diff := cmp.Diff([]string{"DEFAULT", "2U8G", "8U16G"}, spec(arches[host])); diff != "" {
		t.Errorf("classes of this machine (-want +got):\n%s", diff)
	}
	if got := spec(arches[other]); len(got) != 0 {
		t.Errorf("classes of the other architecture: %v", got)
	}
	if r := ok(t, c.ShowUserOverPackageQuota, &model.ShowUserOverPackageQuotaRequest{ProjectId: s.Project}).Result; *r.BuildQuota != "unlimit" || *r.IsOverQuota {
		t.Errorf("quota: %+v", r)
	}
	if r := ok(t, c.ShowUserChargeType, &model.ShowUserChargeTypeRequest{}).Result; *r.Type != "self-hosted" || len(*r.MainResourceList) != 0 {
		t.Errorf("charge type: %+v", r)
	}
	if r := *ok(t, c.ShowPackageSpecCountDown, &model.ShowPackageSpecCountDownRequest{Body: &model.CountdownRequestBody{ServiceType: "a", ResourceId: "b", ReminderDay: "7"}}).Result; len(r) != 0 {
		t.Errorf("packages: %+v", r)
	}
	if *ok(t, c.CheckJobCountIsTopLimit, &model.CheckJobCountIsTopLimitRequest{}).Result {
		t.Error("two tasks are as many as there may be")
	}
	if !*ok(t, c.CheckJobInternal, &model.CheckJobInternalRequest{}).Result {
		t.Error("a server on loopback can be reached from everywhere")
	}
	testImages(t, s)
	testBadTenants(t, s)
}

func testImages(t *testing.T, s *servertest.Server) {
	c := s.Client(s.Developer)
	images := *ok(t, c.ShowImageTemplateList, &model.ShowImageTemplateListRequest{}).Result.ImageTemplates
	for _, i := range images {
		if *i.ImageName != "go1.25" {
			continue
		}
		if *i.BaseImage != "golang" || *i.ImageLabel != "1.25" || *i.Organization != "library" || len(*i.ImageId) != 36 {
			t.Errorf("%+v", i)
		}
		file, err := io.ReadAll(ok(t, c.ShowDockerfileTemplate, &model.ShowDockerfileTemplateRequest{ImageId: *i.ImageId}).Body)
		if err != nil || !strings.Contains(string(file), "\nFROM docker.io/library/golang:1.25\n") {
			t.Errorf("%v: %s", err, file)
		}
		return
	}
	t.Errorf("there are only %+v", images)
}

func testBadTenants(t *testing.T, s *servertest.Server) {
	for _, r := range []badRequest{
		invalid("no ids", "POST", "/v1/domain/domains-statuses", `{}`, "domain_ids: must have 1 to 100 ids, found 0"),
		invalid("ids of another kind", "POST", "/v1/domain/domains-statuses", `{"domain_ids": {}}`, "domain_ids: must be a text"),
		invalid("arch", "GET", "/v2/resource/spec?project_id="+s.Project+"&arch=sparc", "", `arch: must be x86-64 or arm, found "sparc"`),
		invalid("no arch", "GET", "/v2/resource/spec?project_id="+s.Project, "", "arch: is missing"),
		invalid("no project", "GET", "/v1/domain/package/quota", "", "project_id: is missing"),
		invalid("countdown", "POST", "/v2/resource/countdown", `{"service_type": "a", "resource_id": "b"}`, "reminder_day: is missing"),
		invalid("empty countdown", "POST", "/v2/resource/countdown", `{}`, "service_type, resource_id, reminder_day: are missing"),
		invalid("page", "GET", "/v1/domain/project/related-page?page_no=0", "", "page_no: must be a whole number from 1"),
		{"image", "GET", "/v1/image/dockerfile-template?image_id=48da14e2-6ee7-495b-9dc7-f14d4a344511", "", 404, "DEVCB.00031006", []string{"image 48da14e2-6ee7-495b-9dc7-f14d4a344511 does not exist"}},
		{"image of another form", "GET", "/v1/image/dockerfile-template?image_id=x", "", 400, "CB.00060202", []string{"image_id: must be 36"}},
	} {
		t.Run(r.name, func(t *testing.T) {
			checkProblem(t, s, s.Call(s.Developer, r.method, r.path, r.body), r.status, r.code, r.words...)
		})
	}
}
