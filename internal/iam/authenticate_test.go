package iam_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"atelier/internal/fault"
	"atelier/internal/iam"
	"atelier/internal/iam/signature"
)

const wrongSignature = "verify aksk signature fail"

func TestBySignature(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.newKey(b.dev)
	for _, r := range []*http.Request{
		b.signed(key), b.signed(key), // the second out of memory
		b.signed(key, "X-Project-Id", b.region.ID), b.signed(key, "X-Domain-Id", b.acme.ID), b.signed(key, "X-Project-Id", ""),
	} {
		c, err := b.Authenticate(t.Context(), r, nil)
		if err != nil || c.User != b.dev || c.Domain != b.acme || c.Region != b.region || c.Proof != iam.WithSignature || !c.ExpiresAt.IsZero() || c.InRegion() != nil {
			t.Errorf("caller %+v, %v", c, err)
		}
	}
}

func TestSignedForAnotherPlace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.newKey(b.dev)
	for header, values := range map[string][]string{
		"X-Project-Id": {b.elsewhere.ID, "none", region}, "X-Domain-Id": {b.other.ID, "acme"},
	} {
		for _, v := range values {
			_, err := b.Authenticate(t.Context(), b.signed(key, header, v), nil)
			wantRefused(t, err, iam.Blocked, header)
			wantKind(t, err, fault.Forbidden, "")
		}
	}
	// A team's part of the region is served, and chosen only by its id.
	team := iam.Region{ID: "region-team", DomainID: b.acme.ID, Name: region + "_team", CreatedAt: start}
	b.check(b.store.CreateRegion(t.Context(), team))
	b.check(b.store.CreateRegion(t.Context(), iam.Region{ID: "region-far", DomainID: b.acme.ID, Name: "cn-north-40", CreatedAt: start}))
	c, err := b.Authenticate(t.Context(), b.signed(key, "X-Project-Id", team.ID), nil)
	if err != nil || c.Region != team {
		t.Errorf("%+v, %v", c, err)
	}
	_, err = b.Authenticate(t.Context(), b.signed(key, "X-Project-Id", "region-far"), nil)
	wantRefused(t, err, iam.Blocked, "X-Project-Id")
}

