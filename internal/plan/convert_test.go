package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"atelier/internal/build"
	"atelier/internal/plan"
)

func TestConvert(t *testing.T) {
	t.Parallel()
	on, off := true, false
	job := build.Config{
		Arch: "x86-64", Flavor: "4u8g", AutoUpdateSubmodules: "true",
		Sources: []build.Source{{URL: repository, Branch: "main", Depth: "5", LFS: &on}},
		Steps: []build.ActionStep{
			{ModuleID: "devcloud2018.codeci_action_20017.action", Name: "Greet", Properties: map[string]any{"command": "echo hello\necho ${name}\n", "image": "shell4.2.46", "preCondition": "SUCCESS"}},
			{ModuleID: "npm", Name: "Lint: all", Enable: &off, Properties: map[string]any{"command": "npm run lint"}},
			{ModuleID: "maven", Name: "Maven", Enable: &on, Properties: map[string]any{
				"command": "mvn package", "image": "registry.example.org/maven:3", "ignore_fail": "true", "cacheOption": "cached",
				"userPublicRepositories": []any{map[string]any{"url": "https://repo.example.org/maven2"}}, "userPrivateRepositories": []any{"https://${host}/private"},
			}},
			{ModuleID: "gradle", Name: "Gradle", Properties: map[string]any{"command": "./gradlew build", "gradle": "4.10", "jdk": "1.8"}},
			{ModuleID: "docker", Name: "Nothing"},
			{ModuleID: "upload_artifact", Name: "Upload", Properties: map[string]any{"file": "**/target/*.?ar", "customUploadPath": "/app", "buildVersion": "2.0", "uploadTool": "curl", "image": "shell4.2.46"}},
			{ModuleID: "download_artifact", Name: "Last", Enable: &off, Properties: map[string]any{"url": "https://x/p/v/n"}},
		},
	}
	got, err := plan.Convert(job, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `version: 2.0
env:
  resource:
    type: docker
    arch: X86
    class: 4U8G
steps:
  PRE_BUILD:
    - checkout:
        name: Checkout
        inputs:
          scm: codehub
          url: https://git.example.org/team/app.git
          branch: ${codeBranch}
          depth: 5
          submodule: true
          lfs: true
  BUILD:
    - sh:
        name: Greet
        image: cloudbuild@shell4.2.46
        inputs:
          command: |
            echo hello
            echo ${name}
    # disabled:
    # - npm:
    #     name: 'Lint: all'
    #     inputs:
    #       command: npm run lint
    - maven:
        name: Maven
        image: registry.example.org/maven:3
        inputs:
          command: mvn package
          settings:
            public_repos:
              - https://repo.example.org/maven2
            private_repos:
              - https://${host}/private
          cache: true
          ignore_fail: true
    - gradle:
        name: Gradle
        inputs:
          gradle: "4.10"
          jdk: "1.8"
          command: ./gradlew build
    - upload_artifact:
        name: Upload
        inputs:
          path: '**/target/*.?ar'
          version: app/2.0

# disabled:
# - download_artifact:
#     name: Last
#     inputs:
#       url: https://x/p/v/n
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestConvertProblems(t *testing.T) {
	t.Parallel()
	off := false
	_, err := plan.Convert(build.Config{Steps: []build.ActionStep{
		{ModuleID: "unknown", Name: "a"}, {ModuleID: "sh", Name: "b"}, {ModuleID: "build_image", Name: "c"}, {ModuleID: "gradle", Name: "d", Properties: map[string]any{"command": "x"}},
	}}, nil)
	want := `steps[0].module_id: found "unknown", which this version does not know
steps[1].properties.command: is missing
steps[2].properties.organization: is missing
steps[3].properties.gradle: is missing; a build file must name it
steps[3].properties.jdk: is missing; a build file must name it`
	if err == nil || err.Error() != want {
		t.Errorf("the problems are\n%v\nwant\n%s", err, want)
	}
	if _, err := plan.Convert(build.Config{Steps: []build.ActionStep{{ModuleID: "sh", Name: "b", Enable: &off, Properties: map[string]any{"command": "x"}}}}, nil); err == nil ||
		err.Error() != "steps: has no enabled steps, and a build file must have some" {
		t.Error(err)
	}
}

// otherStep draws a step that is not only commands.
func otherStep(t *rapid.T) (module string, properties map[string]any) {
	word := rapid.StringMatching(`[a-z][a-z0-9]{0,9}`)
	draw := func(label string) string { return word.Draw(t, label) }
	maybe := func(p map[string]any, name string, value any) {
		if rapid.Bool().Draw(t, "has "+name) {
			p[name] = value
		}
	}
	p := map[string]any{}
	maybe(p, "image", "shell4.2.46")
	switch module = rapid.SampledFrom([]string{"gradle", "android", "docker", "20018", "download_artifact", "20061", "20004", "20057", "android_sign"}).Draw(t, "other module"); module {
	case "gradle", "android":
		p["command"], p["gradle"], p["jdk"], p["ndk"] = "./gradlew build\n", "4.10", "1.8", "17"
	case "docker":
		p["command"] = "docker pull " + draw("image") + ":${a}\ndocker logout\n"
	case "20018":
		p["file"] = "**/" + draw("file")
		maybe(p, "buildVersion", "2."+draw("version"))
		maybe(p, "customUploadPath", "/"+draw("directory"))
		maybe(p, "name", draw("name"))
		maybe(p, "remainOriginPath", "FLAT")
	case "download_artifact":
		p["url"] = "https://${a}/project/version/" + draw("name")
	case "20061":
		p["name"] = draw("name") + ".xml"
	case "20004":
		p["organization"] = draw("organization")
		maybe(p, "imageName", draw("image name"))
		maybe(p, "imageTag", "${a}")
		maybe(p, "contextPath", draw("context"))
		maybe(p, "dockerfilePath", "./"+draw("file"))
		maybe(p, "regions", []any{"here", draw("region")})
		maybe(p, "setMetaData", true)
	case "20057":
		p["backetName"] = draw("bucket") + "-bucket"
		maybe(p, "artifactSourcePath", draw("path")+"/*")
		maybe(p, "objectKey", "./"+draw("directory"))
		maybe(p, "obsHeaders", []any{map[string]any{"headerKey": "x-obs-meta-a", "headerValue": draw("value")}})
		maybe(p, "uploadDirectory", "true")
	case "android_sign":
		p["filePath"], p["keystoreFile"], p["alias"], p["apksignerCommond"] = "*.apk", draw("file"), draw("alias"), "--verbose"
		maybe(p, "keystorePassword", draw("password"))
	}
	if module[0] == '2' {
		module = "devcloud2018.codeci_action_" + module + ".action"
	}
	return module, p
}

// TestConvertRoundTrip: the build file does what the task did.
func TestConvertRoundTrip(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.StringMatching(`[ -~\n\t]{1,60}`), rapid.StringMatching(`([a-z#:'" -]{0,9}\n){1,4}`), rapid.Just("\ufeffa\u2028b"), rapid.Just("a\r\nb")).
		Filter(func(s string) bool { return strings.TrimSpace(s) != "" })
	step := rapid.Custom(func(t *rapid.T) build.ActionStep {
		s := build.ActionStep{
			ModuleID:   rapid.SampledFrom([]string{"sh", "devcloud2018.codeci_action_20017.action", "go", "npm", "yarn", "maven", "python", "swr", "local.codeci_action_cmake.action"}).Draw(t, "module"),
			Name:       rapid.StringMatching(`[A-Za-z0-9 ,;:./()_-]{1,20}`).Filter(func(s string) bool { return strings.TrimSpace(s) != "" }).Draw(t, "name"),
			Properties: map[string]any{"command": text.Draw(t, "command")},
		}
		if rapid.Bool().Draw(t, "has image") {
			s.Properties["image"] = rapid.SampledFrom([]string{"nodejs18", "registry.example.org/a/b:1.0"}).Draw(t, "image")
		}
		if option := rapid.SampledFrom([]string{"", "cached", "noCache"}).Draw(t, "cache"); option != "" && !slices.Contains([]string{"sh", "swr", "devcloud2018.codeci_action_20017.action", "local.codeci_action_cmake.action"}, s.ModuleID) {
			s.Properties["cacheOption"] = option
		}
		if rapid.Bool().Draw(t, "has tests") {
			s.Properties["deal"], s.Properties["file"], s.Properties["ignoreTest"] = "deal", "**/TEST*.xml", rapid.Bool().Draw(t, "tests may fail")
			s.Properties["junitCoverageSwitch"], s.Properties["coverageReportPath"] = rapid.Bool().Draw(t, "covers"), "**/site/jacoco"
		}
		if rapid.Bool().Draw(t, "does something else") {
			s.ModuleID, s.Properties = otherStep(t)
		}
		if rapid.Bool().Draw(t, "may fail") {
			s.Properties["ignore_fail"] = "true"
		}
		if rapid.Bool().Draw(t, "has a switch") {
			s.Enable = new(rapid.Bool().Draw(t, "enabled"))
		}
		return s
	})
	rapid.Check(t, func(t *rapid.T) {
		in := fileInput("")
		in.File = nil
		in.Params = []plan.Param{{Name: "a", Value: "b"}}
		in.Job.Arch, in.Job.Steps = "x86-64", rapid.SliceOfN(step, 1, 5).Draw(t, "steps")
		file, err := plan.Convert(in.Job, nil)
		if err != nil {
			if strings.Contains(err.Error(), "no enabled steps") {
				return
			}
			t.Fatal(err)
		}
		want, err := plan.New(in)
		if err != nil {
			t.Fatal(err)
		}
		in.File = &plan.File{Path: "build.yml", Data: file}
		got, err := plan.New(in)
		if err != nil {
			t.Fatalf("%v\n%s", err, file)
		}
		if diff := cmp.Diff(want.Steps, got.Steps); diff != "" {
			t.Errorf("steps (-task +file):\n%s\n%s", diff, file)
		}
	})
}
