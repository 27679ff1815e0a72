package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
)

// every is a body with a field of each shape that the operations have.
type every struct {
	Text      string              `json:"text"`
	Number    int64               `json:"number"`
	Small     int32               `json:"small"`
	List      []string            `json:"list"`
	Inner     struct{ A refBody } `json:"inner"`
	Optional  *refBody            `json:"optional"`
	LooseText looseText           `json:"loose_text"`
	LooseBool looseBool           `json:"loose_bool"`
	Given     *looseBool          `json:"given"`
	Job       jobBody             `json:"job"`
	Run       runBody             `json:"run"`
	Token     tokenBody           `json:"token"`
}

func TestDecodeBodyRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, body, message string }{
		{"nothing", "", "body: is empty, JSON is expected"},
		{"blanks", " \n", "body: is empty, JSON is expected"},
		{"no JSON", "job_id=1", "body: is not JSON (near byte 0)"},
		{"a cut one", `{"text": "a`, "body: is not JSON (near byte 9)"},
		{"two values", `{} {}`, "body: goes on after the JSON value (at byte 4)"},
		{"not UTF-8", "{\"text\": \"\xff\"}", "body: is not UTF-8"},
		{"a list", `[]`, "body: must be an object, found array"},
		{"too deep", strings.Repeat("[", 65) + strings.Repeat("]", 65), "body: is nested more than 64 levels deep"},
		{"a key twice", `{"text": "a", "text": "b"}`, `body: has the key "text" twice in one object (near byte 20)`},
		{"a key twice inside", `{"job": {"steps": [{"name": "a", "name": "b"}]}}`, `body: has the key "name" twice in one object`},
		{"number for a text", `{"text": 1}`, "text: must be a text, found number"},
		{"text for a number", `{"number": "1"}`, "number: must be a number, found string"},
		{"fraction", `{"number": 1.5}`, "number: must be a number, found number 1.5"},
		{"too large", `{"small": 4294967296}`, "small: must be a number, found number 4294967296"},
		{"a number of any length", `{"small": ` + strings.Repeat("9", 5000) + `}`, "small: must be a number, found number " + strings.Repeat("9", 53) + "…"},
		{"text for a list", `{"list": "a"}`, "list: must be a list, found string"},
		{"object for a text", `{"loose_text": {"a": 1}}`, "loose_text: must be a text, found object"},
		{"list for a text", `{"run": {"scm": {"branch": []}}}`, "run.scm.branch: must be a text, found array"},
		{"word for a boolean", `{"loose_bool": "perhaps"}`, `loose_bool: must be true or false, found "perhaps"`},
		{"long word for a boolean", `{"loose_bool": "` + strings.Repeat("a", 5000) + `"}`, `loose_bool: must be true or false, found "` + strings.Repeat("a", 59) + "…"},
		{"deep inside", `{"job": {"steps": [{"enable": true}, {"enable": 2}]}}`, "job.steps.enable: must be true or false, found 2"},
		{"properties that are none", `{"job": {"steps": [{"properties": []}]}}`, "job.steps.properties: must be an object, found array"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := decodeBody([]byte(test.body), new(every))
			e, ok := errors.AsType[*apiError](err)
			if !ok || e.Status != http.StatusBadRequest || e.Code != codeInvalid {
				t.Fatalf("error is %v", err)
			}
			if !strings.HasPrefix(e.Message, test.message) || len(e.Message) > len(test.message)+30 {
				t.Errorf("message is %q, want %q", e.Message, test.message)
			}
		})
	}
}

