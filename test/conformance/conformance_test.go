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
	"strings"
	"testing"
	"time"

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

// absent are fields of the SDK's models that an answer does not have, and why.
var absent = map[string]string{
	"ShowUserOverPackageQuota result.used_quota": "nothing is used up of an unlimited quota",
}

// TestConformance calls every operation of the SDK.
func TestConformance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	robot := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(robot.Close)
	recorder := newRecorder(t, w)
	client := reflect.ValueOf(recorder.client(t, w))
	document, recorded := readOpenAPI(t, w.s), map[string]example{}
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
				checkFields(t, m.Name, "", body.Type(), recorder.body)
			default:
				checkFields(t, m.Name, "", response.Type(), recorder.body)
			}
		})
	}
	checkExamples(t, recorded)
}

// checkFields checks that JSON has every key that a type of the SDK decodes, in objects at any depth; of lists the first element is looked at.
func checkFields(t *testing.T, operation, path string, model reflect.Type, text json.RawMessage) {
	t.Helper()
	for model.Kind() == reflect.Pointer {
		model = model.Elem()
	}
	if string(text) == "null" {
		return
	}
	switch model.Kind() {
	case reflect.Slice:
		var items []json.RawMessage
		if err := json.Unmarshal(text, &items); err != nil {
			t.Errorf("%s is no list: %s", path, text)
		}
		if len(items) > 0 {
			checkFields(t, operation, path+"[]", model.Elem(), items[0])
		}
	case reflect.Map:
		var values map[string]json.RawMessage
		if err := json.Unmarshal(text, &values); err != nil {
			t.Errorf("%s is no map: %s", path, text)
		}
		for _, v := range values {
			checkFields(t, operation, path+"{}", model.Elem(), v)
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
			value, ok := object[key]
			if _, known := absent[operation+" "+at]; !ok && !known {
				t.Errorf("the answer has no %s", at)
			} else if ok {
				checkFields(t, operation, at, model.Field(i).Type, value)
			}
		}
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
