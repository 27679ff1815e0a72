// Package api_test checks the HTTP surface as its clients meet it: the official SDK and bare requests against a whole server that
// runs real builds of real repositories.
package api_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	codeartsbuild "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"
	iamsdk "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3"

	"atelier/internal/iam/signature"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

var update = flag.Bool("update", false, "write the golden files")

// TestMain fails when all tests ran and an operation that the server has was never answered to the official clients, or never refused
// something that its document says it refuses; what all operations refuse is left to the conformance suite.
func TestMain(m *testing.M) {
	code := m.Run()
	if only := flag.Lookup("test.run").Value.String(); code == 0 && only == "" && flag.Lookup("test.skip").Value.String() == "" {
		for _, id := range unanswered() {
			fmt.Fprintf(os.Stderr, "no test called %s with success\n", id)
			code = 1
		}
		for _, missing := range servertest.Unprovoked() {
			if operation, failure, _ := strings.Cut(missing, " "); slices.Contains(servertest.SpecificCodes, failure) {
				fmt.Fprintf(os.Stderr, "no test provoked what the document has for %s: %s\n", operation, failure)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// operation is a row of the server's table of operations.
type operation struct{ id, method, path string }

// operations returns the table, which a test of httpapi keeps the golden file equal to.
func operations() []operation {
	file, err := os.Open("../../internal/httpapi/testdata/operations.txt")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	var out []operation
	for s := bufio.NewScanner(file); s.Scan(); {
		words := strings.Fields(s.Text())
		out = append(out, operation{words[0], words[1], words[2]})
	}
	return out
}

// answered holds the names of the clients' methods that were called with success.
var answered sync.Map

func unanswered() []string {
	var ids []string
	for _, o := range operations() {
		_, done := answered.Load(o.id)
		for _, client := range []reflect.Type{reflect.TypeFor[*codeartsbuild.CodeArtsBuildClient](), reflect.TypeFor[*iamsdk.IamClient]()} {
			if _, inSDK := client.MethodByName(o.id); inSDK && !done {
				ids = append(ids, o.id)
			}
		}
	}
	return ids
}

// ok calls a method of the official client, which must succeed.
func ok[Request, Response any](t *testing.T, method func(Request) (Response, error), request Request) Response {
	t.Helper()
	response, err := method(request)
	if err != nil {
		t.Fatalf("%s: %v", nameOf(method), err)
	}
	answered.Store(nameOf(method), true)
	return response
}

// nameOf returns the name of a method value.
func nameOf(method any) string {
	name := runtime.FuncForPC(reflect.ValueOf(method).Pointer()).Name()
	return strings.TrimSuffix(name[strings.LastIndex(name, ".")+1:], "-fm")
}

// refused calls a method of the official client, which must fail with a status, a code, and a message that contains the words.
func refused[Request, Response any](t *testing.T, method func(Request) (Response, error), request Request, status int, code string, words ...string) {
	t.Helper()
	_, err := method(request)
	var e *sdkerr.ServiceResponseError
	if !errors.As(err, &e) {
		t.Errorf("%s: want %d %s, got %v", nameOf(method), status, code, err)
		return
	}
	if e.StatusCode != status || e.ErrorCode != code || len(e.RequestId) != 32 {
		t.Errorf("%s: want %d %s and a request id, got %v", nameOf(method), status, code, e)
	}
	for _, word := range words {
		if !strings.Contains(e.ErrorMessage, word) {
			t.Errorf("%s: the message %q does not say %q", nameOf(method), e.ErrorMessage, word)
		}
	}
}

// awaitThat asks for a build until it is as wanted.
func awaitThat(t *testing.T, c *codeartsbuild.CodeArtsBuildClient, job string, number int, wanted func(model.RecordInfoResult) bool) model.RecordInfoResult {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for patience := time.After(5 * time.Minute); ; {
		record := *ok(t, c.ShowRecordInfo, &model.ShowRecordInfoRequest{JobId: job, BuildNo: int32(number)}).Result
		if wanted(record) {
			return record
		}
		select {
		case <-tick.C:
		case <-patience:
			t.Fatalf("build %d is still %s", number, *record.Status)
		}
	}
}

// await waits until a build is over, and returns its record.
func await(t *testing.T, c *codeartsbuild.CodeArtsBuildClient, job string, number int) model.RecordInfoResult {
	t.Helper()
	return awaitThat(t, c, job, number, func(r model.RecordInfoResult) bool { return r.FinishTime != nil })
}

// awaitStatus waits until a build has a status.
func awaitStatus(t *testing.T, c *codeartsbuild.CodeArtsBuildClient, job string, number int, status string) model.RecordInfoResult {
	t.Helper()
	return awaitThat(t, c, job, number, func(r model.RecordInfoResult) bool { return *r.Status == status })
}

// run starts a build and returns its number.
func run(t *testing.T, c *codeartsbuild.CodeArtsBuildClient, body *model.RunJobRequestBody) int {
	t.Helper()
	number, err := strconv.Atoi(*ok(t, c.RunJob, &model.RunJobRequest{Body: body}).ActualBuildNumber)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// shell is the configuration of an ACTION task with one step and no repository.
func shell(s *servertest.Server, name, command string) *model.CreateBuildJobRequestBody {
	return &model.CreateBuildJobRequestBody{
		Arch: servertest.Arch, ProjectId: s.Project, JobName: name,
		Steps: []model.CreateBuildJobSteps{{
			ModuleId: "devcloud2018.codeci_action_20017.action", Name: "Run", Properties: map[string]any{"command": command},
		}},
	}
}

// fromFile is the configuration of a YAML task.
func fromFile(s *servertest.Server, name, url string) *model.CreateBuildJobRequestBody {
	return &model.CreateBuildJobRequestBody{
		Arch: servertest.Arch, ProjectId: s.Project, JobName: name, BuildConfigType: new("YAML"), Steps: []model.CreateBuildJobSteps{},
		Scms: &[]model.CreateBuildJobScm{{Url: url, ScmType: "default", Branch: new("main")}},
	}
}

// create creates a task and returns its id.
func create(t *testing.T, c *codeartsbuild.CodeArtsBuildClient, body *model.CreateBuildJobRequestBody) string {
	t.Helper()
	return *ok(t, c.CreateNewJob, &model.CreateNewJobRequest{Body: body}).Result.JobId
}

// parameter is a parameter of a task; more are further properties of it in pairs.
func parameter(name, value string, more ...string) model.CreateBuildJobParameter {
	params := []model.CreateBuildJobParameterParam{{Name: new("name"), Value: &name}, {Name: new("type"), Value: new("normalparam")}, {Name: new("defaultValue"), Value: &value}}
	for i := 0; i < len(more); i += 2 {
		params = append(params, model.CreateBuildJobParameterParam{Name: &more[i], Value: &more[i+1]})
	}
	return model.CreateBuildJobParameter{Name: new("hudson.model.StringParameterDefinition"), Params: &params}
}

// decoded returns a body as a value of any kind.
func decoded[T any](t *testing.T, body string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return v
}

// problem is the body of an error.
type problem struct {
	Code      string `json:"error_code"`
	Message   string `json:"error_msg"`
	RequestID string `json:"request_id"`
}

// checkProblem checks an error in the form that all operations but those of the identity service have. Messages must contain the words.
func checkProblem(t *testing.T, s *servertest.Server, a servertest.Answer, status int, code string, words ...string) {
	t.Helper()
	p := decoded[problem](t, a.Body)
	keys := slices.Sorted(maps.Keys(decoded[map[string]any](t, a.Body)))
	if !slices.Equal(keys, []string{"error_code", "error_msg", "request_id"}) {
		t.Errorf("the error has the keys %v", keys)
	}
	if a.Status != status || p.Code != code || p.Message == "" {
		t.Errorf("want %d %s, got %d %s", status, code, a.Status, a.Body)
	}
	if id := a.Header.Get("X-Request-Id"); len(id) != 32 || id != p.RequestID {
		t.Errorf("request id %q in the header, %q in the body", id, p.RequestID)
	}
	if kind := a.Header.Get("Content-Type"); kind != "application/json;charset=UTF-8" {
		t.Errorf("Content-Type is %q", kind)
	}
	for _, word := range words {
		if !strings.Contains(p.Message, word) {
			t.Errorf("the message %q does not say %q", p.Message, word)
		}
	}
	checkNoLeak(t, s, a.Body)
}

var inside = regexp.MustCompile(`(?i:\bselect\b|\binsert into\b|sqlite|json:|goroutine|atelier/|httpapi|\.go\b|runtime error|unmarshal)|\b(build|store|iam|fault)\.[A-Z]`)

// checkNoLeak checks that a text for clients shows nothing of the server's inside.
func checkNoLeak(t *testing.T, s *servertest.Server, text string) {
	t.Helper()
	if found := inside.FindString(text); found != "" {
		t.Errorf("%q shows %q", text, found)
	}
	for _, secret := range []string{s.Config.DataDir, path.Dir(s.Config.DataDir), servertest.Password, s.Developer.Key.Secret} {
		if strings.Contains(text, secret) {
			t.Errorf("%q shows %q", text, secret)
		}
	}
}

// oneSlot lets the server run one build at a time.
func oneSlot(c *server.Config) { c.Slots = 1 }

// signed signs a request without a body with the developer's key.
func signed(s *servertest.Server, r *http.Request) *http.Request {
	signature.Sign(r, nil, s.Developer.Key, time.Now())
	return r
}
