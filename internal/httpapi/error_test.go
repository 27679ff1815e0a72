package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/fault"
	"atelier/internal/iam"
)

// TestErrors checks what clients are told about each kind of failure, by current operations and by those of /v1 and /v2.
func TestErrors(t *testing.T) {
	t.Parallel()
	const field = "Invalid parameter. job_name: is taken"
	for _, test := range []struct {
		name            string
		err             error
		status          int
		code, old, text string
	}{
		{"field", fault.Field("job_name", "is taken"), 400, "CB.00060200", "CB.00060200", field},
		{"wrapped", fmt.Errorf("create: %w", fault.Field("job_name", "is taken")), 400, "CB.00060200", "CB.00060200", field},
		{"forbidden", fault.New(fault.Forbidden, "no"), 403, "CB.00031001", "DEVCB.00031001", "no"},
		{"missing", fault.New(fault.NotFound, "no"), 404, "CB.00031006", "DEVCB.00031006", "no"},
		{"exists", fault.New(fault.Exists, "no"), 400, "CB.00039001", "CB.00039001", "no"},
		{"disabled", fault.New(fault.Disabled, "no"), 400, "CB.00039002", "CB.00039002", "no"},
		{"limit", fault.New(fault.Limit, "no"), 400, "CB.00039003", "CB.00039003", "no"},
		{"finished", fault.New(fault.Finished, "no"), 400, "DEV.CB.032302", "DEV.CB.032302", "no"},
		{"no history", fault.New(fault.NoHistory, "no"), 403, "CB.00031059", "CB.00031059", "no"},
		{"period", fault.New(fault.Period, "no"), 400, "CB.00031105", "CB.00031105", "no"},
		{"unproven", fault.New(fault.Unauthenticated, "no"), 401, "APIGW.0301", "APIGW.0301", "Incorrect IAM authentication information: no"},
		{"bad proof", &iam.AuthError{Reason: iam.Unproven, Message: "no"}, 401, "APIGW.0301", "APIGW.0301", "Incorrect IAM authentication information: no"},
		{"outdated", &iam.AuthError{Reason: iam.Outdated, Message: "The token must be updated."}, 401, "APIGW.0307", "APIGW.0307", "The token must be updated."},
		{"blocked", &iam.AuthError{Reason: iam.Blocked, Message: "no"}, 403, "APIGW.0302", "APIGW.0302", "no"},
		{"throttled", &iam.AuthError{Reason: iam.Throttled, Message: "no"}, 429, "APIGW.0308", "APIGW.0308", "The throttling threshold has been reached: no"},
		{
			"store away", fault.Wrap(errors.New("dial tcp 10.0.0.1"), fault.Unavailable, "database"), 500, "CB.00060100", "CB.00060100",
			"The service is briefly unavailable. Try again later.",
		},
		{
			"internal", errors.New("no such table: records"), 500, "CB.00060101", "CB.00060101",
			"Internal error. Its details are in the server's log under this request id.",
		},
		{
			"internal fault", fault.Wrap(errors.New("disk"), fault.Internal, "write /var/lib/x"), 500, "CB.00060101", "CB.00060101",
			"Internal error. Its details are in the server's log under this request id.",
		},
		{"ready", errNoSuchAPI, 404, "APIGW.0101", "APIGW.0101", "The API does not exist or has not been published in the environment."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, old := range []bool{false, true} {
				code := test.code
				if old {
					code = test.old
				}
				e := onWire(test.err, old)
				want := errorBody{code, test.text, "r1"}
				if diff := cmp.Diff(want, buildError(e, "r1")); diff != "" || e.Status != test.status {
					t.Errorf("old %v: status %d, -want +got:\n%s", old, e.Status, diff)
				}
			}
		})
	}
}

// TestFaultKinds checks that no kind of fault was forgotten.
func TestFaultKinds(t *testing.T) {
	t.Parallel()
	for kind := fault.Internal; kind <= fault.Unavailable; kind++ {
		if w, ok := wireFaults[kind]; !ok || w.status < 400 || w.code == "" {
			t.Errorf("kind %d is %+v", kind, w)
		}
	}
	if _, ok := wireFaults[fault.Unavailable+1]; ok || len(wireFaults) != int(fault.Unavailable)+1 {
		t.Error("there are more kinds than this test knows")
	}
}

