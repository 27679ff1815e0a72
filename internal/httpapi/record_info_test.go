package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// pageFields are the fields of the reference page's table, in its order.
const pageFields = `id buildProjectId buildRecordId parentRecordId devcloudProjectId codeciJobId userId buildNo dailyBuildNum executionId repoName repoId
	branch tag commit commitMessage commitCreateTime triggerType buildType status domainId createTime scheduleTime queuedTime startTime runnableTime
	finishTime duration recordStatus usePrivateSlave region errMsg buildConfigType`

// TestSpellings checks that the two spellings have the fields of the page in its order, and differ in nothing but the spelling.
func TestSpellings(t *testing.T) {
	t.Parallel()
	snake := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			if r >= 'A' && r <= 'Z' {
				b.WriteByte('_')
				r += 'a' - 'A'
			}
			b.WriteRune(r)
		}
		return b.String()
	}
	page, sdk := keysOf(reflect.TypeFor[recordInfoPage]()), keysOf(reflect.TypeFor[recordInfo]())
	want := strings.Fields(pageFields)
	if diff := cmp.Diff(want, page); diff != "" {
		t.Errorf("page, -want +got:\n%s", diff)
	}
	for i := range want {
		want[i] = snake(want[i])
	}
	if diff := cmp.Diff(want, sdk); diff != "" {
		t.Errorf("SDK, -want +got:\n%s", diff)
	}
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		keys = append(keys, t.Field(i).Tag.Get("json"))
	}
	return keys
}

