package httpapi

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/time/rate"

	"atelier/internal/iam"
)

// auditEvents are the vendor's names of what operations do. Others that change something have their own name, with a small letter first.
var auditEvents = map[string]string{
	"CreateBuildJob": "createJob", "CreateNewJob": "createJob", "CopyJob": "createJob",
	"RunJob": "buildJob", "ExecuteJob": "buildJob", "RerunBuild": "buildJob", "ExecuteAutoBuildJob": "buildJob",
	"DeleteBuildJob": "deleteJob", "DeleteTheJob": "deleteJob", "BatchDeleteBuildJobs": "deleteJob",
	"UpdateBuildJob": "updateJob", "UpdateNewJob": "updateJob",
	"DisableBuildJob": "disableJob", "EnableBuildJob": "enableJob", "DisableTheJob": "disableJob", // or enables: see auditEvent
	"StopBuildJob": "stopJob", "StopTheJob": "stopJob",
	"CreateTemplate": "createCustomTemplate", "CreateTemplates": "createCustomTemplate",
	"DeleteTemplate": "deleteCustomTemplate", "DeleteTemplates": "deleteCustomTemplate",
}

// onlyRead are operations that change nothing, though their method says so.
var onlyRead = []string{"ListBriefRecord", "ShowDomainsStatuses", "ShowPackageSpecCountDown", "ListRecommendOfficialTemplate"}

// auditEvent is what a request does, in the audit log; empty when it changes nothing, and for proofs that are only issued.
func auditEvent(o operation, body []byte) string {
	if o.method == http.MethodGet || o.method == http.MethodHead || o.open || slices.Contains(onlyRead, o.id) {
		return ""
	}
	if o.id == "DisableTheJob" {
		var in struct {
			Disabled looseBool `json:"disabled"`
		}
		if json.Unmarshal(body, &in) == nil && in.Disabled.value != nil && !*in.Disabled.value {
			return "enableJob"
		}
	}
	if event := auditEvents[o.id]; event != "" {
		return event
	}
	name := []rune(o.id)
	name[0] = unicode.ToLower(name[0])
	return string(name)
}

// The keys that say what a request is about: in its path, query and body, and in the answer of one that makes something.
var (
	asked = []string{
		"job_id", "job_ids", "copy_job_id", "project_id", "build_no", "record_id", "id", "uuid", "template_id", "keystore_id", "permission_id", "user_id",
		"group_id", "source_group_id", "target_group_id", "notice_type", "delivery_id", "message_id",
	}
	made = []string{"job_id", "actual_build_number", "id", "uuid", "keystore_id"}
)

// subject is an id, a number or a word. Whatever else a client sends in its place may be anything, also a secret.
var subject = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

// subjects are what a request is about, by the keys above.
type subjects map[string][]string

func (s subjects) note(key string, value any) {
	switch v := value.(type) {
	case string:
		if subject.MatchString(v) && !slices.Contains(s[key], v) {
			s[key] = append(s[key], v)
		}
	case float64:
		s.note(key, strconv.FormatFloat(v, 'f', -1, 64))
	case []any:
		for _, one := range v {
			s.note(key, one)
		}
	}
}

// read looks for keys in JSON, and in what stands below result and jobs there.
func (s subjects) read(keys []string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			switch {
			case slices.Contains(keys, key):
				s.note(key, inner)
			case key == "result", key == "jobs":
				s.read(keys, inner)
			}
		}
	case []any:
		for _, one := range v {
			s.read(keys, one)
		}
	}
}

// about finds out what a request is about.
func about(r *http.Request, o operation, body []byte, answer any) subjects {
	s := subjects{}
	query := r.URL.Query()
	for _, key := range asked {
		if strings.Contains(o.path, "{"+key+"}") {
			s.note(key, r.PathValue(key))
		}
		for _, value := range query[key] {
			s.note(key, value)
		}
	}
	var sent, given any
	if json.Unmarshal(body, &sent) == nil { // a form is none
		s.read(asked, sent)
	}
	if text, err := encode(answer); err == nil && json.Unmarshal(text, &given) == nil {
		s.read(made, given)
	}
	return s
}

