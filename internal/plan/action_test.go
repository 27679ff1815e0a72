package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

func TestActions(t *testing.T) {
	t.Parallel()
	off := false
	in := fileInput("")
	in.File = nil
	in.Params = []plan.Param{{Name: "name", Value: "world"}}
	in.Job.Steps = []build.ActionStep{
		{ModuleID: "devcloud2018.codeci_action_20017.action", Name: "Greet", Properties: map[string]any{
			"command": "echo hello ${name} $HOME", "image": "shell4.2.46", "preCondition": "SUCCESS", "ignore_fail": "true",
		}},
		{ModuleID: "maven", Name: "switched off", Enable: &off},
		{ModuleID: "local.codeci_action_go.action", Name: "Go", Properties: map[string]any{"command": "go build", "image": "registry.example.org/go:1", "ignore_fail": "no"}},
		{ModuleID: "go", Name: "Go", Properties: map[string]any{"command": "go vet", "cacheOption": "noCache"}},
		{ModuleID: "maven", Name: "Maven", Properties: map[string]any{"command": "mvn"}},
		{ModuleID: "sh", Name: "sh", Properties: map[string]any{"command": "true", "cacheOption": "of no meaning here"}},
		{ModuleID: "npm", Name: "npm", Properties: map[string]any{"command": "npm ci", "ignore_fail": true}},
		{ModuleID: "devcloud2018.codeci_action_20018.action", Name: "Upload", Properties: map[string]any{
			"file": "**/target/*.?ar", "buildVersion": "", "name": nil, "remainOriginPath": "FLAT", "uploadTool": "curl", "ignore_fail": "true",
		}},
		{ModuleID: "upload_artifact", Name: "Upload", Properties: map[string]any{"file": "${name}", "buildVersion": "${BUILDNUMBER}", "name": "x", "customUploadPath": "/app"}},
		{ModuleID: "upload_artifact", Name: "Upload", Properties: map[string]any{"file": "x", "customUploadPath": "app/1.0.0"}},
		{ModuleID: "upload_artifact", Name: "Upload", Properties: map[string]any{"file": "x", "buildVersion": "2.1"}},
		{ModuleID: "download_artifact", Name: "Download", Properties: map[string]any{"url": "/p/${name}/x"}},
		{ModuleID: "devcloud2018.codeci_action_20035.action", Name: "Nothing to do"},
		{ModuleID: "docker", Name: "Docker", Properties: map[string]any{"command": "docker pull ${name}"}},
		{ModuleID: "devcloud2018.codeci_action_20043.action", Name: "Maven", Properties: map[string]any{
			"command": "mvn package", "settingMode": "auto", "userPublicRepositories": []any{map[string]any{"url": "https://repo.example.org/${name}", "release": "true", "snapshot": false}},
			"userPrivateRepositories": []any{"https://maven.example.org/private", map[string]any{"url": "https://maven.example.org/private/", "name": "ours"}}, "pomMode": "no", "cacheOption": "cached", "deal": "notDeal", "ignoreTest": false,
			"releaseArtifact": map[string]any{"displayName": "", "value": ""}, "file": "**/TEST*.xml", "junitCoverageSwitch": "true",
		}},
		{ModuleID: "maven", Name: "Maven", Properties: map[string]any{
			"command": "mvn verify", "deal": "deal", "ignoreTest": "false", "file": "**/${name}/*.xml", "junitCoverageSwitch": true,
		}},
		{ModuleID: "maven", Name: "Maven", Properties: map[string]any{"command": "mvn -s own.xml", "settingMode": "file", "userPrivateRepositories": []any{"not looked at"}}},
		{ModuleID: "sh", Name: "Check", Properties: map[string]any{
			"command": "make", "deal": "deal", "junitCoverageSwitch": "TRUE", "coverageReportPath": "cover/",
		}},
		{ModuleID: "sh", Name: "Something else", Properties: map[string]any{"command": "make", "file": 1}},
	}
	want := `env: name="world"
env: codeBranch="main"
env: BUILDNUMBER="20240229.1"
step: checkout "Checkout"
  {URL:https://git.example.org/team/app.git Branch:main Tag: Commit:1111111111111111111111111111111111111111 Depth:5 Submodules:true LFS:true Path:}
step: sh "Greet" image cloudbuild@shell4.2.46 may fail
  | echo hello ${name} $HOME
step: go "Go" image registry.example.org/go:1 caches go
  | go build
step: go "Go"
  | go vet
step: maven "Maven"
  | mvn
step: sh "sh"
  | true
step: npm "npm" image cloudbuild@nodejs may fail caches npm,yarn
  | npm ci
step: upload_artifact "Upload" may fail
  {Pattern:**/target/*.?ar Version: Name:}
step: upload_artifact "Upload"
  {Pattern:world Version:app/20240229.1 Name:x}
step: upload_artifact "Upload"
  {Pattern:x Version:app/1.0.0 Name:}
step: upload_artifact "Upload"
  {Pattern:x Version:2.1 Name:}
step: download_artifact "Download"
  {URL:/p/world/x}
step: docker "Docker"
  | docker pull ${name}
step: maven "Maven" caches maven
  | mvn package
  {URL:https://repo.example.org/world Private:false Releases:true Snapshots:false}
  {URL:https://maven.example.org/private Private:true Releases:true Snapshots:true}
step: maven "Maven"
  | mvn verify
  tests {Results:**/world/*.xml Gate:true Coverage:**/site/jacoco}
step: maven "Maven"
  | mvn -s own.xml
step: sh "Check"
  | make
  tests {Results: Gate:false Coverage:cover}
step: sh "Something else"
  | make
`
	want = strings.Replace(want, " image cloudbuild@nodejs", "", 1)
	if diff := cmp.Diff(want, outcome(plan.New(in))); diff != "" {
		t.Error(diff)
	}
}

