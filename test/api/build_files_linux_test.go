package api_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	codeartsbuild "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/endpoint"
	"atelier/internal/executor/container"
	"atelier/internal/executor/container/podmantest"
	"atelier/internal/needs"
	"atelier/internal/objects"
	"atelier/internal/objects/objectstest"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
	"atelier/internal/source/sourcetest"
)

// sample is a build file of a page, and what becomes of it.
type sample struct {
	files   map[string]string // in its repository
	params  map[string]string // given at the start
	status  string            // SUCCESS unless another is given
	says    []string          // in the log, or in the reason
	outputs []string          // names of files and images
}

// child is the build file of a job of a flow.
func child(says string) string {
	return "version: 2.0\nsteps:\n  BUILD:\n    - sh: {inputs: {command: \"" + says + "\"}}\n"
}

// pageSamples are the build files of docs/build-yml.md, by the heading that they stand below, in their order.
func pageSamples(t *testing.T) map[string][]sample {
	t.Helper()
	return map[string][]sample{
		"The smallest": {{says: []string{"hello\n"}}},
		"Parameters": {{says: []string{
			"package tool-beta, flags [], build 2", "the shell's own: fallback\n",
		}}},
		"Environment": {
			{says: []string{"make\n"}},
			{status: "SCHEDULE_FAILURE", says: []string{`There is no executor pool called "lab".`}},
			{says: []string{"env.cache: the code cache does not exist here and is ignored", "make\n"}},
			{says: []string{"make\n"}},
		},
		"Steps": {{
			files: map[string]string{"lint.sh": "#!/bin/sh\nexit 3\n"},
			says:  []string{`Step "Lint" failed with exit code 3. The build goes on, as the step says.`, "1.4.1\n"},
		}},
		"checkout": {
			{says: []string{"make\n"}},
			{says: []string{"manual of 1.2", "old", "font"}},
		},
		"Commands": {
			{says: []string{"go build ./...\n", "npm ci\nnpm test\n", "python3 -m pytest\n", "cmake -S . -B build\ncmake --build build\n", "yarn build\n", "checked\n"}, files: map[string]string{"check.sh": "echo checked\n"}},
			{says: []string{
				"ant dist\n", "make ark\n", "bazel build //...\n", "flutter build apk\n", "gfortran -o solver solver.f90\n", "arm-none-eabi-gcc -o app.elf main.c\n", "grails war\n", "npx grunt\n", "npx gulp\n",
				"hvigorw assembleHap\n", "ionic cordova build android\n", "msbuild App.sln\n", "composer install\n", "npm run release\n", "sbt package\n",
			}},
			{says: []string{"mvn -B package -s /"}},
			{says: []string{"mvn -B package\n", "gradle build\n", "gradle assembleRelease\n", "without an effect in this version: gradle, jdk, ndk", "without an effect in this version: check"}},
		},
		"unit_test": {
			{says: []string{"[maven] : 2 tests in", "[maven] : Coverage: 75.0% of 4", "[go] : Coverage: 100.0% of 3 statements.", "[python] : 1 tests in"}},
			{files: map[string]string{"test.sh": "echo tested\n"}, says: []string{"tested\n"}},
		},
		"manifest_checkout": {
			{says: []string{"make -C src\n"}},
			{says: []string{"library\n"}, params: map[string]string{"manifest_password": gitPassword}},
		},
		"docker": {{
			files: map[string]string{"Dockerfile": "FROM " + podmantest.Small + "\n"}, says: []string{"Pushed "}, outputs: []string{"/team/app"},
		}},
		"build_image": {{
			files: map[string]string{"app/docker/Dockerfile": "FROM " + podmantest.Small + "\nCOPY . /app\n"}, outputs: []string{"/team/shop/app", "/asia/team/shop/app"},
		}},
		"android_sign": {{
			files:  map[string]string{"build/bin/app.apk": string(androidPackage(t))},
			params: map[string]string{"keystore_password": keyPassword}, says: []string{"Result: Signed"},
		}},
		"upload_obs": {{
			files: map[string]string{"bin/tool": "tool", "public/pages/index.html": "page"}, outputs: []string{"tool", "index.html"},
		}},
		"upload_artifact, download_artifact, download_file": {{
			says: []string{"make dist\n"}, outputs: []string{"app.jar", "notes.txt"}, files: map[string]string{"target/app.jar": "jar", "target/notes-1.txt": "notes"},
		}},
		"Several tasks": {
			{
				files: map[string]string{".cloudbuild/library.yml": child("echo library ${channel} ${flavour}"), ".cloudbuild/docs.yml": child("exit 1"), ".cloudbuild/package.yml": child("echo package ${channel}")},
				says:  []string{"[Library] : The job succeeded", "[Docs] : The job is skipped", "[Package] : The job succeeded"},
			},
			{
				files: map[string]string{".cloudbuild/test.yml": child("echo test"), ".cloudbuild/package.yml": child("echo package")},
				says:  []string{"[Test] : The job succeeded"},
			},
		},
	}
}

