package conformance_test

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/iam"
	"atelier/internal/server/servertest"
)

// twins has a line for each operation that the vendor calls outdated or retiring: its name, and that of the current one that does the same.
//
//go:embed testdata/twins.txt
var twins string

func readTwins() map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(twins) {
		if old, young, ok := strings.Cut(strings.TrimSpace(line), " "); ok && old != "#" {
			all[old] = young
		}
	}
	return all
}

// request is an operation's request: method, path and body, with words that stand for something of the world.
type request struct{ operation, line string }

func (r request) send(w *world, user servertest.User, fill *strings.Replacer) servertest.Answer {
	words := strings.SplitN(r.line, " ", 3)
	body := ""
	if len(words) == 3 {
		body = fill.Replace(words[2])
	}
	return w.s.Call(user, words[0], fill.Replace(words[1]), body)
}

// reading are pairs of operations that tell the same, and what of the answers it is: a path of keys, where [] goes through a list, "" for the whole
// text of a file.
var reading = []struct {
	old, young request
	parts      [][2]string
}{
	{
		request{"ShowRecordInfo", "GET /v3/jobs/$JOB/1/record-info"},
		request{"ShowJobBuildRecordDetail", "GET /v1/record/$JOB/1/record-info"},
		[][2]string{
			{"result.buildRecordId", "result.build_record_id"},
			{"result.commit", "result.commit"},
			{"result.finishTime", "result.finish_time"},
			{"result.duration", "result.duration"},
			{"result.status", "result.status"},
			{"result.userId", "result.user_id"},
		},
	},
	{
		request{"ShowRecordDetail", "GET /v4/jobs/$JOB/1/record-info"},
		request{"ShowJobBuildRecordDetail", "GET /v1/record/$JOB/1/record-info"},
		[][2]string{{"result", "result"}, {"status", "status"}, {"error", "error"}},
	},
	{
		request{"ShowFlowGraph", "GET /v3/$FLOW/flow-graph"},
		request{"ShowBuildRecordFlowGraph", "GET /v1/record/$FLOW/flow-graph"},
		[][2]string{{"result", "result"}},
	},
	{request{"DownloadLogByRecordId", "GET /v3/$RECORD/download-log"}, request{"DownloadBuildFullLog", "GET /v1/log/$RECORD/download-log"}, [][2]string{{"", ""}}},
	{request{"DownloadBuildLog", "GET /v4/$RECORD/download-log?log_level=DEBUG"}, request{"DownloadBuildFullLog", "GET /v1/log/$RECORD/download-log?log_level=DEBUG"}, [][2]string{{"", ""}}},
	{
		request{"DownloadRealTimeLog", "GET /v3/jobs/$JOB/1/real-time-log?offset=10&length=100000"},
		request{"DownloadBuildRealTimeLog", "GET /v1/log/$JOB/1/real-time-log?start_offset=10&end_offset=0&size=1000"},
		[][2]string{{"result.content", "result.log"}, {"result.offset", "result.end_offset"}, {"result.current_offset", "result.start_offset"}, {"result.has_more_data", "result.has_more"}},
	},
	{request{"ListJobConfig", "GET /v3/jobs/$JOB/query"}, request{"ShowJobConfig", "GET /v1/job/$JOB/config"}, [][2]string{{"result", "result"}}},
	{
		request{"ShowJobListByProjectId", "GET /v3/$PROJECT/jobs?page_index=0&page_size=100"},
		request{"ListProjectJobs", "GET /v1/job/$PROJECT/list?page_index=0&page_size=100"},
		[][2]string{{"jobs", "jobs"}, {"jobs[].id", "result.job_list[].id"}, {"total", "result.total"}},
	},
	{request{"ShowJobStatus", "GET /v3/jobs/$JOB/status"}, request{"ShowRunningStatus", "GET /v1/job/$JOB/running-status"}, [][2]string{{"result", "result.is_running"}}},
	{
		request{"ListBuildInfoRecord", "GET /v3/jobs/$JOB/build-info-records?start_time=$FROM&end_time=$TO"},
		request{"ListBuildInfoRecordByJobId", "GET /v1/record/$JOB/list?start_time=$FROM&end_time=$TO"},
		[][2]string{{"result", "result"}},
	},
	{
		request{"ShowListHistory", "GET /v3/jobs/$JOB/history?offset=0&limit=10&interval=7"},
		request{"ListRecords", "GET /v1/record/$BUILDS/records"},
		[][2]string{{"history_records[].build_number", "result.data[].build_no"}, {"history_records[].record_id", "result.data[].daily_build_no"}, {"history_records[].result", "result.data[].status"}, {"total", "result.pagination.total"}},
	},
	{
		request{"ShowListPeriodHistory", "GET /v3/jobs/$JOB/period-history?offset=0&limit=10&start_time=$DAY&end_time=$NEXT"},
		request{"ListRecords", "GET /v1/record/$BUILDS/records?from_date=$FROM"},
		[][2]string{{"history_records[].build_number", "result.data[].build_no"}, {"history_records[].commit_id", "result.data[].revision"}, {"history_records[].branch", "result.data[].branch"}, {"history_records[].executor", "result.data[].trigger_name"}},
	},
	{
		request{"ShowHistoryDetails", "GET /v3/jobs/$BETA/1/history-details"},
		request{"ListBuildParameter", "GET /v1/job/$BETA/1/history-parameters"},
		[][2]string{{"parameters.channel", "result[].value"}},
	},
	{
		request{"ShowJobSuccessRatio", "GET /v3/jobs/$JOB/success-ratio?start_time=$DAY&end_time=$NEXT"},
		request{"ShowJobBuildSuccessRatio", "GET /v1/report/ratio?job_id=$JOB&repository_name=app&interval=7"},
		[][2]string{{"success_count", "result.total_success_count"}, {"total_count", "result.total_count"}},
	},
	{
		request{"ListNotice", "GET /v3/jobs/notice/$JOB/query"},
		request{"ShowJobNoticeConfigInfo", "GET /v1/job/$JOB/notice"},
		[][2]string{{"result", "result"}},
	},
	{
		request{"ListTemplates", "GET /v3/templates/query?page=0&page_size=10"},
		request{"ListCustomTemplate", "GET /v1/template/custom?page=1&page_size=10&filter=all"},
		[][2]string{{"result.items[].uuid", "result.items[].uuid"}, {"result.items[].name", "result.items[].name"}, {"result.items[].template", "result.items[].template"}, {"result.total_size", "result.total_size"}},
	},
	{request{"DownloadKeystore", "GET /v3/keystore?file_name=release.jks&domain_id=$DOMAIN"}, request{"DownloadKeystoreByName", "GET /v2/keystore/download?id=$FILE&name=release.jks&domain_id=$DOMAIN"}, [][2]string{{"", ""}}},
}

