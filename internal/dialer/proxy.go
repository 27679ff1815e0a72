package dialer

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Proxy is an HTTP proxy on the loopback interface, for one run of a program that makes connections by itself, such as git. The
// program reaches what the dialer reaches and nothing else, also when it is sent elsewhere. Nobody else can use the proxy: its address
// holds a password.
type Proxy struct {
	dialer   *Dialer
	upstream Upstream
	listener net.Listener
	server   *http.Server
	password string
	ctx      context.Context // of all connections
	cancel   context.CancelFunc

	mu      sync.Mutex
	failure error
}

// Upstream returns the proxy of the operator's that leads to an address; nil when there is none.
type Upstream func(target *url.URL) (*url.URL, error)

// The names that programs sign in to the proxy with.
const (
	viaUpstream = "upstream" // connections go on through the operator's proxies
	direct      = "direct"
)

// StartProxy starts a proxy. Connections over HTTP go on through the operator's proxies, if there are any: those connect by name, and
// have to judge by themselves what a name stands for by then.
func (d *Dialer) StartProxy(upstream Upstream) (*Proxy, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	p := &Proxy{dialer: d, upstream: upstream, listener: listener, password: rand.Text()}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.server = &http.Server{
		Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10,
		ErrorLog: log.New(io.Discard, "", 0), // programs that hang up are no errors
	}
	go func() { _ = p.server.Serve(listener) }() // until Close
	return p, nil
}

// Address returns the proxy's host and port.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// URL returns the proxy's address, with its password.
func (p *Proxy) URL() string { return p.address(viaUpstream) }

func (p *Proxy) address(name string) string {
	return (&url.URL{Scheme: "http", Host: p.Address(), User: url.UserPassword(name, p.password)}).String()
}

// Failure returns why the latest connection that did not come about was refused, or which name was not known: a [*RefusedError] or a
// [*net.DNSError]. A refusal is never forgotten for something later. It is nil when there was none.
func (p *Proxy) Failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failure
}

func (p *Proxy) note(err error) {
	_, unknown := errors.AsType[*net.DNSError](err)
	p.mu.Lock()
	defer p.mu.Unlock()
	if Refused(err) != nil || unknown && p.failure == nil {
		p.failure = err
	}
}

// Close ends the proxy and all of its connections.
func (p *Proxy) Close() {
	p.cancel()
	_ = p.server.Close() // which is of no use any more
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	name, ok := p.signedIn(r)
	if !ok {
		w.Header().Set("Proxy-Authenticate", `Basic realm="atelier"`)
		http.Error(w, "This proxy is for one program.", http.StatusProxyAuthRequired)
		return
	}
	target := r.URL
	switch {
	case r.Method == http.MethodConnect:
		target = &url.URL{Scheme: "https", Host: r.Host}
	case r.URL.Scheme != "http" || r.URL.Host == "":
		http.Error(w, "This is a proxy.", http.StatusBadRequest)
		return
	}
	via, err := p.route(r.Context(), name, target)
	if err != nil {
		p.fail(w, err)
		return
	}
	if r.Method == http.MethodConnect {
		p.tunnel(w, r, via)
	} else {
		p.forward(w, r, via)
	}
}

func (p *Proxy) signedIn(r *http.Request) (name string, ok bool) {
	encoded, _ := strings.CutPrefix(r.Header.Get("Proxy-Authorization"), "Basic ")
	text, err := base64.StdEncoding.DecodeString(encoded)
	name, password, _ := strings.Cut(string(text), ":")
	return name, err == nil && subtle.ConstantTimeCompare([]byte(password), []byte(p.password)) == 1
}

// route returns the operator's proxy that leads to a target; nil when the dialer does. What the dialer refuses no proxy is asked for.
func (p *Proxy) route(ctx context.Context, name string, target *url.URL) (via *url.URL, err error) {
	if p.upstream == nil || name != viaUpstream {
		return nil, nil
	}
	if via, err = p.upstream(target); err != nil || via == nil {
		return nil, err
	}
	return via, p.dialer.Check(ctx, target.Hostname())
}

// fail answers that a connection did not come about, without a word about what is at its other end.
func (p *Proxy) fail(w http.ResponseWriter, err error) {
	p.note(err)
	if refused := Refused(err); refused != nil {
		http.Error(w, refused.Error(), http.StatusForbidden)
		return
	}
	http.Error(w, "no connection", http.StatusBadGateway)
}

// forward passes on a request that is not encrypted.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request, via *url.URL) {
	transport := &http.Transport{DialContext: p.dialer.DialContext, DisableCompression: true, DisableKeepAlives: true}
	if via != nil {
		transport.DialContext, transport.Proxy = nil, http.ProxyURL(via)
	}
	(&httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.Out.Host = "" }, // the one of the address
		Transport:    transport,
		ErrorLog:     p.server.ErrorLog,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { p.fail(w, err) },

		FlushInterval: -1,
	}).ServeHTTP(w, r)
}

// tunnel connects a program with a host, and passes on what they say.
func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request, via *url.URL) {
	dial := p.dialer.DialContext
	if via != nil {
		dial = through(via)
	}
	host, err := dial(r.Context(), "tcp", r.Host)
	if err != nil {
		p.fail(w, err)
		return
	}
	defer host.Close()
	program, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer program.Close()
	if _, err := io.WriteString(program, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	early := make([]byte, buffered.Reader.Buffered())
	if _, err := io.ReadFull(buffered, early); err != nil {
		return
	}
	if _, err := host.Write(early); err != nil {
		return
	}
	join(p.ctx, program, host)
}

// join passes on what two connections say, until both have ended or ctx ends.
func join(ctx context.Context, a, b net.Conn) {
	defer context.AfterFunc(ctx, func() {
		a.Close()
		b.Close()
	})()
	var copying sync.WaitGroup
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		copying.Go(func() {
			_, err := io.Copy(pair[0], pair[1])
			if half, ok := pair[0].(interface{ CloseWrite() error }); ok && err == nil {
				err = half.CloseWrite()
			} else if err == nil {
				err = pair[0].Close()
			}
			if err != nil { // then the other half is of no use either
				a.Close()
				b.Close()
			}
		})
	}
	copying.Wait()
}
