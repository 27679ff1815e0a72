package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam/signature"
	"atelier/internal/server/servertest"
)

// followEvents reads the log of a build as events, from behind the event with the given id, until enough says so or the stream
// is over. It returns the text, the id of the last event, and the status of the build when it was the end.
func followEvents(t *testing.T, s *servertest.Server, record, last string, enough func(text string) bool) (text, id, status string) {
	t.Helper()
	r := s.Request(http.MethodGet, "/v1/log/"+record+"/events", "")
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	signature.Sign(r, nil, s.Developer.Key, time.Now())
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(answer.Body)
		t.Fatalf("%d %s", answer.StatusCode, body)
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			id = value
		case "data":
			var data struct{ Content, Status string }
			if err := json.Unmarshal([]byte(value), &data); err != nil {
				t.Fatal(err)
			}
			text, status = text+data.Content, data.Status
		}
		if name == "data" && enough(text) {
			break
		}
	}
	return text, id, status
}

// TestLogEvents follows a build, goes away in the middle of its log, and comes back: while the build runs, when its log is
// compressed, and to a server that was started again.
func TestLogEvents(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Client(s.Developer)
	g := newGate(t)
	job := create(t, c, shell(s, "demo", "seq 1 5000; "+g.wait()+"; seq 5001 10000; printf end"))
	run(t, c, &model.RunJobRequestBody{JobId: job})
	record := *awaitThat(t, c, job, 1, func(r model.RecordInfoResult) bool { return *r.Status == "RUNNING" }).BuildRecordId

	first, id, _ := followEvents(t, s, record, "", func(text string) bool { return strings.Contains(text, " 5000\n") })
	g.open(t)
	rest, end, status := followEvents(t, s, record, id, func(string) bool { return false })
	if status != "SUCCESS" || id == end {
		t.Errorf("the last event is %s with status %q", end, status)
	}
	whole := read(t, func(w io.Writer) {
		ok(t, c.DownloadBuildLog, &model.DownloadBuildLogRequest{RecordId: record, LogLevel: new("DEBUG")}).Consume(w)
	})
	if first+rest != whole || end != fmt.Sprint(len(whole)) {
		t.Fatalf("%d and %d bytes, to %s, are not the log of %d", len(first), len(rest), end, len(whole))
	}

	compressed := filepath.Join(s.Config.DataDir, "logs", record[len(record)-2:], record+".log.zst")
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); ; {
		if _, err := os.Stat(compressed); err == nil {
			break
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the log was not compressed")
		}
	}
	for _, life := range []string{"the same server", "another"} {
		if again, _, status := followEvents(t, s, record, id, func(string) bool { return false }); again != rest || status != "SUCCESS" {
			t.Errorf("%s: %d bytes and %q, want %d", life, len(again), status, len(rest))
		}
		s.Restart()
	}
}
