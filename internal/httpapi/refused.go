package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"

	"atelier/internal/connection"
)

// Serve serves s on l, and gives what s refuses by itself, before a handler sees it, the form of every other error: a request line that is none,
// a header that is too large. [http.Server] writes such answers in plain text straight to the connection, and nowhere lets others write them; so
// the connections that l accepts do it. Those with TLS are left alone, since s has to know them as such.
//
// access gets a line for each; nil for none.
func Serve(s *http.Server, l net.Listener, access *slog.Logger) error {
	handler := s.Handler
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*refusing); ok {
			c.handled.Store(true)
		}
		handler.ServeHTTP(w, r)
	})
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return connection.Context(context.WithValue(ctx, connKey{}, c), c)
	}
	s.ConnState = func(c net.Conn, state http.ConnState) {
		connection.State(c, state)
		if c, ok := c.(*refusing); ok && state == http.StateIdle { // the whole answer is written
			c.handled.Store(false)
		}
	}
	return s.Serve(listener{l, access})
}

type connKey struct{}

type listener struct {
	net.Listener
	access *slog.Logger
}

func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(tcpConn); ok {
		return &refusing{tcpConn: tcp, access: l.access}, err
	}
	return conn, err
}

// tcpConn is what [http.Server] uses of a connection of TCP.
type tcpConn interface {
	net.Conn
	io.ReaderFrom
	CloseWrite() error
}

// refusing is a connection. All that it does not change is that of TCP, so files are still sent by the kernel.
type refusing struct {
	tcpConn
	handled atomic.Bool // a handler has begun to answer; what is written before is the server's own
	access  *slog.Logger
}

// NetConn returns the connection below.
func (c *refusing) NetConn() net.Conn { return c.tcpConn }

// Write writes p, or the error that stands for it.
func (c *refusing) Write(p []byte) (int, error) {
	if c.handled.Load() {
		return c.tcpConn.Write(p)
	}
	e, id := refused(p), newRequestID()
	body, err := encode(buildError(e, id))
	if err != nil {
		return 0, err
	}
	if c.access != nil {
		c.access.Info("request", "status", e.Status, "bytes", len(body), "source", c.RemoteAddr().String(), "request_id", id, "error_code", e.Code)
	}
	_, err = fmt.Fprintf(c.tcpConn, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s: %s\r\nConnection: close\r\n\r\n%s",
		e.Status, http.StatusText(e.Status), jsonType[0], len(body), requestIDHeader, id, body)
	return len(p), err
}

// refused returns the error that an answer of the server's own is about. The answer begins like "HTTP/1.1 400 Bad Request: malformed Host header".
func refused(answer []byte) *apiError {
	line, _, _ := bytes.Cut(answer, []byte("\r\n"))
	words := bytes.SplitN(line, []byte(" "), 3)
	status := http.StatusBadRequest
	if len(words) == 3 {
		if n, err := strconv.Atoi(string(words[1])); err == nil {
			status = n
		}
	}
	switch status {
	case http.StatusRequestHeaderFieldsTooLarge:
		return errLongHeader
	case http.StatusNotImplemented:
		return gatewayError(status, codeGateway, "API request error. The only transfer encoding is chunked.")
	case http.StatusExpectationFailed:
		return gatewayError(status, codeGateway, "API request error. The only expectation is 100-continue.")
	}
	reason := "the request line or a header is malformed"
	if _, said, ok := bytes.Cut(line, []byte(": ")); ok {
		reason = string(said)
	}
	return gatewayError(status, codeGateway, "API request error. This is no HTTP request: %s.", reason)
}
