package source

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"atelier/internal/fault"
)

// gateway is a store of large files for git-lfs, on the loopback interface, which gets them from another store by way of the route.
type gateway struct {
	checkout *checkout
	store    lfsStore
	web      *webClients
	listener net.Listener
	server   *http.Server
	secret   string // part of the address, so that nobody else uses it

	mu      sync.Mutex
	actions []lfsAction
	why     error
}

// lfsAction says where an object is.
type lfsAction struct {
	Href   string       `json:"href"`
	Header headerFields `json:"header,omitempty"`
}

type lfsObject struct {
	OID           string               `json:"oid"`
	Size          int64                `json:"size"`
	Authenticated bool                 `json:"authenticated,omitempty"`
	Actions       map[string]lfsAction `json:"actions,omitempty"`
	Error         json.RawMessage      `json:"error,omitempty"`
}

type lfsBatch struct {
	Transfer string      `json:"transfer,omitempty"`
	Objects  []lfsObject `json:"objects"`
}

const (
	maxBatch = 16 << 20 // bytes of a question or an answer about objects
	lfsType  = "application/vnd.git-lfs+json"
)

func (k *checkout) startGateway(ctx context.Context, store lfsStore) (*gateway, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a gateway for large files: %w", err)
	}
	g := &gateway{checkout: k, store: store, web: k.newWebClients(), listener: listener, secret: rand.Text()}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /"+g.secret+"/objects/batch", g.batch)
	mux.HandleFunc("GET /"+g.secret+"/object/{n}", g.object)
	g.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	go func() { _ = g.server.Serve(listener) }() // until close
	return g, nil
}

func (g *gateway) close() {
	_ = g.server.Close() // which is of no use any more
	g.web.close()
}

func (g *gateway) url() string { return "http://" + g.listener.Addr().String() + "/" + g.secret }

// failure returns why a file was not got, in words for clients; nil when there is no reason that the gateway knows.
func (g *gateway) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.why
}

// fail tells git-lfs to give up, and keeps the reason.
func (g *gateway) fail(w http.ResponseWriter, err error) {
	subject := "what git lfs fetches for the repository " + g.checkout.URL
	why := g.checkout.way.failure(subject)
	if why == nil {
		why = g.checkout.client.explain(subject, err.Error(), err)
	}
	if why == nil {
		why = fault.Wrap(err, fault.Unavailable, "%s cannot be read: its host does not answer", subject)
	}
	g.mu.Lock()
	if g.why == nil {
		g.why = why
	}
	g.mu.Unlock()
	w.Header().Set("Content-Type", lfsType)
	w.WriteHeader(http.StatusUnprocessableEntity) // which is not tried again
	said, _ := fault.Public(why)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": said}) // for a program that may be gone
}

// batch answers where objects are: in this gateway, under numbers.
func (g *gateway) batch(w http.ResponseWriter, r *http.Request) {
	question, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBatch))
	if err != nil {
		g.fail(w, err)
		return
	}
	header := headerFields{"Accept": lfsType, "Content-Type": lfsType}
	for name, value := range g.store.header {
		header[name] = value
	}
	answer, err := g.web.do(r.Context(), webRequest{http.MethodPost, strings.TrimSuffix(g.store.address, "/") + "/objects/batch", header, question, g.opener(g.store.address)})
	if err != nil {
		g.fail(w, err)
		return
	}
	defer answer.Body.Close()
	var batch lfsBatch
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxBatch)).Decode(&batch); err != nil {
		g.fail(w, fmt.Errorf("the store's answer cannot be read: %w", err))
		return
	}
	batch.Transfer = "basic"
	for i := range batch.Objects {
		g.keep(&batch.Objects[i])
	}
	w.Header().Set("Content-Type", lfsType)
	_ = json.NewEncoder(w).Encode(batch) // for a program that may be gone
}

// keep notes where an object is, and puts the gateway in that place.
func (g *gateway) keep(o *lfsObject) {
	action, ok := o.Actions["download"]
	o.Actions, o.Authenticated = nil, true
	if !ok {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	o.Actions = map[string]lfsAction{"download": {Href: g.url() + "/object/" + strconv.Itoa(len(g.actions))}}
	g.actions = append(g.actions, action)
}

// object passes on an object, or the part of it that is asked for.
func (g *gateway) object(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	g.mu.Lock()
	if err != nil || n < 0 || n >= len(g.actions) {
		g.mu.Unlock()
		http.NotFound(w, r)
		return
	}
	action := g.actions[n]
	g.mu.Unlock()
	header := headerFields{}
	for name, value := range action.Header {
		header[name] = value
	}
	if part := r.Header.Get("Range"); part != "" {
		header["Range"] = part
	}
	answer, err := g.web.do(r.Context(), webRequest{http.MethodGet, action.Href, header, nil, g.opener(action.Href)})
	if err != nil {
		g.fail(w, err)
		return
	}
	defer answer.Body.Close()
	for _, name := range []string{"Content-Length", "Content-Range", "Content-Type"} {
		if value := answer.Header.Get(name); value != "" {
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body) // what breaks off is asked for again
}

// opener returns the address whose credential counts for a request: that of the repository when it is on the same host, the request's
// own when it goes to the store, and none for other hosts.
func (g *gateway) opener(address string) string {
	switch {
	case sameHost(address, g.store.origin):
		return g.store.origin
	case sameHost(address, g.store.address):
		return address
	}
	return ""
}

func sameHost(a, b string) bool {
	first, ok := webAddress(a)
	second, ok2 := webAddress(b)
	return ok && ok2 && hostPart(first) == hostPart(second)
}

// hostPart returns scheme, host and port of an address in the form of [webAddress].
func hostPart(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}

// webRequest is a request to a store.
type webRequest struct {
	method, address string
	header          headerFields
	body            []byte
	opener          string // address whose credential counts; empty for none
}

func (r webRequest) build(ctx context.Context) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, r.method, r.address, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	for name, value := range r.header {
		request.Header.Set(name, value)
	}
	return request, nil
}
