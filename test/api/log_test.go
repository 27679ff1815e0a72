package api_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	codeartsbuild "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server/servertest"
)

// gate is a file that lets a build go on once it is there.
type gate string

func newGate(t *testing.T) gate { return gate(filepath.Join(t.TempDir(), "open")) }

// wait is the command that waits for the gate.
func (g gate) wait() string { return fmt.Sprintf("until [ -e '%s' ]; do sleep 0.01; done", string(g)) }

func (g gate) open(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(string(g), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// read returns what a download holds.
func read(t *testing.T, consume func(io.Writer)) string {
	t.Helper()
	var b bytes.Buffer
	consume(&b)
	return b.String()
}

// chunk is some of a log.
type chunk struct {
	text     string
	at, next int
	more     bool
}

// chunkAt reads a log by offset.
func chunkAt(t *testing.T, c *codeartsbuild.CodeArtsBuildClient, job string, number, offset, length int) chunk {
	t.Helper()
	r := ok(t, c.DownloadRealTimeLog, &model.DownloadRealTimeLogRequest{JobId: job, BuildNo: int32(number), Offset: int32(offset), Length: new(int32(length))}).Result
	return chunk{*r.Content, int(*r.CurrentOffset), int(*r.Offset), *r.HasMoreData}
}

// TestLog reads logs in all the ways there are.
func TestLog(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	t.Run("follow", func(t *testing.T) {
		t.Parallel()
		testFollow(t, s)
	})
	t.Run("download", func(t *testing.T) {
		t.Parallel()
		testDownload(t, s)
	})
}

// testFollow follows a log while the build runs, with both operations, and compares what came with the whole.
func testFollow(t *testing.T, s *servertest.Server) {
	c := s.Client(s.Developer)
	g := newGate(t)
	task := shell(s, "follow", "echo 'erste Zeile: ä€😀'; "+g.wait()+"; seq 1 3000; printf 'no line end'")
	task.Steps = append(task.Steps, model.CreateBuildJobSteps{ModuleId: "sh", Name: "Later", Properties: map[string]any{"command": "echo of the second step"}})
	job := create(t, c, task)
	run(t, c, &model.RunJobRequestBody{JobId: job})

	offset := func(from, length int) chunk { return chunkAt(t, c, job, 1, from, length) }
	window := func(from int) *model.OctopusV3LogResponseBodyResult {
		r := ok(t, c.DownloadBuildRealTimeLog, &model.DownloadBuildRealTimeLogRequest{JobId: job, BuildNo: 1, StartOffset: new(int32(from)), Size: "1000"}).Result
		if *r.StartOffset != strconv.Itoa(from) {
			t.Errorf("asked from %d, got from %s", from, *r.StartOffset)
		}
		return r
	}
	// What was printed is there although the build goes on, and more is promised.
	awaitThat(t, c, job, 1, func(model.RecordInfoResult) bool {
		return strings.Contains(offset(0, 1_000_000).text, "erste Zeile")
	})
	if r := offset(0, 1_000_000); !r.more || r.at != 0 || r.next != len(r.text) {
		t.Errorf("while it runs: %+v", r)
	}
	if r := window(0); !*r.HasMore || !strings.Contains(*r.Log, "erste Zeile: ä€😀") {
		t.Errorf("while it runs: %v", r)
	}
	record := *awaitStatus(t, c, job, 1, "RUNNING").BuildRecordId
	step := func(name string) string {
		return s.Call(s.Developer, http.MethodGet, "/v4/"+record+"/task-log?task_name="+name, "").Body
	}
	if !strings.Contains(step("stage1"), "erste Zeile") || step("stage2") != "" {
		t.Errorf("while the first step runs, the parts are %q and %q", step("stage1"), step("stage2"))
	}
	g.open(t)

	// Seven bytes at a time split characters, if the server lets them be split.
	var byOffset strings.Builder
	at, length := 0, 7
	for more := true; more; {
		r := offset(at, length)
		if r.at != at || r.next != at+len(r.text) || len(r.text) > length || !utf8.ValidString(r.text) {
			t.Fatalf("at %d: %+v", at, r)
		}
		byOffset.WriteString(r.text)
		at, more = r.next, r.more
		if strings.Contains(byOffset.String(), "😀") {
			length = 5000
		}
	}
	await(t, c, job, 1)
	var byWindow strings.Builder
	at = 0
	for more := true; more; {
		r := window(at)
		byWindow.WriteString(*r.Log)
		if n := strings.Count(*r.Log, "\n"); n > 1000 {
			t.Errorf("%d lines in one window", n)
		}
		at, _ = strconv.Atoi(*r.EndOffset)
		more = *r.HasMore
	}
	if part := step("stage2"); !strings.Contains(part, "of the second step") || strings.Contains(part, "erste Zeile") {
		t.Errorf("the second step's part is %q", part)
	}
	whole := s.Call(s.Developer, http.MethodGet, "/v4/"+record+"/download-log?log_level=DEBUG", "").Body
	if byOffset.String() != whole || byWindow.String() != whole {
		t.Errorf("the whole log has %d bytes, %d came by offset and %d by window", len(whole), byOffset.Len(), byWindow.Len())
	}
	for _, want := range []string{"erste Zeile: ä€😀\n", "3000\n", "no line end", "The build succeeded."} {
		if !strings.Contains(whole, want) {
			t.Errorf("no %q in the log", want)
		}
	}
	// Behind the end there is nothing, and nothing more to come.
	for _, at := range []int{len(whole), 1<<31 - 1} {
		if r := offset(at, 100); r != (chunk{at: at, next: at}) {
			t.Errorf("at %d: %+v", at, r)
		}
	}
	if r := window(len(whole) + 10); *r.Log != "" || *r.HasMore {
		t.Errorf("behind the end: %v", r)
	}

	// The last lines, and a part.
	last := ok(t, c.DownloadBuildRealTimeLog, &model.DownloadBuildRealTimeLogRequest{JobId: job, BuildNo: 1, Sort: new("DESC"), Size: "2"}).Result
	if !strings.HasSuffix(whole, *last.Log) || strings.Count(*last.Log, "\n") != 2 || !*last.HasMore || *last.EndOffset != strconv.Itoa(len(whole)) {
		t.Errorf("the last two lines: %v", last)
	}
	part := ok(t, c.DownloadBuildRealTimeLog, &model.DownloadBuildRealTimeLogRequest{
		JobId: job, BuildNo: 1, StartOffset: new(int32(10)), EndOffset: new(int32(20)), Size: "1000",
	}).Result
	if *part.Log != whole[10:20] || *part.StartOffset != "10" || *part.EndOffset != "20" {
		t.Errorf("bytes 10 to 20: %v", part)
	}
	upwards := &model.DownloadBuildRealTimeLogRequest{JobId: job, BuildNo: 1, Sort: new("up"), Size: "1"}
	refused(t, c.DownloadBuildRealTimeLog, upwards, 400, "CB.00060200", "sort", "AES or DESC", `"up"`)
	backwards := &model.DownloadBuildRealTimeLogRequest{JobId: job, BuildNo: 1, StartOffset: new(int32(9)), EndOffset: new(int32(8)), Size: "1"}
	refused(t, c.DownloadBuildRealTimeLog, backwards, 400, "CB.00060200", "end_offset", "start_offset", "8 and 9")
	refused(t, c.DownloadBuildRealTimeLog, &model.DownloadBuildRealTimeLogRequest{JobId: job, BuildNo: 1, Size: "many"}, 400, "CB.00060200", "size", `"many"`)
	refused(t, c.DownloadBuildRealTimeLog, &model.DownloadBuildRealTimeLogRequest{JobId: job, BuildNo: 2, Size: "1"}, 404, "DEVCB.00031006", "has no build 2")
	refused(t, c.DownloadRealTimeLog, &model.DownloadRealTimeLogRequest{JobId: job, BuildNo: 2}, 404, "CB.00031006", "has no build 2")
}

// testDownload downloads a finished log as a file, with each operation that does.
func testDownload(t *testing.T, s *servertest.Server) {
	c := s.Client(s.Developer)
	a := newApp(t, s, "app")
	run(t, c, &model.RunJobRequestBody{JobId: a.job})
	record := *await(t, c, a.job, 1).BuildRecordId
	whole := logOf(t, c, a.job, 1)

	file := s.Call(s.Developer, http.MethodGet, "/v4/"+record+"/download-log", "")
	if h := file.Header; h.Get("Content-Type") != "application/octet-stream" || h.Get("Content-Disposition") != "attachment; filename="+record+".log" || len(h.Get("X-Request-Id")) != 32 {
		t.Errorf("the headers are %v", file.Header)
	}
	for name, got := range map[string]string{
		"v4, bare": file.Body,
		"v4": read(t, func(w io.Writer) {
			ok(t, c.DownloadBuildLog, &model.DownloadBuildLogRequest{RecordId: record}).Consume(w)
		}),
		"v3": read(t, func(w io.Writer) {
			ok(t, c.DownloadLogByRecordId, &model.DownloadLogByRecordIdRequest{RecordId: record}).Consume(w)
		}),
		"v1": read(t, func(w io.Writer) {
			ok(t, c.DownloadBuildFullLog, &model.DownloadBuildFullLogRequest{RecordId: record, LogLevel: new("DEBUG")}).Consume(w)
		}),
		"v1, compressed": unzip(t, record+".log", read(t, func(w io.Writer) {
			ok(t, c.DownloadBuildFullLog, &model.DownloadBuildFullLogRequest{RecordId: record, Compress: new(true)}).Consume(w)
		})),
	} {
		if got != whole {
			t.Errorf("%s:\n%s\nnot\n%s", name, got, whole)
		}
	}
	line := regexp.MustCompile(`^\[\d{4}/\d{2}/\d{2} \d{2}:\d{2}:\d{2}\.\d{3} GMT[+-]\d{2}:\d{2}\] (\[INFO\] )?.`)
	for _, text := range strings.Split(strings.TrimSuffix(whole, "\n"), "\n") {
		if !line.MatchString(text) {
			t.Errorf("the line %q has no time stamp", text)
		}
	}

	stage := func(name string) string {
		return read(t, func(w io.Writer) {
			ok(t, c.DownloadTaskLog, &model.DownloadTaskLogRequest{RecordId: record, TaskName: name}).Consume(w)
		})
	}
	parts := []string{stage("initial"), stage("stage1"), stage("stage2"), stage("stage3")}
	if !strings.HasPrefix(whole, strings.Join(parts, "")) || !strings.Contains(parts[2], "content of the tip") || strings.Contains(parts[1]+parts[3], "content of the tip") {
		t.Errorf("the parts are %q", parts)
	}
	refused(t, c.DownloadTaskLog, &model.DownloadTaskLogRequest{RecordId: record, TaskName: "stage9"}, 404, "CB.00031006", `no step "stage9"`, "stage1")
	for _, path := range []string{"/v4/" + record + "/task-log", "/v4/" + record + "/task-log?task_name="} {
		checkProblem(t, s, s.Call(s.Developer, http.MethodGet, path, ""), 400, "CB.00060200", "task_name: is missing")
	}
	refused(t, c.DownloadBuildFullLog, &model.DownloadBuildFullLogRequest{RecordId: record, LogLevel: new("ALL")}, 400, "CB.00060200", "log_level", "INFO or DEBUG", `"ALL"`)

	// The log of a build that does not exist is an error and no file.
	none := "48da14e2-6ee7-495b-9dc7-f14d4a344511"
	for path, code := range map[string]string{
		"/v4/" + none + "/download-log": "CB.00031006", "/v3/" + none + "/download-log": "CB.00031006", "/v1/log/" + none + "/download-log": "DEVCB.00031006",
	} {
		checkProblem(t, s, s.Call(s.Developer, http.MethodGet, path, ""), 404, code, none)
	}
}

// unzip returns the one file of a ZIP.
func unzip(t *testing.T, name, data string) string {
	t.Helper()
	z, err := zip.NewReader(strings.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if len(z.File) != 1 || z.File[0].Name != name {
		t.Fatalf("the ZIP has %d files", len(z.File))
	}
	f, err := z.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLogOfNothing checks that a build without a log yet has an empty one.
func TestLogOfNothing(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, oneSlot)
	c := s.Client(s.Developer)
	running, waiting := create(t, c, shell(s, "running", "sleep 600")), create(t, c, shell(s, "waiting", "true"))
	run(t, c, &model.RunJobRequestBody{JobId: running})
	awaitStatus(t, c, running, 1, "RUNNING")
	run(t, c, &model.RunJobRequestBody{JobId: waiting})
	if r := chunkAt(t, c, waiting, 1, 0, 0); r != (chunk{more: true}) {
		t.Errorf("while it waits: %+v", r)
	}
	ok(t, c.StopJob, &model.StopJobRequest{Body: &model.StopJobRequestBody{JobId: waiting, BuildNo: "1"}})
	if r := chunkAt(t, c, waiting, 1, 0, 0); r != (chunk{}) {
		t.Errorf("after it was stopped: %+v", r)
	}
	record := *await(t, c, waiting, 1).BuildRecordId
	file := s.Call(s.Developer, http.MethodGet, "/v3/"+record+"/download-log", "")
	if file.Status != 200 || file.Body != "" || file.Header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("got %d %q %v", file.Status, file.Body, file.Header)
	}
}

// containsLine reports whether a line of a log, behind its time stamp, is text.
func containsLine(log, text string) bool {
	for line := range strings.Lines(log) {
		if _, said, _ := strings.Cut(line, "] "); strings.TrimSuffix(said, "\n") == text {
			return true
		}
	}
	return false
}

// TestLogBeyondTwoGigabytes reads a log, which an operator has allowed to be so long, behind what 32 bits can count.
func TestLogBeyondTwoGigabytes(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	job := create(t, c, shell(s, "demo", "true"))
	run(t, c, &model.RunJobRequestBody{JobId: job})
	record := *await(t, c, job, 1).BuildRecordId
	const size, from = 1<<31 + 20, 1<<31 + 10
	file := filepath.Join(s.Config.DataDir, "logs", record[len(record)-2:], record+".log")
	if err := os.Truncate(file, size); err != nil { // the rest is zero bytes, which take no room on the disk
		t.Fatal(err)
	}
	rest := strings.Repeat(`\u0000`, size-from)
	for path, want := range map[string]string{
		fmt.Sprintf("/v3/jobs/%s/1/real-time-log?offset=%d", job, from):                                fmt.Sprintf(`{"content":"%s","offset":%d,"current_offset":%d,"has_more_data":false}`, rest, size, from),
		fmt.Sprintf("/v1/log/%s/1/real-time-log?size=10&start_offset=%d", job, from):                   fmt.Sprintf(`{"log":"%s","start_offset":"%d","end_offset":"%d","has_more":false`, rest, from, size),
		fmt.Sprintf("/v1/log/stage/page?job_id=%s&build_no=1&start_offset=%d&end_offset=0", job, from): fmt.Sprintf(`{"log":"%s","start_offset":"%d","end_offset":"%d","has_more":false`, rest, from, size),
	} {
		if a := s.Call(s.Developer, http.MethodGet, path, ""); a.Status != http.StatusOK || !strings.Contains(a.Body, want) {
			t.Errorf("%s: %d %s, want %s", path, a.Status, a.Body, want)
		}
	}
	if text, id, status := followEvents(t, s, record, strconv.Itoa(from), func(string) bool { return false }); len(text) != size-from || id != strconv.Itoa(size) || status != "SUCCESS" {
		t.Errorf("events: %q, %s, %s", text, id, status)
	}
}
