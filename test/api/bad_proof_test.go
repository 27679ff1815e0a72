package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/iam/signature"
	"atelier/internal/server/servertest"
)

// TestBadProof sends requests whose proof of who calls is odd.
func TestBadProof(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	other := s.NewUser("other")
	token, foreign := tokenOf(t, s, s.Developer), tokenOf(t, s, other)
	before := snapshot(t, s)
	path := "/v3/" + s.Project + "/jobs"
	late, early := time.Now().Add(-16*time.Minute), time.Now().Add(16*time.Minute)
	for name, test := range map[string]struct {
		prepare func(*http.Request)
		code    string
		words   string
	}{
		"nothing":      {func(*http.Request) {}, "APIGW.0301", "x-auth-token not found"},
		"empty token":  {func(r *http.Request) { r.Header.Set("X-Auth-Token", "") }, "APIGW.0301", "x-auth-token not found"},
		"wrong token":  {func(r *http.Request) { r.Header.Set("X-Auth-Token", token[:len(token)-1]+"x") }, "APIGW.0301", "decrypt token fail"},
		"long token":   {func(r *http.Request) { r.Header.Set("X-Auth-Token", strings.Repeat("a", 20_000)) }, "APIGW.0301", "decrypt token fail"},
		"two tokens":   {func(r *http.Request) { r.Header["X-Auth-Token"] = []string{token, token} }, "APIGW.0301", "X-Auth-Token is given 2 times"},
		"two proofs":   {func(r *http.Request) { r.Header["Authorization"] = []string{"SDK-HMAC-SHA256 a", "SDK-HMAC-SHA256 b"} }, "APIGW.0301", "Authorization is given 2 times"},
		"basic":        {func(r *http.Request) { r.SetBasicAuth("dev", servertest.Password) }, "APIGW.0301", `algorithm "Basic" is not offered, use SDK-HMAC-SHA256`},
		"bearer":       {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, "APIGW.0301", `algorithm "Bearer" is not offered`},
		"V11":          {func(r *http.Request) { r.Header.Set("Authorization", "V11-HMAC-SHA256 Credential=a") }, "APIGW.0301", `algorithm "V11-HMAC-SHA256" is not offered`},
		"no signature": {func(r *http.Request) { r.Header.Set("Authorization", "SDK-HMAC-SHA256") }, "APIGW.0301", "verify aksk signature fail"},
		"stale":        {func(r *http.Request) { signature.Sign(r, nil, other.Key, late) }, "APIGW.0301", "calc ak sk signature fail:signature expired"},
		"early":        {func(r *http.Request) { signature.Sign(r, nil, other.Key, early) }, "APIGW.0301", "calc ak sk signature fail:signature expired"},
		"no date": {func(r *http.Request) {
			signature.Sign(r, nil, other.Key, time.Now())
			r.Header.Set("X-Sdk-Date", "yesterday")
		}, "APIGW.0301", "signature expired"},
		"two dates": {func(r *http.Request) {
			signature.Sign(r, nil, other.Key, time.Now())
			r.Header.Add("X-Sdk-Date", r.Header.Get("X-Sdk-Date"))
		}, "APIGW.0301", "X-Sdk-Date is given 2 times"},
		"another path": {func(r *http.Request) {
			r.URL.Path += "x"
			signature.Sign(r, nil, other.Key, time.Now())
			r.URL.Path = path
		}, "APIGW.0301", "verify aksk signature fail"},
		"another query": {func(r *http.Request) {
			signature.Sign(r, nil, other.Key, time.Now())
			r.URL.RawQuery = "page_size=100"
		}, "APIGW.0301", "verify aksk signature fail"},
		"unknown key": {func(r *http.Request) {
			signature.Sign(r, nil, signature.Key{Access: "NOBODY", Secret: "x"}, time.Now())
		}, "APIGW.0301", "verify aksk signature fail"},
		"a signature and the token of another": {func(r *http.Request) {
			r.Header.Set("X-Auth-Token", foreign)
			signature.Sign(r, nil, s.Developer.Key, time.Now())
		}, "APIGW.0301", "X-Auth-Token and Authorization are of different users"},
		"a signature and a token that is none": {func(r *http.Request) {
			r.Header.Set("X-Auth-Token", "x")
			signature.Sign(r, nil, s.Developer.Key, time.Now())
		}, "APIGW.0301", "decrypt token fail"},
		"a token and a stale signature": {func(r *http.Request) {
			r.Header.Set("X-Auth-Token", token)
			signature.Sign(r, nil, s.Developer.Key, late)
		}, "APIGW.0301", "signature expired"},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.Request(http.MethodGet, path, "")
			test.prepare(r)
			checkProblem(t, s, s.Send(r), 401, test.code, "Incorrect IAM authentication information: ", test.words)
		})
	}
	t.Run("another body", func(t *testing.T) {
		r := s.Request(http.MethodPost, "/v1/job/create", `{"job_name": "b"}`)
		signature.Sign(r, []byte(`{"job_name": "a"}`), s.Developer.Key, time.Now())
		checkProblem(t, s, s.Send(r), 401, "APIGW.0301", "verify aksk signature fail")
	})

	// What scripts send, and is fine.
	for name, prepare := range map[string]func(*http.Request){
		"a token": func(r *http.Request) { r.Header.Set("X-Auth-Token", token) },
		"a signature and an empty token": func(r *http.Request) {
			r.Header.Set("X-Auth-Token", "")
			signature.Sign(r, nil, s.Developer.Key, time.Now())
		},
		"a signature and its own token": func(r *http.Request) {
			r.Header.Set("X-Auth-Token", token)
			signature.Sign(r, nil, s.Developer.Key, time.Now())
		},
		"a clock that is a bit slow": func(r *http.Request) { signature.Sign(r, nil, s.Developer.Key, time.Now().Add(-14*time.Minute)) },
	} {
		r := s.Request(http.MethodGet, path, "")
		prepare(r)
		if a := s.Send(r); a.Status != 200 {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if diff := cmp.Diff(before, snapshot(t, s)); diff != "" {
		t.Errorf("something has changed:\n%s", diff)
	}
}
