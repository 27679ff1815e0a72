package attack_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/dialer"
	"atelier/internal/executor/host"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// insider is a service on the machine of the server that nobody outside should reach. It counts connections, and sends each request
// elsewhere on that machine.
func insider(t *testing.T) (address string, connections *atomic.Int64) {
	t.Helper()
	connections = new(atomic.Int64)
	inside := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+r.Host+"/again"+r.URL.Path, http.StatusFound)
	}))
	inside.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	inside.Start()
	t.Cleanup(inside.Close)
	return inside.Listener.Addr().String(), connections
}

// TestAddressesInside names addresses of the server's machine wherever a user may name one: nothing connects to them, and the answers
// do not tell open ports from closed ones.
func TestAddressesInside(t *testing.T) {
	t.Parallel()
	open, connections := insider(t)
	_, port, err := net.SplitHostPort(open)
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, host.Off, func(c *server.Config) { c.RepositoryNetworks = dialer.Private })
	_, own, _ := strings.Cut(s.URL(), "://")
	hosts := []string{open, "127.0.0.1:1", own, "localhost:" + port, "127.1:" + port, "2130706433:" + port, "0x7f.1:" + port, "0.0.0.0:" + port, "[::1]:" + port, "[::ffff:127.0.0.1]:" + port, "169.254.169.254", "[fd00:ec2::254]"}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, _, err := net.ParseCIDR(a.String()); err == nil && !ip.IsLinkLocalUnicast() {
			hosts = append(hosts, net.JoinHostPort(ip.String(), port))
		}
	}
	job := s.MakeTask("told", "true")
	var first string
	for _, h := range hosts {
		for _, address := range []string{"http://" + h + "/x.git", "https://" + h + "/x.git", "ssh://git@" + h + "/x.git"} {
			answer := s.Call(s.Developer, http.MethodPost, "/v1/template/recommend", `{"git_url": "`+address+`", "branch": "main"}`)
			said, _, _ := strings.Cut(strings.ReplaceAll(answer.Body, address, "ADDRESS"), `"request_id"`)
			if first == "" {
				first = said
			}
			if answer.Status != http.StatusBadRequest || !strings.Contains(said, "--repository-networks") || said != first {
				t.Errorf("%s: %d %s", address, answer.Status, answer.Body)
			}
		}
		answer := s.Call(s.Developer, http.MethodPost, "/v1/job/check/webhook-url", `{"job_id": "`+job+`", "notice_type": "WECOM", "webhook_url": "http://`+h+`/hook"}`)
		if answer.Status != http.StatusBadRequest || !strings.Contains(answer.Body, "--notice-networks") {
			t.Errorf("a webhook at %s: %d %s", h, answer.Status, answer.Body)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections came to the service inside", n)
	}
}

// TestCheckoutsInside has builds check out what lies on the server's machine: by a step, by a submodule, by a manifest.
func TestCheckoutsInside(t *testing.T) {
	t.Parallel()
	open, connections := insider(t)
	s := startServer(t, host.Off, func(c *server.Config) { c.RepositoryNetworks = dialer.Private })
	lib := s.NewRepository("lib").Commit("lib")
	url := func(name string) string { return "file://" + filepath.Join(s.Config.FileRepositories[0], name) }
	for name, step := range map[string]string{
		"step":      `checkout: {inputs: {url: "http://` + open + `/x.git", branch: main}}`,
		"ssh":       `checkout: {inputs: {url: "ssh://git@` + open + `/x.git", branch: main}}`,
		"submodule": `checkout: {inputs: {url: "` + url("submodule") + `", branch: main, submodule: true, path: x}}`,
		"manifest":  `manifest_checkout: {inputs: {manifest_url: "` + url("manifest") + `", manifest_branch: main, path: x}}`,
	} {
		repo := s.NewRepository(name)
		repo.Write(".gitmodules", "[submodule \"a\"]\n\tpath = a\n\turl = http://"+open+"/lib\n")
		repo.Write("default.xml", `<manifest><remote name="r" fetch="http://`+open+`/"/><project name="p" remote="r" revision="main"/></manifest>`)
		repo.Write(".cloudbuild/build.yml", "version: 2.0\nsteps:\n  PRE_BUILD:\n    - "+step+"\n  BUILD:\n    - sh: {inputs: {command: \"true\"}}\n")
		repo.Git("update-index", "--add", "--cacheinfo", "160000,"+lib+",a")
		repo.Git("add", ".gitmodules", "default.xml", ".cloudbuild")
		repo.Git("commit", "--quiet", "--message", "led inside")
		status, log := runBuild(t, s, fileTask(t, s, name, repo.URL()))
		if status == "SUCCESS" || !strings.Contains(log, "--repository-networks") {
			t.Errorf("%s: %s\n%s", name, status, log)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections came to the service inside", n)
	}
}

// fileTask makes a task of a repository's build file and returns its id.
func fileTask(t *testing.T, s *servertest.Server, name, url string) string {
	t.Helper()
	made, err := s.Client(s.Developer).CreateNewJob(&model.CreateNewJobRequest{Body: &model.CreateBuildJobRequestBody{
		JobName: name, ProjectId: s.Project, Arch: servertest.Arch, BuildConfigType: new("YAML"), Steps: []model.CreateBuildJobSteps{},
		Scms: &[]model.CreateBuildJobScm{{Url: url, ScmType: "default", Branch: new("main")}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return *made.Result.JobId
}
