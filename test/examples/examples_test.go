// Package examples_test runs the vendor's example build files on a whole server: their repositories are real ones, which git reads
// by its own protocol as if they lay on the host that the files name.
package examples_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	codeartsbuild "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server"
	"atelier/internal/server/servertest"
	"atelier/internal/source/sourcetest"
)

// tools are all the programs that the steps find. An example that needs another one shows how its build ends without it.
var tools = []string{
	"bash", "sh", "git", "env", "cat", "mkdir", "rm", "cp", "mv", "chmod", "tar", "gzip", "find", "wc", "sha256sum", "echo", "ls", "sed", "grep", "cut", "date", "uname", "go",
}

// example says what becomes of an example.
type example struct {
	files   map[string]string // in its repository, beside the build files
	params  map[string]string // of its task
	status  string
	text    []string // in the log, or in the reason
	outputs []string // names of what it leaves behind
}

const goModule = "module example.org/service\n\ngo 1.21\n"

var examples = map[string]example{
	"01-shell-only": {status: "SUCCESS", text: []string{"of commit "}},
	"02-go": {
		files:  map[string]string{"go.mod": goModule, "main.go": "package main\n\nimport \"fmt\"\n\nvar version string\n\nfunc main() { fmt.Println(version) }\n"},
		status: "SUCCESS", text: []string{"go version go", "[no test files]"}, outputs: []string{"service"},
	},
	"03-npm":   {status: "FAILURE", text: []string{"npm: command not found", "The build goes on, as the step says.", `Step "Test and build" failed with exit code 127.`}},
	"04-maven": {status: "FAILURE", text: []string{"mvn: command not found"}},
	"06-gradle": {
		files:  map[string]string{"gradlew": "#!/bin/sh\nmkdir -p build/libs && echo \"$@\" > build/libs/billing.jar\n"},
		status: "SUCCESS", outputs: []string{"billing.jar"},
	},
	"07-python": {status: "FAILURE", text: []string{"python3: command not found"}},
	"08-parameters": {
		status: "SUCCESS", text: []string{"package: tool-beta\n", "flags:   []\n", "version: 1.10-beta.1\n", "default: fallback\n", "quoted:  beta\n"}, outputs: []string{"tool-beta.txt"},
	},
	"09-image":               {status: "FAILURE", text: []string{"this service has no container engine for images; whoever runs it sets --container-socket or --image-registries"}},
	"10-download-and-upload": {status: "SUCCESS", text: []string{"base/20240101.1/base.tar.gz"}, outputs: []string{"bundle.tar.gz", "bundle.tar.gz.sha256"}},
	"11-custom-pool-swr":     {status: "SCHEDULE_FAILURE", text: []string{`There is no executor pool called "lab-linux-docker".`}},
	"12-multi-task": {
		status: "SUCCESS", text: []string{"[Library] : The job succeeded", "[Frontend] : The job succeeded", "[Package] : The job succeeded"},
		outputs: []string{"library.txt", "frontend.txt", "product.tar.gz"},
	},
	"13-multi-task-conditional": {status: "SUCCESS", text: []string{"[Frontend] : The job succeeded"}, outputs: []string{"frontend.txt"}},
}

// parts are the examples that are no builds of their own.
var parts = map[string]bool{"12a-library": true, "12b-frontend": true, "12c-package": true}

func TestExamples(t *testing.T) {
	dir := os.Getenv("ATELIER_EXAMPLES")
	if dir == "" {
		t.Skip("ATELIER_EXAMPLES names no directory with build files")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	w := newWorld(t)
	w.uploadBase(t)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yml")
		if parts[name] {
			continue
		}
		t.Run(name, func(t *testing.T) {
			if name == "05-cmake-arm" && runtime.GOARCH == "amd64" {
				w.waits(t, dir, name)
				return
			}
			want, ok := examples[name]
			if !ok {
				t.Fatal("nobody has said what becomes of it")
			}
			w.run(t, dir, name, want)
		})
	}
}

// world is what the examples run in.
type world struct {
	*servertest.Server
	client *codeartsbuild.CodeArtsBuildClient
	root   string // of the repositories, as ssh finds them
	cache  string // of the Go compiler
}

// newWorld starts a server that has few tools.
func newWorld(t *testing.T, options ...func(*server.Config)) world {
	t.Helper()
	cache, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	t.Setenv("GIT_SSH_COMMAND", sshTo(t, root))
	t.Setenv("GIT_SSH_VARIANT", "ssh")
	t.Setenv("PATH", only(t, tools))
	options = append(options, func(c *server.Config) { c.BuildTimeout = 10 * time.Minute })
	s := servertest.Start(t, options...)
	return world{s, s.Client(s.Developer), root, strings.TrimSpace(string(cache))}
}

// run runs an example and checks what becomes of it.
func (w world) run(t *testing.T, dir, name string, want example) {
	job := w.task(t, dir, name, want)
	info := w.end(t, job)
	log := w.log(t, *info.BuildRecordId)
	told := log
	if info.ErrMsg != nil {
		told += *info.ErrMsg
	}
	if *info.Status != want.status {
		t.Fatalf("it ended in %s, want %s: %s", *info.Status, want.status, told)
	}
	for _, text := range want.text {
		if !strings.Contains(told, text) {
			t.Errorf("%q is not in\n%s", text, told)
		}
	}
	outputs, err := w.client.ShowOutputInfo(&model.ShowOutputInfoRequest{JobId: job, BuildNo: 1})
	if err != nil {
		t.Fatal(err)
	}
	made := fmt.Sprint(outputs.Result)
	for _, file := range want.outputs {
		if !strings.Contains(made, `"name":"`+file+`"`) {
			t.Errorf("%s is not among what it made: %s", file, made)
		}
	}
}