func TestDecodeBodyIsLenient(t *testing.T) {
	t.Parallel()
	var got every
	err := decodeBody([]byte(` {
		"unknown": {"keys": ["are", "ignored"]}, "text": "a", "number": -1, "inner": {"A": {"id": "b"}}, "optional": null,
		"loose_text": 1e3, "loose_bool": "TRUE", "given": null, "list": null,
		"job": {"auto_update_sub_module": true, "steps": [{"version": 1.10, "enable": "false", "properties": {"n": 12345678901234567890.10}}]}
	} `), &got)
	if err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	want := every{Text: "a", Number: -1, LooseText: "1e3", LooseBool: looseBool{&yes}}
	want.Inner.A.ID = "b"
	want.Job.AutoUpdateSubMod = "true"
	want.Job.Steps = []stepBody{{Version: "1.10", Enable: looseBool{&no}, Properties: properties{"n": json.Number("12345678901234567890.10")}}}
	want.Job.given = map[string]bool{"auto_update_sub_module": true, "steps": true}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(looseBool{}, jobBody{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestUpdateKeeps checks what an update does with keys that official clients cannot send, and with those that they leave out.
func TestUpdateKeeps(t *testing.T) {
	t.Parallel()
	yes := true
	before := build.Config{
		Name: "old", GroupID: "g", BuildOnPush: &yes, Timeout: &build.Timeout{Limit: "1", Unit: "hour"},
		Triggers: []build.TriggerConfig{{Name: "timer"}}, Parameters: []build.Parameter{{Definition: "p"}}, Flavor: "2U8G",
	}
	for name, test := range map[string]struct {
		body string
		want build.Config
	}{
		"left out": {`{"job_name": "new"}`, build.Config{Name: "new", GroupID: "g", BuildOnPush: &yes, Timeout: before.Timeout, Triggers: before.Triggers}},
		"null":     {`{"group_id": null, "build_if_code_updated": null, "triggers": null, "timeout": null}`, build.Config{}},
		"empty":    {`{"group_id": "", "triggers": [], "timeout": {}}`, build.Config{BuildOnPush: &yes}},
		"given": {
			`{"group_id": "h", "build_if_code_updated": "true", "triggers": [{"name": "other"}], "timeout": {"limit": 5, "unit": "minute"}}`,
			build.Config{GroupID: "h", BuildOnPush: &yes, Timeout: &build.Timeout{Limit: "5", Unit: "minute"}, Triggers: []build.TriggerConfig{{Name: "other"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var body jobBody
			if err := decodeBody([]byte(test.body), &body); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, body.config(before)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestReadBody(t *testing.T) {
	t.Parallel()
	large := strings.Repeat(" ", maxBody+1)
	request := func(body string) *http.Request {
		return httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
	}
	unsized := request(large)
	unsized.ContentLength = -1
	cut := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", iotest.ErrReader(errors.New("connection reset")))
	for name, test := range map[string]struct {
		r    *http.Request
		want *apiError
	}{
		"as large as it may be":       {request(large[1:]), nil},
		"too large":                   {request(large), errLongBody},
		"too large, not said before":  {unsized, errLongBody},
		"the client went away":        {cut, errCutBody},
		"none":                        {request(""), nil},
		"the most that can be needed": {request(`{"job_id": ""}`), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, release, err := newBodies().read(httptest.NewRecorder(), test.r)
			defer release()
			if got, _ := errors.AsType[*apiError](err); got != test.want {
				t.Errorf("error is %v, want %v", err, test.want)
			}
			if err == nil && int64(len(body)) != test.r.ContentLength {
				t.Errorf("read %d bytes of %d", len(body), test.r.ContentLength)
			}
		})
	}
}

// TestLargeBodies checks that strangers cannot fill the memory with bodies that they do not finish, nor keep others from sending small ones.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	b := newBodies()
	read := func(body io.Reader) (func(), error) {
		_, release, err := b.read(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body))
		return release, err
	}
	large := strings.Repeat(" ", smallBody+1)
	var held []func()
	for range largeBodies {
		release, err := read(strings.NewReader(large))
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, release)
	}
	if _, err := read(strings.NewReader(large)); !errors.Is(err, errManyBodies) {
		t.Errorf("one more: %v", err)
	}
	if release, err := read(strings.NewReader(large[2:])); err != nil {
		t.Errorf("a small one: %v", err)
	} else {
		release()
	}
	held[0]()
	release, err := read(strings.NewReader(large))
	if err != nil {
		t.Errorf("when one is done: %v", err)
	}
	release()
}
