package httpapi

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestRefused sends what no handler gets to see, and checks that the answer is an error like all others.
func TestRefused(t *testing.T) {
	t.Parallel()
	// What handlers write is never changed, whatever it looks like.
	transcript := strings.Repeat("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request", 1000)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	s := &http.Server{ReadHeaderTimeout: time.Minute, MaxHeaderBytes: MaxHeaderBytes, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		for piece := range strings.SplitAfterSeq(transcript, "400 Bad Request") {
			_, _ = io.WriteString(w, piece)
		}
	})}
	served := make(chan error)
	go func() { served <- Serve(s, l, slog.New(slog.NewTextHandler(&log, nil))) }()

	const good = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\nx"
	tests := []struct {
		name, request string
		status        int
		message       string
	}{
		{"no request line", "GARBAGE\r\n\r\n", 400, "This is no HTTP request: the request line or a header is malformed."},
		{"no host", "GET / HTTP/1.1\r\n\r\n", 400, "missing required Host header."},
		{"a header that is none", "GET / HTTP/1.1\r\nHost: h\r\nA B: c\r\n\r\n", 400, "invalid header name."},
		{"an address that is badly escaped", "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400, "malformed."},
		{"a negative length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400, "malformed."},
		{"another version", "GET / HTTP/3.7\r\nHost: h\r\n\r\n", 505, "unsupported protocol version."},
		{"a transfer encoding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: mad\r\n\r\n", 501, "The only transfer encoding is chunked."},
		{"an expectation", "GET / HTTP/1.1\r\nHost: h\r\nExpect: mad\r\n\r\n", 417, "The only expectation is 100-continue."},
		{"headers without end", "GET / HTTP/1.1\r\nHost: h\r\nA: " + strings.Repeat("x", MaxHeaderBytes+8<<10) + "\r\n\r\n", 431, "Request headers too large."},
	}
	for _, tt := range tests {
		for _, before := range []int{0, 2} { // requests of the same connection that were answered
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.WriteString(c, strings.Repeat(good, before)+tt.request) }() // the server does not read all of it
			r := bufio.NewReader(c)
			for range before {
				answer, err := http.ReadResponse(r, nil)
				if err == nil && answer.StatusCode == http.StatusContinue {
					answer, err = http.ReadResponse(r, nil)
				}
				if err != nil {
					t.Fatal(err)
				}
				if body, err := io.ReadAll(answer.Body); err != nil || string(body) != transcript {
					t.Errorf("%s: a handler's answer became one of %d bytes: %v", tt.name, len(body), err)
				}
			}
			answer, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			body, err := io.ReadAll(answer.Body)
			id := answer.Header.Get(requestIDHeader)
			if err != nil || answer.StatusCode != tt.status || len(id) != 32 || answer.Header["Content-Type"][0] != jsonType[0] || !answer.Close {
				t.Errorf("%s: %v, %v", tt.name, answer, err)
			}
			for _, want := range []string{`"error_code":"APIGW.0201"`, `"request_id":"` + id + `"`, tt.message} {
				if !strings.Contains(string(body), want) {
					t.Errorf("%s: no %s in %s", tt.name, want, body)
				}
			}
			c.Close()
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	<-served
	if got := strings.Count(log.String(), "error_code=APIGW.0201"); got != 2*len(tests) {
		t.Errorf("the access log has %d of %d refusals:\n%s", got, 2*len(tests), log.String())
	}
}