// changing are pairs of operations that do the same. Each has a thing of its own, made by make; look tells what has become of it.
var changing = []struct {
	old, young request
	make       func(w *world) string // returns what $ID stands for
	look       []request
}{
	{request{"CreateBuildJob", `POST /v3/jobs/create ` + twinTask}, request{"CreateNewJob", `POST /v1/job/create ` + twinTask}, nil, []request{{"", "GET /v1/job/$ID/config"}, {"", "GET /v1/job/$ID/running-status"}}},
	{
		request{"UpdateBuildJob", `POST /v3/jobs/update {"job_id":"$ID",` + twinTask[1:]},
		request{"UpdateNewJob", `POST /v1/job/update {"job_id":"$ID",` + twinTask[1:]},
		(*world).freshTask,
		[]request{{"", "GET /v1/job/$ID/config"}, {"", "GET /v1/job/$ID/history"}},
	},
	{request{"DeleteBuildJob", "POST /v3/jobs/$ID/delete"}, request{"DeleteTheJob", "DELETE /v1/job/$ID/delete"}, (*world).freshTask, deleted},
	{request{"BatchDeleteBuildJobs", `DELETE /v1/job/batch-delete {"job_ids":["$ID"]}`}, request{"DeleteTheJob", "DELETE /v1/job/$ID/delete"}, (*world).freshTask, deleted},
	{
		request{"DisableBuildJob", "POST /v3/jobs/$ID/disable"},
		request{"DisableTheJob", `POST /v1/job/$ID/disable {"disabled":true}`},
		(*world).freshTask,
		[]request{{"", "GET /v1/job/$ID/check/disable"}, {"", `POST /v1/job/execute {"job_id":"$ID"}`}},
	},
	{
		request{"EnableBuildJob", "POST /v3/jobs/$ID/recover"},
		request{"DisableTheJob", `POST /v1/job/$ID/disable {"disabled":false}`},
		func(w *world) string {
			job := w.freshTask()
			w.must(w.sdk.DisableBuildJob(disable(job)))
			return job
		},
		[]request{{"", "GET /v1/job/$ID/check/disable"}, {"", "GET /v1/job/$ID/config"}},
	},
	{
		request{"RunJob", `POST /v3/jobs/build {"job_id":"$ID","parameter":[{"name":"more","value":"1"}]}`},
		request{"ExecuteJob", `POST /v1/job/execute {"job_id":"$ID","parameter":[{"name":"more","value":"1"}]}`},
		(*world).freshTask,
		[]request{{"", "GET /v1/job/$ID/1/history-parameters"}, {"", "GET /v3/jobs/$ID/status"}, {"", "GET /v1/job/$ID/2/build-info"}},
	},
	{request{"StopBuildJob", "POST /v3/jobs/$ID/1/stop"}, request{"StopTheJob", "POST /v1/job/$ID/stop?build_no=1"}, (*world).runningTask, stopped},
	{request{"StopJob", `POST /v3/jobs/stop {"job_id":"$ID","build_no":"1"}`}, request{"StopTheJob", "POST /v1/job/$ID/stop?build_no=1"}, (*world).runningTask, stopped},
	{request{"CreateTemplates", "POST /v3/templates/create " + twinTemplate}, request{"CreateTemplate", "POST /v1/template/create " + twinTemplate}, nil, []request{{"", "GET /v1/template/$ID/custom"}}},
	{
		request{"DeleteTemplates", "DELETE /v3/templates/$ID/delete"},
		request{"DeleteTemplate", "DELETE /v1/template/$ID/delete"},
		(*world).makeTemplate,
		[]request{{"", "GET /v1/template/$ID/custom"}},
	},
	{
		request{"UpdateNotice", "POST /v3/jobs/notice/$ID/update " + noticeSetting},
		request{"UpdateNewNoticeNew", "PUT /v1/job/$ID/notice " + noticeSetting},
		(*world).freshTask,
		[]request{{"", "GET /v1/job/$ID/notice"}},
	},
	{
		request{"DisableNotice", "POST /v3/jobs/notice/$ID/disable?notice_type=MESSAGE"},
		request{"UpdateNewNoticeNew", `PUT /v1/job/$ID/notice {"notice_type":"MESSAGE","enabled_event_type_names":[]}`},
		(*world).freshTask,
		[]request{{"", "GET /v1/job/$ID/notice"}},
	},
}

