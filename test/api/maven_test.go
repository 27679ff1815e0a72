package api_test

import (
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/endpoint"
	"atelier/internal/needs"
	"atelier/internal/server/servertest"
	"atelier/internal/source/sourcetest"
)

const nexusPassword = `pass<word> & "more" $HOME 'x'`

// fakeMaven shows its arguments, the settings as they are in the log, and a sum of the password that they really have.
const fakeMaven = `#!/bin/sh
for argument; do echo "argument: $argument"; done
for argument; do settings=$argument; done
cat "$settings"
sed -n 's/.*<password>\(.*\)<.password>.*/\1/p' "$settings" | sha256sum
`

// timestamp begins the lines of a log.
var timestamp = regexp.MustCompile(`(?m)^\[[^\]]*GMT[^\]]*\] `)

// build runs a build file in a repository and returns the record and the log.
func (w mavenWorld) build(t *testing.T, name, buildFile string) (model.RecordInfoResult, string) {
	t.Helper()
	repo := w.s.NewRepository(name)
	repo.Write("tools/mvn", fakeMaven)
	repo.Git("add", "--all")
	repo.Git("update-index", "--chmod=+x", "tools/mvn")
	repo.Write(".cloudbuild/build.yml", buildFile)
	repo.Git("add", ".cloudbuild")
	repo.Git("commit", "--quiet", "--message", "init")
	c := w.s.Client(w.s.Developer)
	job := create(t, c, fromFile(w.s, name, repo.URL()))
	r := await(t, c, job, run(t, c, &model.RunJobRequestBody{JobId: job}))
	return r, timestamp.ReplaceAllString(fullLog(w.s, *r.BuildRecordId), "")
}

type mavenWorld struct{ s *servertest.Server }

func TestMavenSettings(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	w := mavenWorld{s}
	addEndpoint(t, s, s.Project, endpoint.Endpoint{Name: "all", Kind: endpoint.Nexus, URL: "https://maven.example.org", Password: "of-the-whole-host"})
	addEndpoint(t, s, s.Project, endpoint.Endpoint{Name: "ours", Kind: endpoint.Nexus, URL: "https://maven.example.org/ours", Password: nexusPassword})
	addEndpoint(t, s, s.Project, endpoint.Endpoint{Name: "brace", Kind: endpoint.Nexus, URL: "https://brace.example.org", Password: "${env.HOME}"})
	addEndpoint(t, s, s.Project, endpoint.Endpoint{Name: "code", Kind: endpoint.Git, URL: "https://git.example.org", Password: nexusPassword})
	addEndpoint(t, s, s.OtherProject, endpoint.Endpoint{Name: "theirs", Kind: endpoint.Nexus, URL: "https://theirs.example.org", Password: nexusPassword})

	const steps = "version: 2.0\nsteps:\n  BUILD:\n    - maven: {inputs: {command: 'export PATH=\"$PWD/tools:$PATH\"; mvn package \"two words\"', settings: {%s}}}\n" +
		"    - sh: {inputs: {command: 'test -z \"$ATELIER_MAVEN_SETTINGS\"; find .. -name \"private*\"'}}\n"
	r, log := w.build(t, "settings", fmt.Sprintf(steps, `public_repos: [https://repo.example.org/maven2], private_repos: ["https://maven.example.org/ours/snapshots"]`))
	if *r.Status != "SUCCESS" || strings.Contains(log, nexusPassword) || strings.Contains(log, "pass&lt;word") {
		t.Fatalf("%s\n%s", *r.Status, log)
	}
	if !regexp.MustCompile(`argument: package\nargument: two words\nargument: -s\nargument: /\S+/private0\n`).MatchString(log) {
		t.Errorf("maven gets other arguments:\n%s", log)
	}
	begin, end := strings.Index(log, "<?xml"), strings.Index(log, "</settings>")
	var got struct {
		Servers  []struct{ ID, Username, Password string } `xml:"servers>server"`
		Profiles []struct {
			ID           string `xml:"id"`
			Repositories []struct {
				ID       string `xml:"id"`
				URL      string `xml:"url"`
				Releases bool   `xml:"releases>enabled"`
			} `xml:"repositories>repository"`
			Plugins []struct {
				URL string `xml:"url"`
			} `xml:"pluginRepositories>pluginRepository"`
		} `xml:"profiles>profile"`
		Active []string `xml:"activeProfiles>activeProfile"`
	}
	settings := strings.NewReplacer("<id>", "<ID>", "</id>", "</ID>", "username>", "Username>", "password>", "Password>")
	servers, rest, _ := strings.Cut(log[begin:end+len("</settings>")], "</servers>")
	if err := xml.Unmarshal([]byte(settings.Replace(servers)+"</servers>"+rest), &got); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if len(got.Servers) != 1 || got.Servers[0].Username != "robot" || got.Servers[0].Password != "******" || len(got.Profiles) != 1 ||
		len(got.Profiles[0].Repositories) != 2 || len(got.Profiles[0].Plugins) != 2 || !got.Profiles[0].Repositories[0].Releases ||
		got.Profiles[0].Repositories[1].URL != "https://maven.example.org/ours/snapshots" || got.Profiles[0].Repositories[1].ID != got.Servers[0].ID ||
		len(got.Active) != 1 || got.Active[0] != got.Profiles[0].ID {
		t.Errorf("the settings are %+v", got)
	}
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(nexusPassword))
	if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(escaped.String()+"\n"))); !strings.Contains(log, sum) {
		t.Errorf("the password in the settings is not that of the nearest endpoint:\n%s", log)
	}
	if strings.Count(log, "/private") != 1 { // where it was an argument
		t.Errorf("the settings are left behind:\n%s", log)
	}
	for name, tt := range map[string]struct{ repos, says string }{
		"none":    {`private_repos: ["https://other.example.org/m2"]`, "the project has no service endpoint of the kind nexus for the private repository https://other.example.org/m2"},
		"code":    {`private_repos: ["https://git.example.org/m2"]`, "the project has no service endpoint of the kind nexus"},
		"foreign": {`private_repos: ["https://theirs.example.org/m2"]`, "the project has no service endpoint of the kind nexus"},
		"brace":   {`private_repos: ["https://brace.example.org/m2"]`, `the service endpoint "brace" has a brace in its user name or password`},
	} {
		if r, log := w.build(t, name, fmt.Sprintf(steps, tt.repos)); *r.Status == "SUCCESS" || !strings.Contains(log, tt.says) {
			t.Errorf("%s: %s\n%s", name, *r.Status, log)
		}
	}
	if r, log := w.build(t, "own", strings.Replace(fmt.Sprintf(steps, `public_repos: [https://repo.example.org/maven2]`), "mvn package", "mvn -s mine.xml package", 1)); *r.Status != "SUCCESS" ||
		!strings.Contains(log, "argument: -s\nargument: mine.xml\n") {
		t.Errorf("%s\n%s", *r.Status, log)
	}
	checkFiles(t, s, nexusPassword)
	checkFiles(t, s, escaped.String())
}

