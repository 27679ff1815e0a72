package crash_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"atelier/internal/iam/signature"
)

// send sends a request signed with a key, with headers of the form "Name: value"; the error is that of a server that is not there any more.
func (s *life) send(key signature.Key, method, path string, payload []byte, headers ...string) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, bytes.NewReader(payload))
	if err != nil {
		return 0, nil, err
	}
	signature.Sign(r, payload, key, time.Now())
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	response, err := (&http.Client{Timeout: patience}).Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// try sends a request of the administrator, and decodes the answer; the error may also be a refusal.
func (s *life) try(method, path string, body, answer any, headers ...string) error {
	payload, err := json.Marshal(body)
	if err != nil {
		return err
	}
	status, data, err := s.send(s.key, method, path, payload, headers...)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s %s: %d: %s", method, path, status, data)
	}
	return json.Unmarshal(data, answer)
}

func (s *life) call(method, path string, body, answer any) {
	s.t.Helper()
	if err := s.try(method, path, body, answer); err != nil {
		s.t.Fatal(err)
	}
}

// makeTask creates a task with one shell step, or with a build file in a repository.
func (s *life) makeTask(name, command, repository string, parameters ...any) (id string) {
	s.t.Helper()
	arch := map[string]string{"amd64": "x86-64", "arm64": "arm"}[runtime.GOARCH]
	body := map[string]any{"job_name": name, "project_id": s.project, "arch": arch, "steps": []any{}, "parameters": parameters}
	if repository == "" {
		body["steps"] = []any{map[string]any{"module_id": "sh", "name": "Run", "properties": map[string]any{"command": command}}}
	} else {
		body["build_config_type"] = "YAML"
		body["scms"] = []any{map[string]any{"scm_type": "codehub", "url": repository, "branch": "main", "build_type": "branch"}}
	}
	var made struct {
		Result struct {
			ID string `json:"job_id"`
		}
	}
	s.call("POST", "/v1/job/create", body, &made)
	return made.Result.ID
}

// build is a build of a task.
type build struct {
	job    string
	number int
}

func (b build) path() string { return "/v3/jobs/" + b.job + "/" + strconv.Itoa(b.number) }

// tryRun starts a build.
func (s *life) tryRun(job string, headers ...string) (build, error) {
	var started struct {
		Number string `json:"actual_build_number"`
	}
	if err := s.try("POST", "/v1/job/execute", map[string]any{"job_id": job}, &started, headers...); err != nil {
		return build{}, err
	}
	number, err := strconv.Atoi(started.Number)
	return build{job, number}, err
}

func (s *life) run(job string) build {
	s.t.Helper()
	b, err := s.tryRun(job)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// record is what matters here of a build's record.
type record struct {
	Status     string
	ErrMsg     string
	BuildNo    int
	StartTime  string
	FinishTime string
}

func (s *life) tryRecord(b build) (record, error) {
	var answer struct{ Result record }
	err := s.try("GET", b.path()+"/record-info", nil, &answer)
	return answer.Result, err
}

func (s *life) record(b build) record {
	s.t.Helper()
	r, err := s.tryRecord(b)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// awaitRecord asks for a record until it is as wanted.
func (s *life) awaitRecord(b build, what string, wanted func(record) bool) record {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); ; {
		r := s.record(b)
		if wanted(r) {
			return r
		}
		select {
		case <-tick.C:
		case <-late:
			s.t.Fatalf("build %d is not %s: %+v", b.number, what, r)
		}
	}
}

func (s *life) awaitEnd(b build) record {
	s.t.Helper()
	return s.awaitRecord(b, "over", func(r record) bool { return r.FinishTime != "" })
}

// follow reads the log of a build from its beginning until it is over, or as wanted, and returns what there was by then.
func (s *life) follow(b build, enough func(text string) bool) (text string, err error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(patience); ; <-tick.C {
		var answer struct {
			Result struct {
				Content string `json:"content"`
				Offset  int64  `json:"offset"`
				More    bool   `json:"has_more_data"`
			}
		}
		if err := s.try("GET", fmt.Sprintf("%s/real-time-log?offset=%d", b.path(), len(text)), nil, &answer); err != nil {
			return text, err
		}
		text += answer.Result.Content
		switch {
		case int(answer.Result.Offset) != len(text):
			return text, fmt.Errorf("the next offset is %d after %d bytes", answer.Result.Offset, len(text))
		case !answer.Result.More, enough(text):
			return text, nil
		case time.Now().After(late):
			return text, fmt.Errorf("the log goes on too long: %s", text)
		}
	}
}

func (s *life) log(b build) string {
	s.t.Helper()
	text, err := s.follow(b, func(string) bool { return false })
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// printed returns what steps have printed, without the time stamps and the service's own lines.
func printed(log string) []string {
	var lines []string
	for line := range strings.Lines(log) {
		_, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "] ")
		if ok && !strings.HasPrefix(text, "[") {
			lines = append(lines, text)
		}
	}
	return lines
}
