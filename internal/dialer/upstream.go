package dialer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"golang.org/x/net/proxy"
)

// through returns what connects through a proxy of the operator's. Where that proxy is, is for the operator to say, so it is not
// judged.
func through(via *url.URL) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		switch via.Scheme {
		case "http", "https":
			return connect(ctx, via, address)
		default:
			dialer, err := proxy.FromURL(via, proxy.Direct)
			if err != nil {
				return nil, err
			}
			return dialer.(proxy.ContextDialer).DialContext(ctx, network, address)
		}
	}
}

// connect asks an HTTP proxy for a connection.
func connect(ctx context.Context, via *url.URL, address string) (_ net.Conn, err error) {
	port := via.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[via.Scheme]
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(via.Hostname(), port))
	if err != nil {
		return nil, err
	}
	if via.Scheme == "https" {
		conn = tls.Client(conn, &tls.Config{ServerName: via.Hostname(), MinVersion: tls.VersionTLS12})
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	answer, err := ask(conn, via, address)
	if !stop() {
		err = errors.Join(err, context.Cause(ctx))
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return answer, nil
}

// ask sends the question for a connection, and returns the connection when the proxy has made it.
func ask(conn net.Conn, via *url.URL, address string) (net.Conn, error) {
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: make(http.Header)}
	if via.User != nil {
		password, _ := via.User.Password()
		request.SetBasicAuth(via.User.Username(), password)
		request.Header.Set("Proxy-Authorization", request.Header.Get("Authorization"))
		request.Header.Del("Authorization")
	}
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		answer.Body.Close()
		return nil, fmt.Errorf("the proxy %s answers %s", via.Host, answer.Status)
	}
	return &bufferedConn{conn, reader}, nil
}

// bufferedConn is a connection of which something was read already.
type bufferedConn struct {
	net.Conn
	reader *bufio.Reader
}

// Read implements [net.Conn].
func (c *bufferedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

// CloseWrite ends what is written, where the connection can.
func (c *bufferedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}
