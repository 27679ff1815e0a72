package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"atelier/internal/address"
	"atelier/internal/artifact"
	"atelier/internal/build"
	"atelier/internal/endpoint"
	"atelier/internal/hook"
	"atelier/internal/iam"
	"atelier/internal/keystore"
	"atelier/internal/logs"
	"atelier/internal/notice"
	"atelier/internal/plan"
	"atelier/internal/template"
)

// Parts are what the API is made of.
type Parts struct {
	Builds    *build.Service
	IAM       *iam.Service
	Logs      *logs.Store
	Artifacts *artifact.Store
	Keystore  *keystore.Service
	Endpoints *endpoint.Service
	Templates *template.Service
	Notices   *notice.Service
	Hooks     *hook.Service
	Epoch     func(context.Context) (int64, error) // moves on when what is cached may be wrong
	Log       *slog.Logger
	Zone      *time.Location // of the times that clients give and read without one
	Now       func() time.Time
	Region    string
	Images    []Image      // that build steps can ask for by name
	Modules   plan.Modules // of the operator
	Anywhere  bool         // steps may run in any image, not only in those
	Internal  bool         // the server can be reached from private networks only

	Console http.Handler // the pages for browsers; nil for none

	Access  *slog.Logger    // gets a line for every request; nil for none
	Audit   *slog.Logger    // gets a line for everything that somebody changes; nil for none
	Proxies address.Proxies // whose word about the client of a request is taken

	Rate int // requests with one key in a second; 0 for no limit

	MissingIs422 bool // answer 422, not 404, about what does not exist

	Connections int // that may be open at a time; 0 for no limit

	Closing <-chan struct{} // is closed when the server stops: streams, which would go on, end
}

// API answers the vendor's operations and those of its identity service.
type API struct {
	Parts
	finished  finishedRecords
	limits    limiter
	bodies    bodies
	streams   crowd // logs that are followed, by user
	requests  crowd // of HTTP/2, by source: one connection has many
	documents documents
}

// Limits of what stands before a request's body.
const (
	maxURI    = 8 << 10
	maxHeader = 32 << 10

	// MaxHeaderBytes is for the server, which does not read on beyond it.
	MaxHeaderBytes = 64 << 10
)

// New returns the API as a handler. Many of the vendor's paths overlap, such as /v3/jobs/{job_id}/copy and
// /v3/{project_id}/jobs/config, which [http.ServeMux] refuses; the router takes the path whose first fixed segment matches.
func New(parts Parts) http.Handler {
	a := &API{Parts: parts, limits: limiter{perSecond: parts.Rate}}
	a.streams.most, a.requests.most = parts.Connections/2, parts.Connections
	a.finished.epoch, a.finished.check = parts.Epoch, parts.Builds.Check
	mux := chi.NewRouter()
	for _, o := range a.operations() {
		mux.Method(o.method, o.path, a.handler(o))
	}
	for _, path := range []string{openAPIJSON, openAPIYAML} {
		mux.Get(path, a.serveDocument)
	}
	if a.Console != nil {
		for _, path := range []string{"/", "/docs", "/console/*"} {
			mux.Handle(path, a.Console)
		}
	}
	unknown := func(w http.ResponseWriter, r *http.Request) { a.writeError(w, r, errNoSuchAPI, nil, buildError) }
	mux.NotFound(unknown)
	mux.MethodNotAllowed(unknown) // the vendor's gateway knows an API by its method too
	return a.logged(a.gateway(mux))
}

// operations returns the table of everything that the API can do.
func (a *API) operations() []operation {
	return slices.Concat(
		a.jobOperations(), a.jobListOperations(), a.buildOperations(), a.runningOperations(), a.recordInfoOperations(), a.recordOperations(), a.buildInfoOperations(), a.stageOperations(),
		a.flowOperations(), a.historyOperations(), a.logOperations(), a.artifactOperations(), a.reportOperations(), a.permissionOperations(), a.keystoreOperations(), a.templateOperations(), a.tenantOperations(), a.noticeOperations(), a.hookOperations(), a.iamOperations(),
		a.jobCopyOperations(), a.binOperations(), a.jobHistoryOperations(), a.groupOperations(), a.jobInfoOperations(), a.endpointOperations(), a.parameterOperations(),
	)
}