const (
	twinTask = `{"project_id":"$PROJECT","job_name":"$NAME","arch":"$ARCH","timeout":{"limit":"10","unit":"minute"},` +
		`"steps":[{"module_id":"sh","name":"Run","properties":{"command":"true"}}],"parameters":[{"name":"hudson.model.StringParameterDefinition",` +
		`"params":[{"name":"name","value":"channel"},{"name":"type","value":"normalparam"},{"name":"defaultValue","value":"beta"}]}]}`
	twinTemplate  = `{"name":"$NAME","template":{"steps":[{"module_id":"sh","name":"Run","properties":{"command":"true"}}]}}`
	noticeSetting = `{"notice_type":"MESSAGE","enabled_event_type_names":["buildJobFail"]}`
)

var (
	deleted = []request{{"", "GET /v1/job/$ID/config"}, {"", "GET /v1/job/recycling-jobs?project_id=$PROJECT&page_no=1&page_size=1"}}
	stopped = []request{{"", "GET /v1/job/$ID/1/build-info"}, {"", "POST /v1/job/$ID/stop?build_no=1"}}
)

// TestTwins checks that the operations that the vendor calls outdated or retiring do exactly what their newer twins do: for those who may and for
// those who may not, with what there is and with what there is not.
func TestTwins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	viewer, stranger := w.s.NewUser("viewer"), w.s.NewUser("stranger")
	w.s.Grant(w.s.Project, viewer, iam.Viewer)
	beta := w.s.Call(w.s.Admin, http.MethodPost, "/v1/job/create", strings.NewReplacer("$PROJECT", w.s.Project, "$NAME", "beta", "$ARCH", servertest.Arch).Replace(twinTask))
	betaTask := strings.TrimSpace(pick(t, beta.Body, "result.job_id"))
	w.run(betaTask)
	now := time.Now()
	words := func(more ...string) *strings.Replacer {
		const layout, day = "2006-01-02+15:04:05", "2006-01-02"
		return strings.NewReplacer(append(more, "$BETA", betaTask, "$FILE", w.file, "$PROJECT", w.s.Project, "$JOB", w.job, "$FLOW", w.flowRecord, "$RECORD", w.record, "$BUILDS", w.buildProject, "$DOMAIN", w.domain,
			"$ARCH", servertest.Arch, "$FROM", now.AddDate(0, 0, -1).Format(layout), "$TO", now.AddDate(0, 0, 1).Format(layout), "$DAY", now.AddDate(0, 0, -1).Format(day), "$NEXT", now.AddDate(0, 0, 1).Format(day))...)
	}
	left := readTwins()
	pair := func(old, young request) string {
		if want := left[old.operation]; want != young.operation {
			t.Errorf("the twin of %s is %q, not %s", old.operation, want, young.operation)
		}
		return old.operation + " and " + young.operation
	}
	checked := map[string]bool{}

	// What nobody has, and what one may not see, is refused alike.
	none := words("$BETA", strings.Repeat("0", 32), "$FILE", strings.Repeat("0", 32), "$JOB", strings.Repeat("0", 32), "$ID", strings.Repeat("0", 32), "$RECORD", "00000000-0000-4000-8000-000000000000", "$FLOW", "00000000-0000-4000-8000-000000000000",
		"$BUILDS", "00000000-0000-4000-8000-000000000000", "$NAME", "none", "release.jks", "none.jks")
	refusals := func(t *testing.T, old, young request, fill *strings.Replacer, users ...servertest.User) {
		t.Helper()
		for _, user := range users {
			a, b := old.send(w, user, fill), young.send(w, user, fill)
			if a.Status != b.Status || code(a) != code(b) {
				t.Errorf("%s gets %d %s, and %d %s", user.Name, a.Status, a.Body, b.Status, b.Body)
			}
		}
	}
	for _, tt := range reading {
		t.Run(pair(tt.old, tt.young), func(t *testing.T) {
			w.t = t
			checked[tt.old.operation] = true
			fill := words()
			a, b := tt.old.send(w, w.s.Admin, fill), tt.young.send(w, w.s.Admin, fill)
			if a.Status != http.StatusOK || b.Status != http.StatusOK {
				t.Fatalf("%d %s, and %d %s", a.Status, a.Body, b.Status, b.Body)
			}
			for _, part := range tt.parts {
				was, is := a.Body, b.Body
				if part[0] != "" {
					was, is = pick(t, a.Body, part[0]), pick(t, b.Body, part[1])
				}
				if diff := cmp.Diff(was, is); diff != "" || was == "" {
					t.Errorf("%s, and %s (-old +young):\n%s", part[0], part[1], diff)
				}
			}
			refusals(t, tt.old, tt.young, fill, viewer, stranger)
			refusals(t, tt.old, tt.young, none, w.s.Admin)
		})
	}
	for _, tt := range changing {
		t.Run(pair(tt.old, tt.young), func(t *testing.T) {
			w.t = t
			checked[tt.old.operation] = true
			var seen [2]string
			for i, r := range []request{tt.old, tt.young} {
				id, name := "", w.name("twin")
				if tt.make != nil {
					id = tt.make(w)
				}
				fill := words("$ID", id, "$NAME", name)
				if tt.make != nil { // else there is nothing yet that could stay as it is
					refusals(t, tt.old, tt.young, fill, viewer, stranger)
				}
				answer := r.send(w, w.s.Admin, fill)
				if answer.Status != http.StatusOK {
					t.Fatalf("%s: %d %s", r.operation, answer.Status, answer.Body)
				}
				if tt.make == nil {
					if id = created.FindString(answer.Body); id == "" {
						t.Fatalf("%s: %s", r.operation, answer.Body)
					}
					id = id[strings.LastIndex(id, `:"`)+2:]
					fill = words("$ID", id, "$NAME", name)
				}
				if tt.look[0] == stopped[0] {
					w.awaitEnd(id)
				}
				for _, look := range tt.look {
					a := look.send(w, w.s.Admin, fill)
					seen[i] += fmt.Sprintln(look.line, a.Status, varies.ReplaceAllString(strings.NewReplacer(id, "ID", name, "NAME").Replace(a.Body), "…"))
				}
			}
			if diff := cmp.Diff(strings.Split(seen[0], ","), strings.Split(seen[1], ",")); diff != "" {
				t.Errorf("the old one does something else (-old +young):\n%s", diff)
			}
			if tt.make != nil {
				refusals(t, tt.old, tt.young, none, w.s.Admin, stranger)
			}
		})
	}
	for old := range left {
		if !checked[old] {
			t.Errorf("nothing compares %s with %s", old, left[old])
		}
	}
}