// TestMaven has a real Maven take a parent out of a repository that opens with a password only.
func TestMaven(t *testing.T) {
	t.Parallel()
	needs.Program(t, "mvn")
	const parent = `<project><modelVersion>4.0.0</modelVersion><groupId>org.example</groupId><artifactId>parent</artifactId><version>7</version>` +
		`<packaging>pom</packaging><name>out of the private repository</name></project>`
	files := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/m2/org/example/parent/7/parent-7.pom" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(parent))
	})
	nexus := httptest.NewServer(sourcetest.Guarded("robot", nexusPassword, files))
	t.Cleanup(nexus.Close)
	s := servertest.Start(t)
	addEndpoint(t, s, s.Project, endpoint.Endpoint{Name: "ours", Kind: endpoint.Nexus, URL: nexus.URL, Password: nexusPassword})
	repo := s.NewRepository("app")
	repo.Write("pom.xml", `<project><modelVersion>4.0.0</modelVersion><parent><groupId>org.example</groupId><artifactId>parent</artifactId><version>7</version><relativePath/></parent>`+
		`<artifactId>app</artifactId><packaging>pom</packaging></project>`)
	repo.Write(".cloudbuild/build.yml", `version: 2.0
steps:
  BUILD:
    - maven:
        inputs:
          command: mvn -B -Dmaven.repo.local="$PWD/m2" validate
          settings: {private_repos: ["`+nexus.URL+`/m2"]}
`)
	repo.Commit("init")
	c := s.Client(s.Developer)
	job := create(t, c, fromFile(s, "app", repo.URL()))
	r := await(t, c, job, run(t, c, &model.RunJobRequestBody{JobId: job}))
	if log := fullLog(s, *r.BuildRecordId); *r.Status != "SUCCESS" || !strings.Contains(log, "BUILD SUCCESS") {
		t.Errorf("%s\n%s", *r.Status, log)
	}
}
