package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

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
		"too large":                   {request(large), longBody(maxBody)},
		"too large, not said before":  {unsized, longBody(maxBody)},
		"the client went away":        {cut, errCutBody},
		"none":                        {request(""), nil},
		"the most that can be needed": {request(`{"job_id": ""}`), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trackBody(httptest.NewRecorder(), test.r)
			body, release, err := (&bodies{}).read(test.r, bodyOwner{most: maxBody})
			defer release()
			if got, _ := errors.AsType[*apiError](err); !reflect.DeepEqual(got, test.want) {
				t.Errorf("error is %v, want %v", err, test.want)
			}
			if err == nil && int64(len(body)) != test.r.ContentLength {
				t.Errorf("read %d bytes of %d", len(body), test.r.ContentLength)
			}
		})
	}
}

// TestLargeBodies checks that strangers cannot fill the memory with bodies that they do not finish, nor keep others from sending
// theirs.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	var s bodies
	begin := func(owner bodyOwner, age time.Duration) (*requestBody, error) {
		b := &requestBody{ReadCloser: http.NoBody, owner: owner, began: time.Now().Add(-age), control: http.NewResponseController(httptest.NewRecorder())}
		b.count.Store(smallBody)
		return b, s.take(b)
	}
	stranger := func(i int) bodyOwner { return bodyOwner{name: fmt.Sprint("stranger", i), most: maxBody} }
	var first *requestBody
	for i := range unprovenLarge {
		b, err := begin(stranger(i/4), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = b
			b.began = b.began.Add(-time.Minute) // so it is the slowest
		}
	}
	if _, err := begin(stranger(99), 0); err != nil || !first.evicted.Load() || len(s.large) != unprovenLarge {
		t.Errorf("one stranger more: %v, %d large ones", err, len(s.large))
	}
	caller := bodyOwner{name: "caller", proven: true, most: maxBody}
	for i := range largePerOwner {
		if _, err := begin(caller, 0); err != nil {
			t.Errorf("body %d of a caller beside those of strangers: %v", i, err)
		}
	}
	if _, err := begin(caller, 0); !errors.Is(err, errManyBodies) {
		t.Errorf("one more of a caller whose others have only begun: %v", err)
	}
	if _, err := begin(bodyOwner{name: "other", proven: true, most: maxBody}, 0); err != nil || len(s.large) != largeBodies {
		t.Errorf("another caller: %v, %d large ones", err, len(s.large))
	}
}

// TestEvictedBody checks that the reader of a body that has to go finds out at once.
func TestEvictedBody(t *testing.T) {
	t.Parallel()
	server, client := net.Pipe()
	defer client.Close()
	l := &oneListener{conn: server, done: make(chan struct{})}
	outcome := make(chan error, 1)
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		trackBody(w, r)
		b := unread(r)
		go b.evict()
		_, err := io.ReadAll(b)
		outcome <- err
	})}
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	if _, err := io.WriteString(client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx"); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, client) }()
	if err := <-outcome; !errors.Is(err, errManyBodies) {
		t.Errorf("the reader of an evicted body got %v", err)
	}
}

// oneListener accepts one connection.
type oneListener struct {
	conn net.Conn
	done chan struct{}
}

func (l *oneListener) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *oneListener) Close() error   { close(l.done); return nil }
func (l *oneListener) Addr() net.Addr { return &net.IPAddr{} }