// audit notes a request that changes something, also one that was refused. Of the body it says no more than what the request is about, since the
// rest may hold secrets.
func (a *API) audit(r *http.Request, o operation, body []byte, answer any, caller iam.Caller, requestID string, err error) {
	event := auditEvent(o, body)
	if a.Audit == nil || event == "" || caller.User.ID == "" {
		return
	}
	if err != nil {
		answer = nil
	}
	status, code := http.StatusOK, ""
	if err != nil {
		e := onWire(err, o.old())
		status, code = e.Status, e.Code
	}
	a.Audit.LogAttrs(r.Context(), slog.LevelInfo, event, //nolint:sloglint // the event is what such lines are looked up by
		slog.String("operation", o.id), slog.String("user_id", caller.User.ID), slog.String("user_name", caller.User.Name), slog.String("domain_id", caller.User.DomainID),
		slog.String("source", r.RemoteAddr), slog.String("path", r.URL.Path), slog.Any("about", about(r, o, body, answer)), slog.Int("status", status), slog.String("error_code", code), slog.String("request_id", requestID))
}

// limiter bounds how many requests come with each key.
type limiter struct {
	perSecond int

	mu         sync.Mutex
	young, old map[string]*rate.Limiter // as in a cache: who was not there for a while is forgotten
}

const maxLimited = 4096

// allow reports whether a request with a key may be made now; otherwise it says when.
func (l *limiter) allow(key string, now time.Time) (wait time.Duration, ok bool) {
	if l.perSecond == 0 {
		return 0, true
	}
	l.mu.Lock()
	one := l.young[key]
	if one == nil {
		if one = l.old[key]; one == nil {
			one = rate.NewLimiter(rate.Limit(l.perSecond), 2*l.perSecond)
		}
		if len(l.young) >= maxLimited || l.young == nil {
			l.young, l.old = make(map[string]*rate.Limiter), l.young
		}
		l.young[key] = one
	}
	l.mu.Unlock()
	reservation := one.ReserveN(now, 1)
	if wait = reservation.DelayFrom(now); wait == 0 {
		return 0, true
	}
	reservation.CancelAt(now)
	return wait, false
}

// limited is the answer to a caller who asks too often.
func (a *API) limited(caller iam.Caller) error {
	if wait, ok := a.limits.allow(caller.Key(), a.Now()); !ok {
		return &apiError{
			Status: http.StatusTooManyRequests, Code: codeThrottled, Message: "The throttling threshold has been reached: try again later.",
			retryAfter: max(1, int(wait.Seconds()+0.999)),
		}
	}
	return nil
}

// measured is an answer whose status and size are known afterwards.
type measured struct {
	http.ResponseWriter
	status    int
	bytes     int64
	operation string
	code      string // of an error
}

func (m *measured) WriteHeader(code int) {
	if m.status == 0 {
		m.status = code
	}
	m.ResponseWriter.WriteHeader(code)
}

func (m *measured) Write(p []byte) (int, error) {
	if m.status == 0 {
		m.status = http.StatusOK
	}
	n, err := m.ResponseWriter.Write(p)
	m.bytes += int64(n)
	return n, err
}

// Unwrap is for [http.ResponseController].
func (m *measured) Unwrap() http.ResponseWriter { return m.ResponseWriter }

// logged has every request in the access log.
func (a *API) logged(next http.Handler) http.Handler {
	if a.Access == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := a.Now()
		m := &measured{ResponseWriter: w}
		defer func() { // also when the answer was broken off
			a.Access.LogAttrs(r.Context(), slog.LevelInfo, "request",
				slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", m.status), slog.Int64("bytes", m.bytes),
				slog.Duration("took", a.Now().Sub(began)), slog.String("source", r.RemoteAddr), slog.String("agent", r.UserAgent()),
				slog.String("request_id", w.Header().Get(requestIDHeader)), slog.String("operation", m.operation), slog.String("error_code", m.code))
		}()
		next.ServeHTTP(m, r)
	})
}
