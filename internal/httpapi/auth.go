package httpapi

import (
	"errors"
	"math"
	"net/http"
	"strconv"

	"atelier/internal/iam"
)

// authenticate returns who sent a request.
func (a *API) authenticate(r *http.Request, body []byte) (iam.Caller, error) {
	pending, err := a.examine(r)
	if err != nil {
		return iam.Caller{}, err
	}
	return pending.Finish(r.Context(), body)
}

// examine judges the headers of a request.
func (a *API) examine(r *http.Request) (*iam.Pending, error) {
	for _, name := range []string{"X-Auth-Token", "Authorization", "X-Sdk-Date"} {
		if n := len(r.Header[name]); n > 1 {
			return nil, &iam.AuthError{Reason: iam.Unproven, Message: name + " is given " + strconv.Itoa(n) + " times"}
		}
	}
	return a.IAM.Examine(r.Context(), r)
}

// authFaults is the table from reasons of refused proofs to statuses and codes of the vendor's gateway.
var authFaults = map[iam.Reason]struct {
	status int
	code   string
	prefix string
}{
	iam.Unproven:  {http.StatusUnauthorized, "APIGW.0301", "Incorrect IAM authentication information: "},
	iam.Outdated:  {http.StatusUnauthorized, "APIGW.0307", ""},
	iam.Blocked:   {http.StatusForbidden, "APIGW.0302", ""},
	iam.Throttled: {http.StatusTooManyRequests, codeThrottled, "The throttling threshold has been reached: "},
}

// refusal returns how a refused proof looks on the wire; nil when err is none.
func refusal(err error) *apiError {
	e, ok := errors.AsType[*iam.AuthError](err)
	if !ok {
		return nil
	}
	f := authFaults[e.Reason]
	return &apiError{Status: f.status, Code: f.code, Prefix: f.prefix, Message: e.Message, retryAfter: int(math.Ceil(e.RetryAfter.Seconds()))}
}