const keyPassword = "correct-horse-battery"

// standIns are programs that print what they are called with; a few leave what is looked for later.
var standIns = map[string]string{
	"make": "", "go": "", "npm": "", "npx": "", "python3": "", "cmake": "", "yarn": "", "gradle": "", "ant": "", "bazel": "", "flutter": "", "gfortran": "", "arm-none-eabi-gcc": "",
	"grails": "", "hvigorw": "", "ionic": "", "msbuild": "", "composer": "", "sbt": "", "mvn": "",
}

// leaves is what the stand-ins leave behind when tests are among their arguments.
const leaves = `case "$0 $*" in
*mvn*verify*)
	mkdir -p target/reports target/site/jacoco
	echo '<testsuite name="m"><testcase classname="a" name="one"/><testcase classname="a" name="two"/></testsuite>' > target/reports/TEST-a.xml
	echo '<report name="app"><package name="p"><sourcefile name="A.java"><line nr="1" mi="0" ci="3" mb="0" cb="0"/></sourcefile></package><counter type="LINE" missed="1" covered="3"/></report>' > target/site/jacoco/jacoco.xml;;
*go*coverprofile*) printf 'mode: set\nexample.org/a/a.go:1.1,2.2 3 1\n' > cover.out;;
*pytest*junitxml*) echo '<testsuite name="p"><testcase classname="b" name="three"/></testsuite>' > results.xml;;
esac
`

// TestBuildFilePage runs every build file of docs/build-yml.md: hosts are replaced by servers of this test, compilers and package
// managers by programs that print their arguments.
func TestBuildFilePage(t *testing.T) { // not parallel: it sets the path
	for _, program := range []string{"git-lfs", "apksigner"} {
		needs.Program(t, program)
	}
	w := newPageWorld(t)
	page, err := os.ReadFile("../../docs/build-yml.md")
	if err != nil {
		t.Fatal(err)
	}
	samples := pageSamples(t)
	ran := 0
	for section := range strings.SplitSeq("\n"+string(page), "\n#") {
		heading, text, _ := strings.Cut(section, "\n")
		heading = strings.TrimLeft(heading, "# ")
		files := strings.Split(text, "```yaml\n")[1:]
		if heading == "Build files" {
			heading = "The smallest"
		}
		if len(files) != len(samples[heading]) {
			t.Errorf("%q has %d build files, and it is said of %d what becomes of them", heading, len(files), len(samples[heading]))
			continue
		}
		for i, file := range files {
			file, _, _ = strings.Cut(file, "```")
			ran++
			t.Run(heading, func(t *testing.T) { w.run(t, ran, w.hosts.Replace(file), samples[heading][i]) })
		}
	}
	if ran == 0 {
		t.Error("the page has no build files")
	}
}

// pageWorld is a server with all that the build files of a page speak of.
type pageWorld struct {
	*servertest.Server
	client *codeartsbuild.CodeArtsBuildClient
	hosts  *strings.Replacer
	params map[string]string // ids that are other ones here
}

func newPageWorld(t *testing.T) pageWorld {
	t.Helper()
	programs := t.TempDir()
	for name := range standIns {
		if err := os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\necho \""+name+"${*:+ $*}\"\n"+leaves), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", programs+string(filepath.ListSeparator)+os.Getenv("PATH"))

	images, registry := podmantest.Start(t), podmantest.StartDistribution(t)
	buckets := objectstest.Start(t, "releases", "sites")
	open, closed := t.TempDir(), t.TempDir()
	git, private := httptest.NewServer(sourcetest.Handler(t, open)), httptest.NewServer(sourcetest.Guarded("robot", gitPassword, sourcetest.Handler(t, closed)))
	t.Cleanup(git.Close)
	t.Cleanup(private.Close)
	s := servertest.Start(t, func(c *server.Config) {
		var err error
		if c.Objects, err = objects.New(objects.Config{Endpoint: buckets.URL, Credentials: buckets.Credentials}); err != nil {
			t.Fatal(err)
		}
		c.Images = &container.BuilderConfig{
			Registries: map[string]string{servertest.Region: registry.Host, "ap-southeast-3": registry.Host + "/asia"},
			Socket:     images.Socket, Network: "none", RegistryConfig: registry.Config(t),
		}
	})
	w := pageWorld{
		Server: s, client: s.Client(s.Developer),
		hosts: strings.NewReplacer(
			"https://git.example.com", git.URL, "https://private.example.com", private.URL, "registry.example.com", registry.Host, "https://build.example.com", s.URL(),
			"arch: X86", "arch: "+map[string]string{"amd64": "X86", "arm64": "ARM"}[runtime.GOARCH],
		),
	}
	old := w.repositories(t, open, closed)
	mirror := addEndpoint(t, s, s.Project, endpoint.Endpoint{Name: "fonts", Kind: endpoint.Git, URL: private.URL + "/fonts.git", Password: gitPassword})
	addEndpoint(t, s, s.Project, endpoint.Endpoint{Name: "nexus", Kind: endpoint.Nexus, URL: "https://nexus.example.com", Password: gitPassword})
	w.params = map[string]string{"fixed_commit": old, "mirror": mirror.ID}
	w.uploads(t)
	return w
}