var (
	// created finds the id of what was created in the answer.
	created = regexp.MustCompile(`"(job_id|uuid)":"[0-9a-f]{32}`)
	// varies finds what differs from one thing to the next: ids, names that the test gives, times, and how long something took.
	varies = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{24,32}|j_\w{8}|(task|template)-\d+|\d{4}-\d\d-\d\d[T ][\d:]+(\.\d+\+00:00)?|\b1\d{9}(\d{3})?\b|"duration":\d+|\b\d{8}\.\d+\b|"total":\d+`)
)

// code is the error code of an answer, without the mark of the older operations.
func code(a servertest.Answer) string {
	var e struct {
		Code string `json:"error_code"`
	}
	_ = json.Unmarshal([]byte(a.Body), &e) // a file is no error
	return strings.TrimPrefix(e.Code, "DEV")
}

// pick returns what stands at a path of an answer, as text. Numbers and texts are the same.
func pick(t *testing.T, body, path string) string {
	t.Helper()
	var v any
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	values := []any{v}
	for key := range strings.SplitSeq(path, ".") {
		key, list := strings.CutSuffix(key, "[]")
		var next []any
		for _, v := range values {
			object, _ := v.(map[string]any)
			item, ok := object[key]
			if !ok {
				t.Fatalf("there is no %s of %s in %s", key, path, body)
			}
			if items, isList := item.([]any); list && isList {
				next = append(next, items...)
			} else {
				next = append(next, item)
			}
		}
		values = next
	}
	var out strings.Builder
	for _, v := range values {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&out, strings.TrimSuffix(strings.Trim(string(text), `"`), ".0"))
	}
	return out.String()
}

// awaitEnd waits until the first build of a task is over: its log is followed to the end.
func (w *world) awaitEnd(job string) {
	w.t.Helper()
	record := w.s.Call(w.s.Admin, http.MethodGet, "/v1/record/"+job+"/1/record-info", "")
	id := strings.TrimSpace(pick(w.t, record.Body, "result.build_record_id"))
	if log := w.s.Call(w.s.Admin, http.MethodGet, "/v1/log/"+id+"/events", ""); log.Status != http.StatusOK {
		w.t.Fatal(log)
	}
}
