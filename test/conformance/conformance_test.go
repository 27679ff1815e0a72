// Package conformance_test walks the whole official SDK: every method of its client is called against a server with real builds in it,
// and every answer must have all that the SDK's models know.
package conformance_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/config"
	codeartsbuild "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"
)

// methods returns the client's methods that are operations: all but those that only prepare one.
func methods() []reflect.Method {
	var out []reflect.Method
	for client, i := reflect.TypeFor[*codeartsbuild.CodeArtsBuildClient](), 0; i < client.NumMethod(); i++ {
		if m := client.Method(i); m.Type.NumIn() == 2 && m.Type.NumOut() == 2 && !strings.HasSuffix(m.Name, "Invoker") {
			out = append(out, m)
		}
	}
	return out
}

// void are fields of the SDK's models for which answers have no value, or that they do not have, and why: by the operation and the path, or by the
// key alone. The error of a success is void too.
var void = map[string]string{
	"ShowUserOverPackageQuota result.used_quota":   "nothing is used up of an unlimited quota",
	"ShowUserChargeType result.charge_type":        "nobody pays",
	"ShowUserChargeType result.main_resource_list": "there are no packages",
	"ShowPackageSpecCountDown result":              "there are no packages",
	"package_type":                                 "there are no packages",
	"domain_malicious_docker_args":                 "the vendor's own",

	"ApplyProjectPermission result":       "documented so",
	"BatchUpdateJobRolePermission result": "documented so",
	"DeleteGroup result":                  "documented so",
	"DeleteKeystore result":               "documented so",
	"SwitchedPacket result":               "documented so",
	"UpdateKeystorePermission result":     "documented so",

	"i18n":             "names are in one language",
	"intl_description": "descriptions are in one language",
	"actions":          "templates have steps and nothing else",
	"image":            "templates have steps and nothing else",
	"image_source":     "templates have steps and nothing else",
	"record_status":    "undocumented",
	"log_status":       "undocumented",
	"language":         "undocumented, of a parameter",
	"region":           "undocumented, of a parameter",

	"ListEndPoints result.endpoints[].data":                      "undocumented",
	"ListEndPoints result.endpoints[].authorization.scheme":      "secret",
	"ListEndPoints result.endpoints[].authorization.parameters":  "secret",
	"ShowImageTemplateList result.image_templates[].create_time": "the catalogue does not say",
	"ShowOutputInfo result.image_infos":                          "there is no container engine; test/api has builds with images",

	"CreateJobGroup result[].update_user": "it was never changed",
	"CreateJobGroup result[].update_time": "it was never changed",
	"err_msg":                             "the build succeeded",
	"parent_record_id":                    "the build is no part of a flow",
	"ShowRecordInfo result.tag":           "a branch was built",
	"ShowRecordDetail result.tag":         "a branch was built",
	"ShowJobBuildRecordDetail result.tag": "a branch was built",
	"ListJob result.job_list[].tag":       "branches were built",

	"ListOfficialTemplate result.items[].nick_name":                             "nobody made it",
	"ListOfficialTemplate result.items[].template.steps[].enable":               "it is on",
	"ListOfficialTemplate result.items[].template.steps[].version":              "there is one only",
	"ListOfficialTemplate result.items[].parameters[].params[].limits":          "they take any text",
	"ListRecommendOfficialTemplate result.items[].template.steps[].enable":      "it is on",
	"ListRecommendOfficialTemplate result.items[].template.steps[].version":     "there is one only",
	"ListRecommendOfficialTemplate result.items[].parameters[].params[].limits": "they take any text",
	"ListRecommendOfficialTemplate result.items[].nick_name":                    "nobody made it",
	"ListRecommendOfficialTemplate result.items[].user_name":                    "nobody made it",
	"ListRecommendOfficialTemplate result.items[].user_id":                      "nobody made it",
	"ListRecommendOfficialTemplate result.items[].domain_id":                    "it is everybody's",
	"ListRecommendOfficialTemplate result.items[].domain_name":                  "it is everybody's",
	"ListRecommendOfficialTemplate result.items[].create_time":                  "nobody made it",
}

// TestConformance calls every operation of the SDK.
func TestConformance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	robot := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(robot.Close)
	recorder := newRecorder(t, w)
	client := reflect.ValueOf(recorder.client(t, w))
	document, recorded, explained := readOpenAPI(t, w.s), map[string]example{}, []string{}
	if n := len(methods()); n != 135 {
		t.Errorf("the SDK has %d operations; 135 were known", n)
	}
	for _, m := range methods() {
		t.Run(m.Name, func(t *testing.T) {
			w.t = t
			in := w.request(m.Name, m.Type.In(1).Elem(), robot.URL)
			out := client.MethodByName(m.Name).Call([]reflect.Value{in})
			if err, _ := out[1].Interface().(error); err != nil {
				t.Fatalf("%v\n%s", err, recorder.body)
			}
			document.check(t, recorder.request, recorder.sent, recorder.answer, recorder.body)
			recorded[m.Name] = example{Request: tidy(recorder.sent), Answer: tidy(recorder.body)}
			response := out[0].Elem()
			if status := response.FieldByName("HttpStatusCode").Int(); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
			body := response.FieldByName("Body")
			switch {
			case body.IsValid() && body.Type() == reflect.TypeFor[io.ReadCloser]():
				content, err := io.ReadAll(body.Interface().(io.ReadCloser))
				if err != nil || len(content) == 0 {
					t.Errorf("a file of %d bytes: %v", len(content), err)
				}
			case body.IsValid(): // a bare list
				explained = append(explained, checkFields(t, m.Name, body.Type(), recorder.body)...)
			default:
				explained = append(explained, checkFields(t, m.Name, response.Type(), recorder.body)...)
			}
		})
	}
	for entry := range void {
		if len(recorded) == len(methods()) && !slices.Contains(explained, entry) {
			t.Errorf("%s is said to have no value, and has one", entry)
		}
	}
	checkExamples(t, recorded)
}