// repositories makes those that the build files check out, and returns a commit that is not the newest of its branch.
func (w pageWorld) repositories(t *testing.T, open, closed string) (old string) {
	t.Helper()
	repository := func(dir string, files ...string) *sourcetest.Repository {
		repo := sourcetest.New(t, dir)
		for i := 0; i < len(files); i += 2 {
			repo.Write(files[i], files[i+1])
		}
		repo.Commit("init")
		return repo
	}
	third := repository(filepath.Join(open, "team/third-party.git"), "old", "")
	old = third.Git("rev-parse", "HEAD")
	third.Git("mv", "old", "new")
	third.Commit("second")
	manual := repository(filepath.Join(open, "team/manual.git"), "manual of 1.2", "")
	manual.Git("tag", "v1.2")
	manual.Git("mv", "manual of 1.2", "manual of 1.3")
	manual.Commit("second")
	repository(filepath.Join(open, "platform/library"), "Makefile", "")
	const manifest = `<manifest><remote name="here" fetch=".."/><default remote="here" revision="main"/><project name="library"/></manifest>`
	repository(filepath.Join(open, "platform/manifests"), "release.xml", manifest)
	repository(filepath.Join(closed, "fonts.git"), "font", "")
	repository(filepath.Join(closed, "library"), "Makefile", "")
	repository(filepath.Join(closed, "manifests"), "default.xml", manifest)
	return old
}

// uploads puts the files into place that steps download.
func (w pageWorld) uploads(t *testing.T) {
	t.Helper()
	keys := filepath.Join(t.TempDir(), "release.jks")
	if out, err := exec.CommandContext(t.Context(), needs.Program(t, "keytool"), "-genkeypair", "-keystore", keys, "-storetype", "PKCS12", "-storepass", keyPassword,
		"-alias", "release", "-keyalg", "RSA", "-keysize", "2048", "-dname", "CN=test").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	uploadFile(t, w.Server, w.Developer, "release.jks", string(content))
	uploadFile(t, w.Server, w.Developer, "settings.xml", "<settings/>")
	w.run(t, 0, "version: 2.0\nsteps:\n  BUILD:\n    - sh: {inputs: {command: touch base.tar.gz}}\n    - upload_artifact: {inputs: {path: base.tar.gz, version: 1.0}}\n", sample{})
}

// run runs a build file, and checks what becomes of it.
func (w pageWorld) run(t *testing.T, number int, file string, want sample) {
	t.Helper()
	name := "page-" + string(rune('a'+number/26)) + string(rune('a'+number%26))
	repo := w.NewRepository(name)
	repo.Write(".cloudbuild/build.yml", file)
	for file, content := range want.files {
		repo.Write(file, content)
		if err := os.Chmod(filepath.Join(repo.Dir, file), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	repo.Commit("init")
	job := create(t, w.client, fromFile(w.Server, name, repo.URL()))
	body := &model.RunJobRequestBody{JobId: job, Parameter: &[]model.ParameterItem{}}
	for _, params := range []map[string]string{w.params, want.params} {
		for name, value := range params {
			*body.Parameter = append(*body.Parameter, model.ParameterItem{Name: name, Value: value})
		}
	}
	r := await(t, w.client, job, run(t, w.client, body))
	log := timestamp.ReplaceAllString(fullLog(w.Server, *r.BuildRecordId), "")
	if want.status == "" {
		want.status = "SUCCESS"
	}
	if *r.Status != want.status {
		t.Fatalf("it ended in %s, want %s:\n%s", *r.Status, want.status, log)
	}
	if strings.Contains(log, "a parameter that is not defined") {
		t.Errorf("a parameter is missing:\n%s", log)
	}
	for _, text := range want.says {
		if !strings.Contains(log, text) {
			t.Errorf("the log does not say %q:\n%s", text, log)
		}
	}
	if len(want.outputs) == 0 {
		return
	}
	made := w.Call(w.Developer, http.MethodGet, "/v3/jobs/"+job+"/1/output-info", "").Body
	for _, name := range want.outputs {
		if !strings.Contains(made, name+`"`) {
			t.Errorf("%s is not among what it made: %s", name, made)
		}
	}
}
