package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"atelier/internal/build"
	"atelier/internal/logs"
)

// stream serves the events of one queued build, over a real connection, with a log that the test writes.
type stream struct {
	*fixture
	t      *testing.T
	record build.Record
	log    *logs.Log
	times  eventTimes
	url    string
	ended  chan struct{} // has a token for each stream that is over
}

func newStream(t *testing.T, times eventTimes) *stream {
	t.Helper()
	s := &stream{fixture: newFixture(t), t: t, times: times, ended: make(chan struct{}, 10)}
	var err error
	if s.record, err = s.Builds.Start(t.Context(), s.actor(), build.StartRequest{JobID: s.job.ID}); err != nil {
		t.Fatal(err)
	}
	if s.log, err = s.Logs.Append(s.record.ID); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.log.Close() })
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { s.ended <- struct{}{} }()
		offset, err := strconv.ParseInt(r.FormValue("offset"), 10, 64)
		if err != nil {
			t.Error(err)
		}
		logEvents{API: &API{Parts: s.Parts}, actor: s.actor(), record: s.record.ID, offset: offset, times: s.times, release: func() {}}.write(w, r)
	}))
	server.Config.ReadTimeout = 100 * time.Millisecond // must not end a stream
	server.Start()
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *stream) actor() build.Actor {
	return build.Actor{UserID: s.job.CreatorID, UserName: "admin", DomainID: s.job.DomainID}
}

// stopBuild makes the state of the build final.
func (s *stream) stopBuild() {
	s.t.Helper()
	if err := s.log.Close(); err != nil {
		s.t.Fatal(err)
	}
	if err := s.Builds.Stop(s.t.Context(), s.actor(), s.job.ID, s.record.Number); err != nil {
		s.t.Fatal(err)
	}
}

type event struct {
	kind, id string
	data     logChunk
}

// events reads a stream event by event.
type events struct {
	t       *testing.T
	body    io.ReadCloser
	lines   *bufio.Reader
	comment int
}

func (s *stream) from(offset int) *events {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, fmt.Sprintf("%s/?offset=%d", s.url, offset), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { answer.Body.Close() })
	if got := answer.Header.Get("Content-Type"); got != "text/event-stream" || answer.StatusCode != http.StatusOK {
		s.t.Fatalf("%d %s", answer.StatusCode, got)
	}
	return &events{t: s.t, body: answer.Body, lines: bufio.NewReader(answer.Body)}
}

// next returns the next event, or none at the end of the stream.
func (e *events) next() (found event) {
	e.t.Helper()
	for {
		line, err := e.lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return event{}
		}
		if err != nil {
			e.t.Fatal(err)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		switch value = strings.TrimPrefix(value, " "); {
		case line == ":\n":
			e.comment++
		case name == "event":
			found.kind = value
		case name == "id":
			found.id = value
		case name == "data":
			if err := json.Unmarshal([]byte(value), &found.data); err != nil {
				e.t.Fatal(err)
			}
		case line == "\n" && found.kind != "":
			return found
		}
	}
}

// text reads until the stream has given this much text.
func (e *events) text(n int) (text string, last string) {
	e.t.Helper()
	for len(text) < n {
		got := e.next()
		if got.kind != "log" {
			e.t.Fatalf("after %q: %+v", text, got)
		}
		text, last = text+got.data.Content, got.id
	}
	return text, last
}

var quickly = eventTimes{pause: time.Millisecond, look: 10 * time.Millisecond, beat: time.Hour, write: time.Minute, whole: time.Minute}

func (s *stream) put(text string) (size int) {
	s.t.Helper()
	if err := s.log.Info("%s", text); err != nil {
		s.t.Fatal(err)
	}
	return int(s.log.Size())
}

func TestLogEvents(t *testing.T) {
	t.Parallel()
	s := newStream(t, quickly)
	size := s.put("one \x1b[31mred\x1b[0m\rover")
	follow := s.from(0)
	first, id := follow.text(size)
	if !strings.HasSuffix(first, "[INFO] one \x1b[31mred\x1b[0m\rover\n") || id != strconv.Itoa(size) {
		t.Errorf("got %q, id %s", first, id)
	}
	time.AfterFunc(200*time.Millisecond, func() { s.put("later than the server waits for a request") })
	second, _ := follow.text(1)
	// Another reader begins at a byte within a line.
	rest := s.from(size - 5)
	if got, _ := rest.text(5); got != first[size-5:]+second {
		t.Errorf("from byte %d: %q", size-5, got)
	}
	s.put("the last")
	s.stopBuild()
	last, _ := follow.text(1)
	end := follow.next()
	total, err := s.Logs.Size(s.record.ID)
	if err != nil || end.kind != "end" || end.id != strconv.FormatInt(total, 10) || end.data.Offset != total {
		t.Errorf("the end is %+v of %d, %v", end, total, err)
	}
	if len(first+second+last) != int(total) || follow.next() != (event{}) {
		t.Errorf("%q is not all", first+second+last)
	}
	if got := s.from(int(total)).next(); got.kind != "end" {
		t.Errorf("from the end: %+v", got)
	}
}

