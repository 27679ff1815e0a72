package httpapi

import (
	"context"
	"net/http"
	"reflect"
	"strings"

	"atelier/internal/address"
	"atelier/internal/build"
	"atelier/internal/connection"
	"atelier/internal/iam"
)

// operation is one row of the table of everything that the API can do.
type operation struct {
	id      string // the vendor's operation id
	method  string
	path    string
	state   state
	summary string
	style   errorStyle
	global  bool // needs no region: an operation of the identity service
	open    bool // needs no proof of who calls
	// admit says, of an open operation whose proof is in the body, whom a request is for; only what may be from there is read.
	admit   func(c call) (string, error)
	in, out reflect.Type
	serve   func(c call) (any, error)
}

// state is what the vendor says of an operation's future. Here they all stay.
type state string

const (
	current  state = "current"
	outdated state = "outdated" // it has a newer twin
	retiring state = "retiring" // the vendor will take it away
	own      state = "own"      // the vendor has none like it
)

// old reports whether the operation is one of /v1 or /v2, some of whose error codes have another prefix.
func (o operation) old() bool {
	return strings.HasPrefix(o.path, "/v1/") || strings.HasPrefix(o.path, "/v2/")
}

// call is one request to an operation.
type call struct {
	w      http.ResponseWriter
	r      *http.Request
	body   []byte
	caller iam.Caller
}

func (c call) ctx() context.Context { return c.r.Context() }
func (c call) actor() build.Actor   { return c.caller.Actor() }

// handle makes an operation of a function that takes a request struct and returns an answer. Most answers are pointers to what becomes JSON;
// the others are those that [API.write] knows.
func handle[In, Out any](id, route string, s state, summary string, f func(call, In) (Out, error)) operation {
	method, path, _ := strings.Cut(route, " ")
	d := newDecoder(reflect.TypeFor[In]())
	return operation{
		id: id, method: method, path: path, state: s, summary: summary, in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](),
		serve: func(c call) (any, error) {
			var in In
			if err := d.decode(c.r, c.body, reflect.ValueOf(&in).Elem()); err != nil {
				return nil, err
			}
			return f(c, in)
		},
	}
}

// handler serves an operation: proof, input, work, answer.
func (a *API) handler(o operation) http.Handler {
	if o.style == nil {
		o.style = buildError
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.global {
			// SDKs print this one when a call of the identity service fails.
			w.Header()["X-Iam-Trace-Id"] = w.Header()[requestIDHeader]
		}
		if m, ok := w.(*measured); ok {
			m.operation = o.id
		}
		c := call{w: w, r: r}
		answer, err := a.answer(o, &c)
		a.audit(r, o, c.body, answer, c.caller, w.Header().Get(requestIDHeader), err)
		if err == nil {
			connection.Of(r.Context()).Known()
			err = a.write(w, r, answer)
		}
		if err != nil {
			a.writeError(w, r, onWire(err, o.old()), err, o.style)
		}
	})
}

// answer fills in the rest of a call, and answers it. Who calls is known before the body is read, as far as headers prove it.
func (a *API) answer(o operation, c *call) (any, error) {
	if c.r.ContentLength > maxBody {
		return nil, longBody(maxBody)
	}
	pending, owner, err := a.admit(o, c)
	if err != nil {
		return nil, err
	}
	var release func()
	c.body, release, err = a.bodies.read(c.r, owner)
	defer release()
	if err != nil {
		return nil, err
	}
	if pending != nil {
		if c.caller, err = pending.Finish(c.ctx(), c.body); err != nil {
			return nil, err
		}
		if !pending.Proven() {
			if err := a.accept(o, c.caller); err != nil {
				return nil, err
			}
		}
	}
	return o.serve(*c)
}

// admit judges what headers say of the caller, and returns who owns the body; pending is nil for an operation that anybody may
// call.
func (a *API) admit(o operation, c *call) (pending *iam.Pending, owner bodyOwner, err error) {
	switch {
	case o.admit != nil:
		owner.name, err = o.admit(*c)
		owner.name, owner.most = "hook "+owner.name+" "+address.Source(c.r.RemoteAddr), maxBody
	case o.open:
		owner = bodyOwner{name: "anybody " + address.Source(c.r.RemoteAddr), most: signInBody}
	default:
		if pending, err = a.examine(c.r); err != nil {
			return nil, owner, err
		}
		if !pending.Proven() {
			return pending, bodyOwner{name: "key " + pending.Claimed() + " " + address.Source(c.r.RemoteAddr), most: maxBody}, nil
		}
		c.caller = pending.Caller()
		return pending, bodyOwner{name: "caller " + c.caller.Key(), proven: true, most: maxBody}, a.accept(o, c.caller)
	}
	return nil, owner, err
}

// accept is what a caller that is proven has to pass.
func (a *API) accept(o operation, caller iam.Caller) error {
	if err := a.limited(caller); err != nil {
		return err
	}
	if o.global {
		return nil
	}
	return caller.InRegion()
}

// write sends an answer. An error means that nothing was sent.
func (a *API) write(w http.ResponseWriter, r *http.Request, answer any) error {
	code := http.StatusOK
	if s, ok := answer.(interface{ status() (int, any) }); ok {
		code, answer = s.status()
	}
	switch v := answer.(type) {
	case nil:
		w.WriteHeader(code)
	case interface{ raw() []byte }:
		writeJSON(w, code, v.raw())
	case *download:
		if err := v.write(w); err != nil {
			a.Log.DebugContext(r.Context(), "a download ended early", "request_id", w.Header().Get(requestIDHeader), "error", err)
			panic(http.ErrAbortHandler) // or the client would take what it has for the whole
		}
	case *artifactFile:
		v.serve(w, r)
	case *logEvents:
		v.write(w, r)
	default:
		body, err := encode(v)
		if err != nil {
			return err
		}
		writeJSON(w, code, body)
	}
	return nil
}

// open is an operation that asks for no token and no signature: it has proofs of its own.
func open(o operation) operation {
	o.open = true
	return o
}