// TestIdentityErrors checks the two other forms of errors, one of which has a number for its code.
func TestIdentityErrors(t *testing.T) {
	t.Parallel()
	login := &iam.AuthError{Reason: iam.Unproven, Message: "The username or password is wrong."}
	for _, test := range []struct {
		err                  error
		identity, credential string
	}{
		{
			login, `{"error":{"code":401,"message":"The username or password is wrong.","title":"Unauthorized"}}`,
			`{"error_code":"IAM.0001","error_msg":"The username or password is wrong."}`,
		},
		{
			fault.Field("auth.scope", "is odd"), `{"error":{"code":400,"message":"The request body is invalid: auth.scope: is odd","title":"Bad Request"}}`,
			`{"error_code":"IAM.0011","error_msg":"auth.scope: is odd"}`,
		},
		{
			fault.New(fault.Forbidden, "You are not authorized."), `{"error":{"code":403,"message":"You are not authorized.","title":"Forbidden"}}`,
			`{"error_code":"IAM.0002","error_msg":"You are not authorized."}`,
		},
		{
			fault.New(fault.NotFound, "gone"), `{"error":{"code":404,"message":"gone","title":"Not Found"}}`,
			`{"error_code":"IAM.0004","error_msg":"gone"}`,
		},
		{
			errors.New("/secret/path"),
			`{"error":{"code":500,"message":"Internal error. Its details are in the server's log under this request id.","title":"Internal Server Error"}}`,
			`{"error_code":"IAM.0006","error_msg":"Internal error. Its details are in the server's log under this request id."}`,
		},
	} {
		for _, form := range []struct {
			style errorStyle
			want  string
		}{{identityError, test.identity}, {credentialError, test.credential}} {
			got, err := json.Marshal(form.style(onWire(test.err, false), "r1"))
			if diff := cmp.Diff(form.want, string(got)); diff != "" || err != nil {
				t.Errorf("%v, -want +got:\n%s", err, diff)
			}
		}
	}
}

// TestThrottled checks that a client learns when to come back, rounded up.
func TestThrottled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := onWire(&iam.AuthError{Reason: iam.Throttled, Message: "wait", RetryAfter: 1500 * time.Millisecond}, false)
	if e.retryAfter != 2 {
		t.Errorf("retry after %d s", e.retryAfter)
	}
	body := `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"admin","password":"wrong","domain":{"name":"acme"}}}}}}`
	for range 20 {
		w := f.send(t.Context(), http.MethodPost, "/v3/auth/tokens", body)
		if w.Code == http.StatusUnauthorized {
			continue
		}
		if after := w.Header().Get("Retry-After"); w.Code != http.StatusTooManyRequests || after == "" || after == "0" || !strings.Contains(w.Body.String(), `"code":429`) {
			t.Errorf("got %d, Retry-After %q, %s", w.Code, after, w.Body)
		}
		return
	}
	t.Error("20 wrong passwords did not slow the client down")
}

// TestCodesAreDocumented checks that docs/errors.md has every code that the package can answer with.
func TestCodesAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`"((?:APIGW|CB|DEVCB|DEV\.CB)\.[0-9]+)"`)
	found := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range code.FindAllStringSubmatch(string(text), -1) {
			found++
			if !strings.Contains(string(page), "`"+match[1]+"`") {
				t.Errorf("%s: docs/errors.md does not have %s", file, match[1])
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d codes were found", found)
	}
}

// TestChinese checks that there are Chinese words for every code that the document has.
func TestChinese(t *testing.T) {
	t.Parallel()
	for operation, codes := range ErrorCodes() {
		for _, code := range codes {
			e := (&apiError{Code: code, Prefix: "x", Message: "y"}).inChinese()
			if !strings.HasSuffix(e.Prefix, "。") || e.Message != "y" {
				t.Errorf("%s: %+v", operation, e)
			}
		}
	}
}