func TestLogEventsOfALongLog(t *testing.T) {
	t.Parallel()
	s := newStream(t, quickly)
	size := s.put(strings.Repeat("中\n", 100_000))
	s.stopBuild()
	follow := s.from(0)
	n := 0
	for got := follow.next(); got.kind != "end"; got = follow.next() {
		if int(got.data.CurrentOffset) != n || len(got.data.Content) > eventSize || strings.Contains(got.data.Content, "\ufffd") {
			t.Fatalf("at %d: %.100q", n, got.data.Content)
		}
		n += len(got.data.Content)
	}
	if n != size {
		t.Errorf("%d bytes of %d", n, size)
	}
}

func TestLogEventsShowLife(t *testing.T) {
	t.Parallel()
	times := quickly
	times.beat = time.Millisecond
	s := newStream(t, times)
	follow := s.from(0)
	for follow.comment < 3 {
		line, err := follow.lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == ":\n" {
			follow.comment++
		}
	}
}

// A stream that ends before its log does has no last event: the reader comes back.
func TestLogEventsEnd(t *testing.T) {
	t.Parallel()
	closing := make(chan struct{})
	short := quickly
	short.whole = 50 * time.Millisecond
	tests := []struct {
		name  string
		times eventTimes
		do    func(s *stream, follow *events)
	}{
		{"after a while", short, func(*stream, *events) {}},
		{"when the server stops", quickly, func(*stream, *events) { close(closing) }},
		{"when the reader is gone", quickly, func(_ *stream, follow *events) { follow.body.Close() }},
		{"when the build cannot be seen any more", quickly, func(s *stream, _ *events) {
			if _, err := s.Builds.DeleteJob(s.t.Context(), s.actor(), s.job.ID); err != nil {
				s.t.Error(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStream(t, tt.times)
			if tt.name == "when the server stops" {
				s.Closing = closing
			}
			follow := s.from(0)
			tt.do(s, follow)
			<-s.ended
			if tt.name == "when the reader is gone" {
				return
			}
			if got := follow.next(); got != (event{}) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// Who does not read is hung up on, and the log is written on meanwhile.
func TestLogEventsOfASlowReader(t *testing.T) {
	t.Parallel()
	times := quickly
	times.write = 100 * time.Millisecond
	s := newStream(t, times)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /?offset=0 HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("x", 1<<20)
	for over := false; !over; {
		s.put(line)
		select {
		case <-s.ended:
			over = true
		default:
		}
	}
}

func TestLogEventsRefuse(t *testing.T) {
	t.Parallel()
	s := newStream(t, quickly)
	s.put("one")
	path := "/v1/log/" + string(s.record.ID) + "/events"
	for _, tt := range []struct {
		path, last string
		status     int
		word       string
	}{
		{path + "?offset=-1", "", 400, "offset"},
		{path, "x", 400, "Last-Event-ID"},
		{path, "99999999999999999999", 400, "Last-Event-ID"},
		{"/v1/log/" + strings.Repeat("0", 8) + "-0000-7000-8000-000000000000/events", "", 404, "does not exist"},
	} {
		w := httptest.NewRecorder()
		r := s.request(t.Context(), http.MethodGet, tt.path, "")
		if tt.last != "" {
			r.Header.Set("Last-Event-ID", tt.last)
		}
		s.ServeHTTP(w, r)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.word) {
			t.Errorf("%s %s: %d %s", tt.path, tt.last, w.Code, w.Body)
		}
	}
	// The id of the last event counts, not the address.
	s.stopBuild()
	size, err := s.Logs.Size(s.record.ID)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := s.request(ctx, http.MethodGet, path+"?offset=0", "")
	r.Header.Set("Last-Event-ID", strconv.FormatInt(size-2, 10))
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	want := fmt.Sprintf("retry: 1000\n\nevent: log\nid: %d\ndata: {\"content\":\"e\\n\",\"offset\":%d,\"current_offset\":%d}\n\n"+
		"event: end\nid: %d\ndata: {\"offset\":%d,\"status\":\"ABORTED\"}\n\n", size, size, size-2, size, size)
	if got := w.Body.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