// checkFields checks that JSON has every key that a type of the SDK decodes, in all objects at any depth, and a value for it in one of them. It
// returns those entries of the table above that explain what has none.
func checkFields(t *testing.T, operation string, model reflect.Type, text json.RawMessage) (explained []string) {
	t.Helper()
	f := findings{}
	f.read(t, "", model, text)
	for path, found := range f {
		entry := operation + " " + path
		if void[entry] == "" {
			entry = path[strings.LastIndex(path, ".")+1:]
		}
		switch {
		case path == "error" && found == noValue:
		case path == "error" || found != content && void[entry] == "":
			t.Errorf("%s: the answer has %s", path, found)
		case found != content:
			explained = append(explained, entry)
		}
	}
	return explained
}

// finding is what an answer has of a field. Of several the greatest counts, except that nowhere may the key be missing.
type finding string

const (
	noKey   finding = "an object without the key"
	noValue finding = "no value for it: null, or an empty list"
	content finding = "a value"
)

type findings map[string]finding

func (f findings) note(path string, found finding) {
	if before := f[path]; before == "" || found == noKey || before == noValue {
		f[path] = found
	}
}

func (f findings) read(t *testing.T, path string, model reflect.Type, text json.RawMessage) {
	t.Helper()
	path = strings.ReplaceAll(path, "[].children[]", "[]") // a tree
	for model.Kind() == reflect.Pointer {
		model = model.Elem()
	}
	switch string(text) {
	case "null", "[]", "{}":
		f.note(path, noValue)
		return
	}
	f.note(path, content)
	switch model.Kind() {
	case reflect.Slice:
		var items []json.RawMessage
		if err := json.Unmarshal(text, &items); err != nil {
			t.Errorf("%s is no list: %s", path, text)
		}
		for _, item := range items {
			f.read(t, path+"[]", model.Elem(), item)
		}
	case reflect.Map:
		var values map[string]json.RawMessage
		if err := json.Unmarshal(text, &values); err != nil {
			t.Errorf("%s is no map: %s", path, text)
		}
		for _, v := range values {
			f.read(t, path+"{}", model.Elem(), v)
		}
	case reflect.Struct:
		var object map[string]json.RawMessage
		if err := json.Unmarshal(text, &object); err != nil {
			t.Errorf("%s is no object: %s", path, text)
			return
		}
		for i := range model.NumField() {
			key, _, _ := strings.Cut(model.Field(i).Tag.Get("json"), ",")
			if key == "" || key == "-" {
				continue
			}
			at := strings.TrimPrefix(path+"."+key, ".")
			if inner, ok := object[key]; ok {
				f.read(t, at, model.Field(i).Type, inner)
			} else {
				f.note(at, noKey)
			}
		}
	}
}

// TestFindings looks for the fields of a type in answers that lack some of them.
func TestFindings(t *testing.T) {
	t.Parallel()
	type tree struct {
		Name     *string `json:"name"`
		Children *[]tree `json:"children"`
	}
	type answer struct {
		Status *string          `json:"status"`
		Total  *int32           `json:"total"`
		List   *[]tree          `json:"list"`
		Map    map[string]*tree `json:"map"`
	}
	got := findings{}
	got.read(t, "", reflect.TypeFor[answer](), json.RawMessage(`{"status":null,"list":[{"name":null,"children":null},{"name":"a","children":[{"children":[]}]}],"map":{"x":{"name":"b","children":[]}}}`))
	want := findings{
		"": content, "status": noValue, "total": noKey, "list": content, "list[]": content, "list[].name": noKey, "list[].children": content,
		"map": content, "map{}": content, "map{}.name": content, "map{}.children": noValue,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// recorder stands between the client and the server, and keeps the last request and its answer.
type recorder struct {
	*httptest.Server
	request *http.Request
	sent    []byte
	answer  *http.Response
	body    []byte
}

func newRecorder(t *testing.T, w *world) *recorder {
	t.Helper()
	target, err := url.Parse(w.s.URL())
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	r.Server = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host // which is signed
			sent, err := io.ReadAll(p.In.Body)
			if err != nil {
				t.Error(err)
			}
			r.sent, r.request = sent, p.In.Clone(t.Context())
			p.Out.Body = io.NopCloser(bytes.NewReader(sent))
		},
		ModifyResponse: func(answer *http.Response) error {
			body, err := io.ReadAll(answer.Body)
			r.body, r.answer, answer.Body = body, &http.Response{StatusCode: answer.StatusCode, Header: answer.Header}, io.NopCloser(bytes.NewReader(body))
			return err
		},
	})
	t.Cleanup(r.Close)
	return r
}

// client returns the official client, by way of the recorder.
func (r *recorder) client(t *testing.T, w *world) *codeartsbuild.CodeArtsBuildClient {
	t.Helper()
	key := w.s.Admin.Key
	auth, err := basic.NewCredentialsBuilder().WithAk(key.Access).WithSk(key.Secret).WithProjectId(w.s.RegionID).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	client, err := codeartsbuild.CodeArtsBuildClientBuilder().WithEndpoint(r.URL).WithCredential(auth).
		WithHttpConfig(config.DefaultHttpConfig().WithTimeout(time.Minute)).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	return codeartsbuild.NewCodeArtsBuildClient(client)
}

func disable(job string) *model.DisableBuildJobRequest {
	return &model.DisableBuildJobRequest{JobId: job}
}