func TestTamperedRequests(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.newKey(b.dev)
	body := []byte(`{"job_id":"1"}`)
	tests := map[string]func(r *http.Request) []byte{
		"method":        func(r *http.Request) []byte { r.Method = http.MethodDelete; return body },
		"path":          func(r *http.Request) []byte { r.URL.Path = "/v3/jobs"; return body },
		"query":         func(r *http.Request) []byte { r.URL.RawQuery = "name=cn-north-1"; return body },
		"body":          func(*http.Request) []byte { return []byte(`{"job_id":"2"}`) },
		"no body":       func(*http.Request) []byte { return nil },
		"host":          func(r *http.Request) []byte { r.Host = "evil.example.org"; return body },
		"region":        func(r *http.Request) []byte { r.Header.Set("X-Project-Id", b.region.ID); return body },
		"signed header": func(r *http.Request) []byte { r.Header.Set("X-Note", "2"); return body },
		"second value":  func(r *http.Request) []byte { r.Header.Add("X-Note", "2"); return body },
		"date":          func(r *http.Request) []byte { r.Header.Set("X-Sdk-Date", "20220909T063501Z"); return body },
		"unsigned body": func(r *http.Request) []byte {
			r.Header.Set("X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD")
			return []byte("x")
		},
		"signature": authorization("Signature=", "Signature=00"),
		"last digits": func(r *http.Request) []byte {
			a := r.Header.Get("Authorization")
			r.Header.Set("Authorization", a[:len(a)-2]+"00")
			return body
		},
		"access key":     authorization("Access=", "Access=X"),
		"signed headers": authorization("x-note;", ""),
		"nothing signed": authorization("x-sdk-date", "x-none"),
		"no signature":   authorization("Signature=", "Nothing="),
	}
	sign := func() *http.Request {
		r := b.signed(key, "X-Note", "1", "X-Project-Id", "")
		signature.Sign(r, body, key, b.clock.now())
		return r
	}
	if _, err := b.Authenticate(t.Context(), sign(), body); err != nil {
		t.Fatal(err)
	}
	for name, change := range tests {
		r := sign()
		r.RemoteAddr = name + ":1" // a source each, so that none is locked
		_, err := b.Authenticate(t.Context(), r, change(r))
		if e, _ := errors.AsType[*iam.AuthError](err); e == nil || e.Reason != iam.Unproven || e.Message != wrongSignature {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// authorization returns a change of the Authorization header that leaves the body as it is.
func authorization(from, to string) func(*http.Request) []byte {
	return func(r *http.Request) []byte {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), from, to, 1))
		return []byte(`{"job_id":"1"}`)
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.signed(b.newKey(b.dev))
	b.clock.advance(15 * time.Minute)
	if _, err := b.Authenticate(t.Context(), r, nil); err != nil {
		t.Errorf("inside the window: %v", err)
	}
	b.clock.advance(time.Second)
	for range 10 { // a wrong clock locks nobody
		_, err := b.Authenticate(t.Context(), r, nil)
		wantRefused(t, err, iam.Unproven, "calc ak sk signature fail:signature expired")
	}
	_, err := b.Authenticate(t.Context(), b.signed(signature.Key{Access: "AKNONE", Secret: "x"}, "X-Note", "1"), nil)
	wantRefused(t, err, iam.Unproven, wrongSignature)
}

func TestAnUnknownKeyLooksLikeAWrongSignature(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.newKey(b.dev)
	unknown, wrong := signature.Key{Access: "AKNONE", Secret: key.Secret}, signature.Key{Access: key.Access, Secret: "wrong"}
	answers := func(k signature.Key, late bool) (out []string) {
		for range 8 {
			r := b.signed(k)
			if late {
				r.Header.Set("X-Sdk-Date", "20210101T000000Z")
			}
			_, err := b.Authenticate(t.Context(), r, nil)
			out = append(out, err.Error())
		}
		return out
	}
	for _, late := range []bool{true, false} {
		one, two := answers(unknown, late), answers(wrong, late)
		if strings.Join(one, "\n") != strings.Join(two, "\n") {
			t.Errorf("unknown key: %q, wrong signature: %q", one, two)
		}
	}
}

func TestWrongSignaturesAreLimitedAndRightOnesAreNot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	key := b.newKey(b.dev)
	wrong := signature.Key{Access: key.Access, Secret: "wrong"}
	from := func(k signature.Key, source string) error {
		r := b.signed(k)
		r.RemoteAddr = source
		_, err := b.Authenticate(ctx, r, nil)
		return err
	}
	const locked = "AK access failed to reach the limit,forbidden"
	for range 5 {
		wantRefused(t, from(wrong, here), iam.Unproven, wrongSignature)
	}
	b.check(from(key, here)) // in a row means without a success between
	for range 6 {
		wantRefused(t, from(wrong, here), iam.Unproven, wrongSignature)
	}
	wantRefused(t, from(wrong, here), iam.Unproven, locked)
	wantRefused(t, from(wrong, "192.0.2.1:6000"), iam.Unproven, locked)
	secret := func(k signature.Key) error {
		_, _, err := b.Issue(ctx, iam.TokenRequest{Method: iam.ByAccessKey, Access: k.Access, Secret: k.Secret}, iam.Origin{Address: here})
		return err
	}
	wantRefused(t, secret(wrong), iam.Throttled, "")
	wantRefused(t, from(wrong, "192.0.2.2:5000"), iam.Unproven, wrongSignature)

	// The owner of the key may be behind the same address.
	b.check(from(key, here))
	for range 7 {
		_ = from(wrong, here)
	}
	b.check(secret(key))
	for range 7 {
		_ = from(wrong, here)
	}
	b.clock.advance(5*time.Minute - time.Millisecond)
	wantRefused(t, from(wrong, here), iam.Unproven, locked)
	b.clock.advance(time.Millisecond)
	wantRefused(t, from(wrong, here), iam.Unproven, wrongSignature)
}

func TestTemporaryKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	caller := b.caller(b.dev)
	for _, d := range []time.Duration{0, 899 * time.Second, 86401 * time.Second, -time.Hour} {
		_, err := b.TemporaryKey(ctx, caller, d)
		wantKind(t, err, fault.Invalid, "duration_seconds: must be 900 to 86400")
	}
	made, err := b.TemporaryKey(ctx, caller, 900*time.Second)
	b.check(err)
	if !made.ExpiresAt.Equal(start.Add(15 * time.Minute)) {
		t.Errorf("expires at %s", made.ExpiresAt)
	}
	second, err := b.TemporaryKey(ctx, caller, 900*time.Second)
	b.check(err)
	key := signature.Key{Access: made.Access, Secret: made.Secret, SecurityToken: made.SecurityToken}
	c, err := b.Authenticate(ctx, b.signed(key), nil)
	if err != nil || c.User != b.dev || c.Region != b.region || !c.ExpiresAt.Equal(made.ExpiresAt) {
		t.Errorf("caller %+v, %v", c, err)
	}
	next, err := b.TemporaryKey(ctx, c, 24*time.Hour)
	b.check(err)
	if !next.ExpiresAt.Equal(made.ExpiresAt) {
		t.Errorf("a temporary key outlives the one that it was got with: %s", next.ExpiresAt)
	}

	permanent := b.newKey(b.dev)
	permanent.SecurityToken = made.SecurityToken
	for name, k := range map[string]signature.Key{
		"without its token":            {Access: key.Access, Secret: key.Secret},
		"with another's token":         {Access: key.Access, Secret: key.Secret, SecurityToken: second.SecurityToken},
		"a permanent key with a token": permanent,
	} {
		r := b.signed(k)
		r.RemoteAddr = name + ":1"
		_, err := b.Authenticate(ctx, r, nil)
		wantRefused(t, err, iam.Unproven, wrongSignature)
	}
	if keys, err := b.Keys(ctx, b.dev.ID); err != nil || len(keys) != 1 || keys[0].Access != permanent.Access {
		t.Errorf("permanent keys: %+v, %v", keys, err)
	}

	b.clock.advance(15 * time.Minute)
	_, err = b.Authenticate(ctx, b.signed(key), nil)
	wantRefused(t, err, iam.Unproven, wrongSignature)
	b.check(b.Sweep(ctx))
	if _, _, err := b.store.Key(ctx, made.Access); !fault.Is(err, fault.NotFound) {
		t.Errorf("not swept: %v", err)
	}
}

func TestKeysEndAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	try := func(k signature.Key) error {
		_, err := b.Authenticate(ctx, b.signed(k), nil)
		return err
	}
	one, two := b.newKey(b.dev), b.newKey(b.dev)
	signer, err := b.Authenticate(ctx, b.signed(one), nil)
	b.check(err)
	made, err := b.TemporaryKey(ctx, signer, time.Hour)
	b.check(err)
	temporary := signature.Key{Access: made.Access, Secret: made.Secret, SecurityToken: made.SecurityToken}
	for _, k := range []signature.Key{one, two, temporary, one} {
		b.check(try(k))
	}
	b.check(b.SetKeyActive(ctx, one.Access, false))
	wantRefused(t, try(one), iam.Unproven, wrongSignature)
	wantRefused(t, try(temporary), iam.Unproven, wrongSignature)
	b.check(try(two))
	b.check(b.SetKeyActive(ctx, one.Access, true))
	b.check(try(one))
	b.check(try(temporary))

	b.check(b.SetPassword(ctx, b.dev.ID, "battery staple"))
	b.check(try(one)) // permanent keys have nothing to do with the password
	wantRefused(t, try(temporary), iam.Unproven, wrongSignature)

	b.check(b.SetUserEnabled(ctx, b.dev.ID, false))
	wantRefused(t, try(one), iam.Blocked, "not authorized")
	wantRefused(t, try(signature.Key{Access: one.Access, Secret: "wrong"}), iam.Unproven, wrongSignature)
	b.check(b.SetUserEnabled(ctx, b.dev.ID, true))
	b.check(b.DeleteKey(ctx, one.Access))
	wantRefused(t, try(one), iam.Unproven, wrongSignature)
	b.check(try(two))
	b.check(b.DeleteUser(ctx, b.dev.ID))
	wantRefused(t, try(two), iam.Unproven, wrongSignature)
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key, token := b.newKey(b.dev), b.issue(b.login(b.dev))
	adminToken := b.issue(b.login(b.admin))
	unsigned := func(headers ...string) *http.Request {
		r := b.signed(key)
		r.Header = http.Header{}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		return r
	}
	tests := []struct {
		name  string
		r     *http.Request
		proof iam.Proof
		err   string
	}{
		{"nothing", unsigned(), 0, "x-auth-token not found"},
		{"empty token", unsigned("X-Auth-Token", ""), 0, "x-auth-token not found"},
		{"empty token and authorization", unsigned("X-Auth-Token", " ", "Authorization", ""), 0, "x-auth-token not found"},
		{"token", unsigned("X-Auth-Token", token), iam.WithToken, ""},
		{"wrong token", unsigned("X-Auth-Token", "MII"), 0, "decrypt token fail"},
		{"signature", b.signed(key), iam.WithSignature, ""},
		{"signature and empty token", b.signed(key, "X-Auth-Token", ""), iam.WithSignature, ""},
		{"signature and token", b.signed(key, "X-Auth-Token", token), iam.WithSignature, ""},
		{"signature and wrong token", b.signed(key, "X-Auth-Token", "MII"), 0, "decrypt token fail"},
		{"signature and another's token", b.signed(key, "X-Auth-Token", adminToken), 0, "X-Auth-Token and Authorization are of different users"},
		{"wrong signature and token", b.signed(signature.Key{Access: key.Access}, "X-Auth-Token", token), 0, wrongSignature},
		{"token and something else", unsigned("X-Auth-Token", token, "Authorization", "Bearer x"), iam.WithToken, ""},
		{"something else", unsigned("Authorization", "Bearer x"), 0, `the signature algorithm "Bearer" is not offered, use SDK-HMAC-SHA256`},
		{"another algorithm", unsigned("Authorization", "SDK-HMAC-SM3 Access=A", "X-Auth-Token", token), 0, `the signature algorithm "SDK-HMAC-SM3" is not offered, use SDK-HMAC-SHA256`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := b.Authenticate(t.Context(), tt.r, nil)
			if tt.err != "" {
				if e, _ := errors.AsType[*iam.AuthError](err); e == nil || e.Reason != iam.Unproven || e.Message != tt.err {
					t.Errorf("error = %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || c.User != b.dev || c.Proof != tt.proof {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
}