// waits starts an example that needs another machine, and checks that it says so.
func (w world) waits(t *testing.T, dir, name string) {
	job := w.task(t, dir, name, example{})
	w.start(t, job)
	deadline := time.Now().Add(time.Minute)
	for {
		info := w.info(t, job)
		a := w.Call(w.Developer, http.MethodGet, "/v1/record/"+*info.BuildRecordId+"/info", "")
		if strings.Contains(a.Body, "No executor offers the architecture ARM and the class 16U32G") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not say what it waits for: %s", a.Body)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if _, err := w.client.StopBuildJob(&model.StopBuildJobRequest{JobId: job, BuildNo: 1}); err != nil {
		t.Fatal(err)
	}
}

// task makes the repositories that an example names, and a task that builds it.
func (w world) task(t *testing.T, dir, name string, about example) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name+".yml"))
	if err != nil {
		t.Fatal(err)
	}
	url := "git@git.example.org:team/" + name + ".git"
	var others []string
	for _, word := range strings.Fields(string(data)) {
		if strings.HasPrefix(word, "git@git.example.org:") {
			others = append(others, word)
		}
	}
	if len(others) > 0 {
		url = others[0]
	}
	for _, other := range append(others, url) {
		w.repository(t, other)
	}
	repo := w.repository(t, url)
	repo.Write(".cloudbuild/build.yml", string(data))
	for part := range parts {
		data, err := os.ReadFile(filepath.Join(dir, part+".yml"))
		if err != nil {
			t.Fatal(err)
		}
		repo.Write(".cloudbuild/"+part+".yml", string(data))
	}
	for file, content := range about.files {
		repo.Write(file, content)
	}
	repo.Commit(name)
	return w.create(t, name, url, about.params)
}

func (w world) repository(t *testing.T, url string) *sourcetest.Repository {
	t.Helper()
	dir := filepath.Join(w.root, strings.TrimPrefix(url, "git@git.example.org:"))
	if _, err := os.Stat(dir); err == nil {
		return sourcetest.Open(t, dir)
	}
	repo := sourcetest.New(t, dir)
	repo.Write("README", "an example\n")
	repo.Commit("First")
	return repo
}

// create makes a YAML task.
func (w world) create(t *testing.T, name, url string, params map[string]string) string {
	t.Helper()
	parameters := []model.CreateBuildJobParameter{parameter("GOCACHE", w.cache)}
	for name, value := range params {
		parameters = append(parameters, parameter(name, value))
	}
	made, err := w.client.CreateNewJob(&model.CreateNewJobRequest{Body: &model.CreateBuildJobRequestBody{
		JobName: name, ProjectId: w.Project, Arch: servertest.Arch, BuildConfigType: new("YAML"), Steps: []model.CreateBuildJobSteps{},
		Scms:       &[]model.CreateBuildJobScm{{Url: url, ScmType: "codehub", Branch: new("main")}},
		Parameters: &parameters,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return *made.Result.JobId
}

// parameter is a parameter of a task.
func parameter(name, value string) model.CreateBuildJobParameter {
	return model.CreateBuildJobParameter{Name: new("hudson.model.StringParameterDefinition"), Params: &[]model.CreateBuildJobParameterParam{
		{Name: new("name"), Value: &name}, {Name: new("type"), Value: new("normalparam")}, {Name: new("defaultValue"), Value: &value},
	}}
}

// uploadBase leaves the package behind that one of the examples downloads.
func (w world) uploadBase(t *testing.T) {
	const url = "git@git.example.org:team/base.git"
	repo := w.repository(t, url)
	repo.Write(".cloudbuild/build.yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh: {inputs: {command: tar -czf base.tar.gz README}}\n"+
		"    - upload_artifact: {inputs: {path: base.tar.gz, version: base/20240101.1}}\n")
	repo.Commit("Base")
	if info := w.end(t, w.create(t, "base", url, nil)); *info.Status != "SUCCESS" {
		t.Fatal(info, w.log(t, *info.BuildRecordId))
	}
}

func (w world) start(t *testing.T, job string) {
	t.Helper()
	if _, err := w.client.RunJob(&model.RunJobRequest{Body: &model.RunJobRequestBody{JobId: job}}); err != nil {
		t.Fatal(err)
	}
}

// end runs a task's first build and waits until it is over.
func (w world) end(t *testing.T, job string) *model.RecordInfoResult {
	t.Helper()
	w.start(t, job)
	for {
		if info := w.info(t, job); *info.Status != "QUEUED" && *info.Status != "RUNNING" {
			return info
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (w world) info(t *testing.T, job string) *model.RecordInfoResult {
	t.Helper()
	answer, err := w.client.ShowRecordInfo(&model.ShowRecordInfoRequest{JobId: job, BuildNo: 1})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Result
}

func (w world) log(t *testing.T, record string) string {
	t.Helper()
	answer, err := w.client.DownloadBuildFullLog(&model.DownloadBuildFullLogRequest{RecordId: record})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sshTo returns a program that stands for ssh to any host: what it is to run there it runs here, in the root of the repositories.
func sshTo(t *testing.T, root string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ssh")
	script := "#!/bin/sh\nfor last; do :; done\ncd '" + root + "' && eval \"exec $last\"\n"
	if err := os.WriteFile(file, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// only returns a directory that has these programs and no others.
func only(t *testing.T, programs []string) string {
	t.Helper()
	dir := t.TempDir()
	for _, program := range programs {
		file, err := exec.LookPath(program)
		if err == nil {
			file, err = filepath.EvalSymlinks(file)
		}
		if err == nil {
			err = os.Symlink(file, filepath.Join(dir, program))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