func TestActionProblems(t *testing.T) {
	t.Parallel()
	in := fileInput("")
	in.File = nil
	in.Params = []plan.Param{{Name: "loop", Value: "${loop}"}}
	in.Job.Steps = []build.ActionStep{
		{ModuleID: "unknown", Name: "a"}, // fails when it is its turn
		{ModuleID: "build_image", Name: "b", Properties: map[string]any{"imageName": "Not OK", "imageTag": "-", "contextPath": "../up", "dockerfilePath": "/D", "setMetaData": "maybe", "regions": 1}},
		{ModuleID: "sh", Name: "c"},
		{ModuleID: "sh", Name: "d", Properties: map[string]any{"command": 1}},
		{ModuleID: "checkout", Name: "e"},
		{ModuleID: "upload_artifact", Name: "f", Properties: map[string]any{"buildVersion": 1}},
		{ModuleID: "upload_artifact", Name: "g", Properties: map[string]any{"file": "/x", "customUploadPath": "../x", "name": ".."}},
		{ModuleID: "upload_artifact", Name: "h", Properties: map[string]any{"file": "x", "buildVersion": "a//b"}},
		{ModuleID: "download_artifact", Name: "i"},
		{ModuleID: "download_artifact", Name: "j", Properties: map[string]any{"url": "file:///x"}},
		{ModuleID: "docker", Name: "k", Properties: map[string]any{"command": "docker pull a\ndocker exec b"}},
		{ModuleID: "go", Name: "l", Properties: map[string]any{"command": "go build", "cacheOption": "perhaps"}},
		{ModuleID: "go", Name: "m", Properties: map[string]any{"command": "go build", "cacheOption": true}},
		{ModuleID: "maven", Name: "n", Properties: map[string]any{"command": "mvn", "deal": "deal", "ignoreTest": "perhaps"}},
		{ModuleID: "npm", Name: "o", Properties: map[string]any{"command": "npm", "deal": "deal", "file": "/a", "junitCoverageSwitch": true}},
	}
	want := `parameters: the value of "loop" refers to itself, or through more than 10 others: loop → loop
steps[1].properties.regions: must be a list of texts, found "1"
steps[1].properties.setMetaData: must be true or false, found "maybe"
steps[1].properties.organization: is missing
steps[1].properties.contextPath: must be a directory below the workspace, found "../up"
steps[1].properties.dockerfilePath: must be a file below the context, found "/D"
steps[1].properties.imageName: must have lower case letters, digits and . _ - / between them, found "Not OK"
steps[1].properties.imageTag: must have at most 128 letters, digits and . _ - and begin with none of . and -, found "-"
steps[2].properties.command: is missing
steps[3]: properties.command: must be a text, found "1"
steps[4]: a task downloads its repository by itself; name another one in a build file
steps[5]: properties.buildVersion: must be a text, found "1"
steps[5].properties.file: is missing
steps[6].properties.file: must be relative to the workspace, without a slash at its beginning, found "/x"
steps[6].properties.customUploadPath: must be names with / between them, without . and .. and control characters, found "../x"
steps[6].properties.name: must be a name without / and control characters, and not . or .., found ".."
steps[7].properties.buildVersion: must be names with / between them, without . and .. and control characters, found "a//b"
steps[8].properties.url: is missing
steps[9].properties.url: must be an address in the release repository, such as https://<host>/<project id>/<version>/<name>, found "file:///x"
steps[10].properties.command: line 2: "docker exec b" is not allowed; allowed are docker build, tag, push, pull, login, logout, save
steps[11].properties.cacheOption: must be cached or noCache, found "perhaps"
steps[12]: properties.cacheOption: must be a text, found "true"
steps[13].properties.ignoreTest: must be true or false, found "perhaps"
steps[13].properties.file: is missing
steps[14].properties.file: must be relative to the workspace, without a slash at its beginning, found "/a"
steps[14].properties.coverageReportPath: is missing
`
	if diff := cmp.Diff(want, outcome(plan.New(in))); diff != "" {
		t.Error(diff)
	}
}

func TestCheckStep(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		"devcloud2018.codeci_action_20043.action", "devcloud2018.codeci_action_20004.action", "local.codeci_action_sh.action", "upload_artifact",
	} {
		if err := (plan.Steps{}).CheckStep(build.ActionStep{ModuleID: id, Properties: map[string]any{"command": "x", "any": 1}}); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for id, want := range map[string]string{
		"":                                   `module_id: found "";`,
		"devcloud2018.codeci_action_.action": "module_id: found",
		"devcloud2018.codeci_action_99999.action": `found "devcloud2018.codeci_action_99999.action"; known are the vendor's published ids`,
		"local.codeci_action_20017.action":        "module_id: found",
		"checkout":                                `module_id: found "checkout"; `,
	} {
		err := plan.Steps{}.CheckStep(build.ActionStep{ModuleID: id})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", id, err)
		}
	}
	for property, module := range map[string]string{
		"command": "sh", "image": "sh", "deal": "sh", "file": "upload_artifact", "customUploadPath": "upload_artifact", "url": "download_artifact",
	} {
		err := plan.Steps{}.CheckStep(build.ActionStep{ModuleID: module, Properties: map[string]any{property: []any{"x"}}})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "properties."+property+": must be a text") {
			t.Errorf("%s: %v", property, err)
		}
	}
}