// What the gateway says before an operation is reached.
var (
	errNoSuchAPI    = gatewayError(http.StatusNotFound, codeNoSuchAPI, "The API does not exist or has not been published in the environment.")
	errLongURI      = gatewayError(http.StatusRequestURITooLong, codeGateway, "Request URI too large. It may have at most %d bytes.", maxURI)
	errLongHeader   = gatewayError(http.StatusRequestHeaderFieldsTooLarge, codeGateway, "Request headers too large. They may have at most %d bytes.", maxHeader)
	errManyBodies   = &apiError{Status: http.StatusTooManyRequests, Code: codeThrottled, Message: "Too many large requests at a time. Try again later.", retryAfter: 1}
	errManyStreams  = &apiError{Status: http.StatusTooManyRequests, Code: codeThrottled, Message: "Too many logs are followed at a time. Try again later.", retryAfter: 5}
	errManyRequests = &apiError{Status: http.StatusTooManyRequests, Code: codeThrottled, Message: "Too many requests at a time. Try again later.", retryAfter: 1}
	errSlowBody     = gatewayError(http.StatusBadRequest, codeGateway, "API request error. The body came too slowly.")
	errCutBody      = gatewayError(http.StatusBadRequest, codeGateway, "API request error. The body ended before it was complete.")
)

func longBody(most int64) *apiError {
	return gatewayError(http.StatusRequestEntityTooLarge, codeGateway, "Request entity too large. A body may have at most %d bytes.", most)
}

func gatewayError(status int, code, format string, args ...any) *apiError {
	return &apiError{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Headers of every answer: a browser does not take it for what it is not, and comes back by TLS only. It ignores the second for
// certificates that it does not trust.
var (
	noSniffing = []string{"nosniff"}
	onlyTLS    = []string{"max-age=31536000"}
)

// Limits of requests by HTTP/2, where one connection has many at a time.
const (
	StreamsPerConnection = 64
	requestsPerSource    = 512
	maxAnswer            = 15 * time.Minute
)

// gateway is what every request passes first. It gives the request an id, refuses what is too large, and turns a panic into an
// answer.
func (a *API) gateway(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()[requestIDHeader] = []string{newRequestID()}
		w.Header()["X-Content-Type-Options"] = noSniffing
		if r.TLS != nil {
			w.Header()["Strict-Transport-Security"] = onlyTLS
		}
		trackBody(w, r)
		r.RemoteAddr = a.Proxies.Client(r)
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { //nolint:errorlint // the documented way to compare it
					panic(p)
				}
				err := fmt.Errorf("panic: %v\n%s", p, debug.Stack())
				if w.Header().Get("Content-Type") != "" { // the answer has begun
					a.Log.ErrorContext(r.Context(), "panic in an answer", "request_id", w.Header().Get(requestIDHeader), "error", err)
					panic(http.ErrAbortHandler)
				}
				a.writeError(w, r, onWire(err, false), err, buildError)
			}
		}()
		if r.ProtoMajor > 1 {
			release, ok := a.requests.take(address.Source(r.RemoteAddr), requestsPerSource)
			if !ok {
				a.writeError(w, r, errManyRequests, nil, buildError)
				return
			}
			defer release()
			// By HTTP/2 a client can stop taking one answer and go on with others; nothing of an answer may wait for long.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(maxAnswer))
		}
		switch {
		case len(r.RequestURI) > maxURI:
			a.writeError(w, r, errLongURI, nil, buildError)
		case headerSize(r.Header) > maxHeader:
			a.writeError(w, r, errLongHeader, nil, buildError)
		case !isClean(r.URL.Path):
			// What a client signs is the path as it stands, so there is one way to write it.
			a.writeError(w, r, errNoSuchAPI, nil, buildError)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func isClean(p string) bool {
	return strings.HasPrefix(p, "/") && (path.Clean(p) == p)
}

func headerSize(h http.Header) int {
	n := 0
	for key, values := range h {
		for _, v := range values {
			n += len(key) + len(v)
		}
	}
	return n
}