// TestRecordInfoWithoutValues checks that a field without a value is there, and null.
func TestRecordInfoWithoutValues(t *testing.T) {
	t.Parallel()
	body, err := encode(presentRecordInfo(build.Record{State: build.Queued}, time.Now(), true))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"id":"","build_project_id":"","build_record_id":"","parent_record_id":null,"devcloud_project_id":"","codeci_job_id":"","user_id":"","build_no":0,` +
		`"daily_build_num":"","execution_id":"","repo_name":null,"repo_id":null,"branch":null,"tag":null,"commit":null,"commit_message":null,"commit_create_time":null,` +
		`"trigger_type":"","build_type":"","status":"QUEUED","domain_id":"","create_time":null,"schedule_time":null,"queued_time":null,"start_time":null,` +
		`"runnable_time":null,"finish_time":null,"duration":0.0,"record_status":null,"use_private_slave":0,"region":"","err_msg":null,"build_config_type":""}`
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestRecordInfoValues checks the values that are made of others.
func TestRecordInfoValues(t *testing.T) {
	t.Parallel()
	start := time.Date(2022, 9, 9, 14, 31, 51, 123_900_000, time.FixedZone("", 8*3600))
	record := build.Record{
		State: build.Failed, RefKind: build.ByTag, Tag: "v1 <&>", PrivatePool: true, Repo: build.Repo{ID: "568398"},
		StartedAt: start, FinishedAt: start.Add(52*time.Second + 261*time.Millisecond), Error: "it's \"bad\"",
	}
	for _, test := range []struct {
		float bool
		want  string
	}{{true, "52261.0"}, {false, "52261"}} {
		body, err := encode(presentRecordInfo(record, time.Now(), test.float))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`"duration":` + test.want + `,`, `"start_time":"2022-09-09T06:31:51.123+00:00"`, `"tag":"v1 <&>"`, `"repo_id":"568398"`,
			`"use_private_slave":1`, `"status":"FAILURE"`, `"err_msg":"it's \"bad\""`,
		} {
			if !strings.Contains(string(body), want) {
				t.Errorf("no %s in %s", want, body)
			}
		}
	}
	long, err := encode(presentRecordInfo(build.Record{StartedAt: start, FinishedAt: start.AddDate(1, 0, 0)}, time.Now(), false))
	if err != nil || !strings.Contains(string(long), `"duration":2147483647,`) {
		t.Errorf("a year is %s, %v", long, err)
	}
}

// TestVocabularies checks every state in the words of each part of the API.
func TestVocabularies(t *testing.T) {
	t.Parallel()
	type words struct {
		record  string
		code    int
		running string
		result  text
	}
	want := map[build.State]words{
		build.Queued:        {"QUEUED", 1, "InQueue", ""},
		build.Scheduled:     {"QUEUED", 1, "InQueue", ""},
		build.Running:       {"RUNNING", 4, "Running", ""},
		build.Succeeded:     {"SUCCESS", 5, "Finished", "SUCCESS"},
		build.Failed:        {"FAILURE", 6, "Finished", "FAILURE"},
		build.Unschedulable: {"SCHEDULE_FAILURE", 7, "Finished", "FAILURE"},
		build.Aborted:       {"ABORTED", 8, "Finished", "ABORTED"},
		build.TimedOut:      {"TIMEOUT", 9, "Finished", "ABORTED"},
	}
	for state, w := range want {
		record, code := recordStatus(state)
		if got := (words{record, code, runningStatus(state), historyResult(state)}); got != w {
			t.Errorf("%s is %+v, want %+v", state, got, w)
		}
	}
}

// TestTriggerWords checks in which language people read what started a build.
func TestTriggerWords(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		header, value string
		want          string
	}{
		{"X-Language", "", "Scheduled"},
		{"X-Language", "zh-cn", "定时触发"},
		{"X-Language", "en-us", "Scheduled"},
		{"Accept-Language", "zh-CN,zh;q=0.9,en;q=0.8", "定时触发"},
		{"Accept-Language", "en-US,en;q=0.9,zh;q=0.8", "Scheduled"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set(test.header, test.value)
		if got := triggerWord(r, build.Timed); got != test.want {
			t.Errorf("%s: %s gives %q", test.header, test.value, got)
		}
	}
	both := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	both.Header.Set("X-Language", "en-us")
	both.Header.Set("Accept-Language", "zh-CN")
	for trigger, want := range map[build.Trigger]string{build.Manual: "Manual", build.Timed: "Scheduled", build.CodeChange: "Code change", build.Pipeline: "Pipeline"} {
		if got := triggerWord(both, trigger); got != want {
			t.Errorf("%s is %q", trigger, got)
		}
	}
}

// TestFinishedRecords checks that what is kept is bounded, forgotten when the epoch moves on, and shown only to who may see it.
func TestFinishedRecords(t *testing.T) {
	t.Parallel()
	epoch := int64(1)
	var refusal, broken error
	f := finishedRecords{
		epoch: func(context.Context) (int64, error) { return epoch, broken },
		check: func(context.Context, build.Actor, build.JobRef, build.Right) error { return refusal },
	}
	get := func(n int) string {
		t.Helper()
		body, err := f.info(t.Context(), recordKey{number: n}, build.Actor{})
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	put := func(n int, body string, at int64) {
		f.put(recordKey{number: n}, finishedRecord{body: []byte(body)}, at)
	}

	put(1, "one", 1)
	if got := get(1); got != "one" {
		t.Errorf("kept %q", got)
	}
	refusal = fault.New(fault.NotFound, "task does not exist")
	if _, err := f.info(t.Context(), recordKey{number: 1}, build.Actor{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("who may not see it got %v", err)
	}
	refusal = nil
	broken = errors.New("database away")
	if _, err := f.info(t.Context(), recordKey{number: 1}, build.Actor{}); !errors.Is(err, broken) {
		t.Errorf("without the database: %v", err)
	}
	broken = nil

	for n := 2; n < 2+maxFinished; n++ {
		put(n, "x", 1)
	}
	if get(1) != "one" { // which also makes it young again
		t.Error("the old generation was lost")
	}
	for n := range maxFinished - 1 { // the young generation becomes the old one again
		put(-1-n, "x", 1)
	}
	if get(1) != "one" {
		t.Error("what was asked for has gone with the others")
	}
	if n := len(f.young) + len(f.old); n > 2*maxFinished {
		t.Errorf("%d entries are kept", n)
	}

	epoch = 2
	if got := get(1); got != "" {
		t.Errorf("after a change got %q", got)
	}
	put(1, "of before", 1)
	put(2, "new", 2)
	put(1, "of before", 1)
	if got := get(1) + get(2); got != "new" {
		t.Errorf("after the change got %q", got)
	}
}

// TestTexts checks the small types that decide how a value is written.
func TestTexts(t *testing.T) {
	t.Parallel()
	at := time.Date(2022, 9, 9, 6, 31, 50, 7_000_000, time.UTC)
	for _, test := range []struct {
		value any
		want  string
	}{
		{text(""), "null"},
		{text("<a&b>"), `"<a&b>"`},
		{isoTime(time.Time{}), "null"},
		{isoTime(at), `"2022-09-09T06:31:50.007+00:00"`},
		{identityTime(at), `"2022-09-09T06:31:50.007000Z"`},
		{floatMillis(0), "0.0"},
		{epochMillis(time.Time{}), "null"},
		{epochMillis(at), "1662705110007"},
		{wrap(text("")), `{"result":null,"error":null,"status":"success"}`},
		{list([]int(nil), func(int) int { return 0 }), "[]"},
	} {
		body, err := encode(test.value)
		if err != nil || string(body) != test.want || !json.Valid(body) {
			t.Errorf("%#v is %s, %v, want %s", test.value, body, err, test.want)
		}
	}
}

func TestWithoutUser(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://example.org/a/b.git":        "https://example.org/a/b.git",
		"ssh://git@example.org:2222/a/b.git": "ssh://example.org:2222/a/b.git",
		"git@example.org:a/b.git":            "example.org:a/b.git",
		"file:///srv/a@b":                    "file:///srv/a@b",
		"":                                   "",
	} {
		if got := withoutUser(address); got != want {
			t.Errorf("%s is shown as %s", address, got)
		}
	}
}
