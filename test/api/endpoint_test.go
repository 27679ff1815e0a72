package api_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/build"
	"atelier/internal/endpoint"
	"atelier/internal/fault"
	"atelier/internal/iam"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
	"atelier/internal/source/sourcetest"
)

const gitPassword = "open-sesame-7131"

// guarded is a repository that opens with a password only.
type guarded struct {
	*sourcetest.Repository
	host string // address that it is below
}

func (g guarded) url() string { return g.host + "/app" }

func newGuarded(t *testing.T) guarded {
	t.Helper()
	root := t.TempDir()
	repo := sourcetest.New(t, root+"/app")
	repo.Write(".cloudbuild/build.yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh: {inputs: {command: cat greeting; env; cat .git/config}}\n")
	repo.Write("greeting", "hello from behind the wall\n")
	repo.Commit("init")
	repositories := sourcetest.Guarded("robot", gitPassword, sourcetest.Handler(t, root))
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		checkArguments(t, gitPassword) // of the git that waits for the answer
		repositories.ServeHTTP(w, r)
	}))
	t.Cleanup(host.Close)
	return guarded{repo, host.URL}
}

// addEndpoint adds a service endpoint and returns it.
func addEndpoint(t *testing.T, s *servertest.Server, project string, e endpoint.Endpoint) endpoint.Endpoint {
	t.Helper()
	e.ProjectID, e.User, e.Region = build.ProjectID(project), "robot", servertest.Region
	made, err := s.Endpoints().Add(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (g guarded) endpoint(name, password string) endpoint.Endpoint {
	return endpoint.Endpoint{Name: name, Kind: endpoint.Git, URL: g.host, Password: password}
}

// opened is a YAML task whose repository an endpoint opens.
func opened(s *servertest.Server, name, url, endpointID string) *model.CreateBuildJobRequestBody {
	body := fromFile(s, name, url)
	if endpointID != "" {
		(*body.Scms)[0].EndPointId = &endpointID
	}
	return body
}

// fullLog returns the whole log of a build.
func fullLog(s *servertest.Server, record string) string {
	return s.Call(s.Admin, "GET", "/v4/"+record+"/download-log", "").Body
}

func TestEndpointOpensRepository(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	s := servertest.Start(t, func(c *server.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	c := s.Client(s.Developer)
	g := newGuarded(t)
	ours := addEndpoint(t, s, s.Project, g.endpoint("ours", gitPassword))
	stale := addEndpoint(t, s, s.Project, g.endpoint("stale", "battery-staple"))
	narrow := addEndpoint(t, s, s.Project, endpoint.Endpoint{Name: "narrow", Kind: endpoint.Git, URL: g.host + "/lib", Password: gitPassword})
	maven := addEndpoint(t, s, s.Project, endpoint.Endpoint{Name: "maven", Kind: endpoint.Nexus, URL: g.host, Password: gitPassword})
	foreign := addEndpoint(t, s, s.OtherProject, g.endpoint("foreign", gitPassword))

	var said strings.Builder
	build := func(name string, body *model.CreateBuildJobRequestBody) model.RecordInfoResult {
		t.Helper()
		body.JobName = name
		job := create(t, c, body)
		number := run(t, c, &model.RunJobRequestBody{JobId: job})
		r := await(t, c, job, number)
		fmt.Fprintln(&said, fullLog(s, *r.BuildRecordId), r, s.Call(s.Developer, "GET", "/v1/job/"+job+"/config", "").Body,
			s.Call(s.Developer, "GET", fmt.Sprintf("/v3/jobs/%s/%d/record-info", job, number), "").Body)
		return r
	}
	log1 := func(r model.RecordInfoResult) string { return fullLog(s, *r.BuildRecordId) }

	r := build("file", opened(s, "", g.url(), ours.ID))
	if *r.Status != "SUCCESS" || !strings.Contains(log1(r), "hello from behind the wall") {
		t.Errorf("with its endpoint the repository is not built: %s\n%s", *r.Status, log1(r))
	}
	steps := shell(s, "", "cat greeting")
	steps.Scms = &[]model.CreateBuildJobScm{{Url: g.url(), ScmType: "default", Branch: new("main"), EndPointId: &ours.ID}}
	if r := build("steps", steps); *r.Status != "SUCCESS" || !strings.Contains(log1(r), "hello from behind the wall") {
		t.Errorf("with its endpoint the repository of steps is not built: %s\n%s", *r.Status, log1(r))
	}
	outer := s.NewRepository("outer")
	outer.Write(".cloudbuild/build.yml", fmt.Sprintf("version: 2.0\nsteps:\n  PRE_BUILD:\n    - checkout: {inputs: {url: %s, branch: main, endpoint_id: %s}}\n"+
		"  BUILD:\n    - sh: {inputs: {command: cat greeting}}\n", g.url(), ours.ID))
	outer.Write("bad.yml", strings.ReplaceAll(fmt.Sprintf("version: 2.0\nsteps:\n  PRE_BUILD:\n    - checkout: {inputs: {url: %s, branch: main, endpoint_id: %s}}\n", g.url(), foreign.ID), "\t", ""))
	outer.Commit("init")
	if r := build("checkout", fromFile(s, "", outer.URL())); *r.Status != "SUCCESS" || !strings.Contains(log1(r), "hello from behind the wall") {
		t.Errorf("with the endpoint of its step the repository is not built: %s\n%s", *r.Status, log1(r))
	}
	bad := fromFile(s, "", outer.URL())
	bad.Parameters = &[]model.CreateBuildJobParameter{parameter("CB_BUILD_YAML_PATH", "bad.yml")}

	for name, tt := range map[string]struct {
		body *model.CreateBuildJobRequestBody
		says string
	}{
		"none":        {opened(s, "", g.url(), ""), "it does not exist, or the git credentials of the server do not open it; a task gives it a service endpoint with a user name and a password as endpoint_id"},
		"stale":       {opened(s, "", g.url(), stale.ID), `the user name or the password of the service endpoint "stale" is wrong`},
		"narrow":      {opened(s, "", g.url(), narrow.ID), `endpoint_id: the service endpoint "narrow" is for repositories below ` + g.host + `/lib, not for ` + g.url()},
		"other-kind":  {opened(s, "", g.url(), maven.ID), `endpoint_id: the service endpoint "maven" is of the kind nexus`},
		"not-there":   {opened(s, "", g.url(), "e1"), `endpoint_id: the project has no service endpoint "e1"`},
		"foreign":     {opened(s, "", g.url(), foreign.ID), `endpoint_id: the project has no service endpoint "` + foreign.ID},
		"of-the-step": {bad, `endpoint_id: the project has no service endpoint "` + foreign.ID},
	} {
		if r := build(name, tt.body); *r.Status == "SUCCESS" || !strings.Contains(log1(r), tt.says) {
			t.Errorf("%s: %s, and the log does not say %q\n%s", name, *r.Status, tt.says, log1(r))
		}
	}

	s.Stop() // and the server's log is complete
	fmt.Fprintln(&said, log.String())
	for _, secret := range []string{gitPassword, "battery-staple"} {
		if strings.Contains(said.String(), secret) {
			t.Errorf("%s is shown:\n%s", secret, said.String())
		}
		checkFiles(t, s, secret)
	}
}

// checkArguments checks that no process of the machine has a text among its arguments, where everybody can read it.
func checkArguments(t *testing.T, text string) {
	t.Helper()
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range all {
		if arguments, _ := os.ReadFile(file); bytes.Contains(arguments, []byte(text)) { // one that has ended has none
			t.Errorf("%s is %q", file, arguments)
		}
	}
}

// TestEndpointIsPolled sees that also those who look for new commits use it.
func TestEndpointIsPolled(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, func(c *server.Config) { c.PollRepositories = 20 * time.Millisecond })
	c := s.Client(s.Developer)
	g := newGuarded(t)
	ours := addEndpoint(t, s, s.Project, g.endpoint("ours", gitPassword))
	body := autoBuilt(s, "auto", g.url())
	(*body.Scms)[0].EndPointId = &ours.ID
	job := create(t, c, body)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ok(t, c.ShowRunningStatus, &model.ShowRunningStatusRequest{JobId: job}).Result.LastBuildNo == nil; n++ {
		if n == 1000 {
			t.Fatal("nothing is built")
		}
		g.Commit(fmt.Sprint("commit ", n))
		<-tick.C
	}
	if r := await(t, c, job, 1); *r.Status != "SUCCESS" {
		t.Errorf("%s\n%s", *r.Status, fullLog(s, *r.BuildRecordId))
	}
}

func TestEndpointChanges(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	g := newGuarded(t)
	ours := addEndpoint(t, s, s.Project, g.endpoint("ours", "battery-staple"))
	job := create(t, c, opened(s, "app", g.url(), ours.ID))
	if r := await(t, c, job, run(t, c, &model.RunJobRequestBody{JobId: job})); *r.Status == "SUCCESS" {
		t.Error("a wrong password opens the repository")
	}
	if err := s.Endpoints().SetPassword(t.Context(), ours, gitPassword); err != nil {
		t.Fatal(err)
	}
	if r := await(t, c, job, run(t, c, &model.RunJobRequestBody{JobId: job})); *r.Status != "SUCCESS" {
		t.Error("the new password does not open the repository")
	}
	err := s.Endpoints().Remove(t.Context(), ours, false)
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "these tasks first: app") {
		t.Errorf("an endpoint in use is removed: %v", err)
	}
	if err := s.Endpoints().Remove(t.Context(), ours, true); err != nil {
		t.Fatal(err)
	}
	// What was fetched with it is not there for those who do not have it.
	if r := await(t, c, job, run(t, c, &model.RunJobRequestBody{JobId: job})); *r.Status == "SUCCESS" {
		t.Error("an endpoint that was removed opens the repository")
	}
	bare := create(t, c, opened(s, "bare", g.url(), ""))
	if r := await(t, c, bare, run(t, c, &model.RunJobRequestBody{JobId: bare})); *r.Status == "SUCCESS" {
		t.Error("a task without an endpoint reads what one with an endpoint fetched")
	}
}

func TestListEndpoints(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	var made []endpoint.Endpoint
	for i := range 12 {
		made = append(made, addEndpoint(t, s, s.Project, endpoint.Endpoint{
			Name: fmt.Sprintf("maven-%02d", i), Kind: endpoint.Nexus, URL: fmt.Sprintf("https://maven.example.org/%d", i), Password: gitPassword,
			CreatorID: s.Admin.ID, CreatorName: s.Admin.Name,
		}))
	}
	addEndpoint(t, s, s.Project, endpoint.Endpoint{Name: "code", Kind: endpoint.Git, URL: "https://git.example.org", Password: gitPassword})
	addEndpoint(t, s, s.OtherProject, endpoint.Endpoint{Name: "theirs", Kind: endpoint.Nexus, URL: "https://maven.example.org", Password: gitPassword})
	list := func(limit, offset int32) ([]model.EndPointResponse, int) {
		t.Helper()
		r := ok(t, c.ListEndPoints, &model.ListEndPointsRequest{ProjectId: s.Project, Limit: limit, Offset: &offset}).Result
		return *r.Endpoints, int(*r.Total)
	}
	page, total := list(5, 2)
	if len(page) != 2 || total != 12 || *page[0].Uuid != made[10].ID || *page[1].Name != "maven-11" {
		t.Errorf("the third page of %d: %v", total, page)
	}
	if page, _ := list(0, 0); len(page) != 10 { // the default
		t.Errorf("%d on a page", len(page))
	}
	if page, _ := list(100, 999_999_999); len(page) != 0 {
		t.Errorf("%d behind the last page", len(page))
	}
	a := s.Call(s.Developer, "GET", "/v1/job/"+s.Project+"/nexus?limit=1", "")
	want := `{"endpoints":[{"uuid":"` + made[0].ID + `","name":"maven-00","url":"https://maven.example.org/0",` +
		`"module_id":"devcloud2018.codeci_endpoint_nexus.nexusEndpoint","project_uuid":"` + s.Project + `","region_name":"cn-north-4","data":null,` +
		`"authorization":{"scheme":null,"parameters":null},"created_by":{"user_id":"` + s.Admin.ID + `","username":"admin"}}],"total":12}`
	if !strings.Contains(a.Body, want) {
		t.Errorf("%s, want %s", a.Body, want)
	}
	viewer, stranger := s.NewUser("viewer"), s.NewUser("stranger")
	s.Grant(s.Project, viewer, iam.Viewer)
	if a := s.Call(viewer, "GET", "/v1/job/"+s.Project+"/nexus?limit=1", ""); a.Status != 200 {
		t.Errorf("a viewer gets %d %s", a.Status, a.Body)
	}
	if a := s.Call(stranger, "GET", "/v1/job/"+s.Project+"/nexus?limit=1", ""); a.Status == 200 || strings.Contains(a.Body, "maven") {
		t.Errorf("a stranger gets %d %s", a.Status, a.Body)
	}
}
