package httpapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type sample struct {
	JobID   jobID          `path:"job_id"`
	Project projectID      `query:"project_id"`
	Record  recordID       `query:"record_id"`
	Build   buildProjectID `query:"build_project_id"`
	Number  buildNo        `query:"build_no"`
	Index   pageIndex      `query:"page_index"`
	Size    pageSize       `query:"page_size"`
	Page    page           `query:"page"`
	Offset  count          `query:"offset"`
	Lines   lines          `query:"size"`
	Days    days           `query:"interval"`
	Level   level          `query:"log_level"`
	Zip     flag           `query:"compress"`
	Words   []word         `query:"words"`
	Name    word           `query:"name" required:"true"`
}

const aJob = "cb5fa20de5fd4cf8be681d4bd6fdd2f6"

func decodeSample(job, query string) (sample, error) {
	var in sample
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.URL.RawQuery = query
	r.SetPathValue("job_id", job)
	err := newDecoder(reflect.TypeFor[sample]()).decode(r, nil, reflect.ValueOf(&in).Elem())
	return in, err
}

func TestParametersRefused(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("a", 1001)
	for _, test := range []struct{ job, query, code, message string }{
		{"", "", codeInvalidJobID, `job_id: must be 32 lower-case letters or digits, found ""`},
		{aJob[1:], "", codeInvalidJobID, `job_id: must be 32`},
		{aJob + "0", "", codeInvalidJobID, `job_id: must be 32`},
		{strings.ToUpper(aJob), "", codeInvalidJobID, `job_id: must be 32`},
		{aJob[1:] + "-", "", codeInvalidJobID, `job_id: must be 32`},
		{aJob[1:] + "\x00", "", codeInvalidJobID, `found "b5fa20de5fd4cf8be681d4bd6fdd2f6\x00"`},
		{strings.Repeat("ä", 16), "", codeInvalidJobID, `job_id: must be 32`},
		{aJob, "project_id=web", codeInvalidID, `project_id: must be 32 lower-case letters or digits, found "web"`},
		{aJob, "record_id=" + aJob, codeInvalidID, "record_id: must be 36 lower-case letters, digits or hyphens"},
		{aJob, "build_project_id=1", codeInvalidID, "build_project_id: must be 36"},
		{aJob, "build_no=0", codeInvalid, `build_no: must be a whole number from 1 to 2147483647, found "0"`},
		{aJob, "build_no=-1", codeInvalid, `found "-1"`},
		{aJob, "build_no=%2B1", codeInvalid, `found "+1"`},
		{aJob, "build_no=1e3", codeInvalid, `found "1e3"`},
		{aJob, "build_no=1.0", codeInvalid, `found "1.0"`},
		{aJob, "build_no=0x1", codeInvalid, `found "0x1"`},
		{aJob, "build_no=1_0", codeInvalid, `found "1_0"`},
		{aJob, "build_no=+1", codeInvalid, `found " 1"`},
		{aJob, "build_no=one", codeInvalid, `found "one"`},
		{aJob, "build_no=2147483648", codeInvalid, `found "2147483648"`},
		{aJob, "build_no=99999999999999999999999999", codeInvalid, "build_no: must be a whole number"},
		{aJob, "build_no=1&build_no=2", codeInvalid, "build_no: is given 2 times, once is allowed"},
		{aJob, "page_index=1000000000", codeInvalid, "page_index: must be a whole number from 0 to 999999999"},
		{aJob, "page_size=101", codeInvalid, "page_size: must be a whole number from 0 to 100"},
		{aJob, "page=0", codeInvalid, "page: must be a whole number from 1"},
		{aJob, "offset=-1", codeInvalid, "offset: must be a whole number from 0 to 2147483647"},
		{aJob, "size=0", codeInvalid, "size: must be a whole number from 1"},
		{aJob, "interval=31", codeInvalid, "interval: must be a whole number from 0 to 30"},
		{aJob, "log_level=TRACE", codeInvalid, `log_level: must be INFO or DEBUG, found "TRACE"`},
		{aJob, "compress=perhaps", codeInvalid, `compress: must be true or false, found "perhaps"`},
		{aJob, strings.Repeat("words=a&", 101), codeInvalid, "words: has 101 values, at most 100 are allowed"},
		{aJob, "words=a&words=" + longest, codeInvalid, "words: has 1001 characters, at most 1000 are allowed"},
		{aJob, "name=%00", codeInvalid, "name: must be UTF-8 text without zero bytes"},
		{aJob, "name=%ff", codeInvalid, "name: must be UTF-8 text"},
		{aJob, "name", codeInvalid, "name: is missing"},
		{aJob, "", codeInvalid, "name: is missing"},
		{aJob, "name=a;b", codeInvalid, "query: is not well escaped"},
		{aJob, "name=" + "&unknown=%", codeInvalid, "query: is not well escaped"},
	} {
		_, err := decodeSample(test.job, test.query)
		e, ok := errors.AsType[*apiError](err)
		if !ok || e.Status != http.StatusBadRequest || e.Code != test.code || !strings.Contains(e.Message, test.message) || len(e.Message) > 250 {
			t.Errorf("job %q, query %.50q: got %v, want %s %s", test.job, test.query, err, test.code, test.message)
		}
	}
}

func TestParametersTaken(t *testing.T) {
	t.Parallel()
	query := url.Values{
		"project_id": {aJob}, "record_id": {"48da14e2-6ee7-495b-9dc7-f14d4a344511"}, "build_project_id": {"6a310b95-62e3-48eb-a35b-474f5daa3ccc"},
		"build_no": {"2147483647"}, "page_index": {"999999999"}, "page_size": {"100"}, "page": {"1"}, "offset": {"0"}, "size": {"1000"},
		"interval": {"0"}, "log_level": {"debug"}, "compress": {"true"}, "words": {"a b", "c+d", ""}, "name": {"é"}, "unknown": {"x"},
	}
	got, err := decodeSample(aJob, query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	want := sample{
		JobID: aJob, Project: aJob, Record: "48da14e2-6ee7-495b-9dc7-f14d4a344511", Build: "6a310b95-62e3-48eb-a35b-474f5daa3ccc",
		Number: 2147483647, Index: 999999999, Size: 100, Page: 1, Lines: 1000, Days: days{0, true}, Level: level{true}, Zip: true,
		Words: []word{"a b", "c+d", ""}, Name: "é",
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(days{}, level{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	// What is not given, or empty, has the zero value, which stands for the default.
	if got, err = decodeSample(aJob, "name=x&build_no=&page_size&size="); err != nil || got.Number != 0 || got.Size.rows() != 10 || got.Lines != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestDecoderTags checks that a request struct that makes no sense stops the program at its start.
func TestDecoderTags(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]reflect.Type{
		"no place": reflect.TypeFor[struct{ A word }](),
		"two places": reflect.TypeFor[struct {
			A word `path:"a" query:"a"`
		}](),
		"not a parser": reflect.TypeFor[struct {
			A int `query:"a"`
		}](),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			newDecoder(in)
		})
	}
}
