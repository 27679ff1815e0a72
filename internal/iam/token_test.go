package iam_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"testing"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/iam"
	"atelier/internal/iam/signature"
	"atelier/internal/store"
)

const wrongLogin = "The username or password is wrong."

func TestIssueByEveryMethodForEveryScope(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.newKey(b.dev)
	methods := map[string]iam.TokenRequest{
		"password, domain by id":   {Method: iam.ByPassword, User: iam.UserRef{Name: "dev", Domain: iam.Ref{ID: b.acme.ID}}, Password: password},
		"password, domain by name": {Method: iam.ByPassword, User: iam.UserRef{Name: "dev", Domain: iam.Ref{Name: "acme"}}, Password: password},
		"password, user by id":     {Method: iam.ByPassword, User: iam.UserRef{ID: b.dev.ID}, Password: password},
		"access key":               {Method: iam.ByAccessKey, Access: key.Access, Secret: key.Secret},
		"token":                    {Method: iam.FromToken, Token: b.issue(b.login(b.dev))},
	}
	scopes := map[string]struct {
		scope  iam.Scope
		region iam.Region
	}{
		"region by id":             {iam.Scope{Region: &iam.Ref{ID: b.region.ID}}, b.region},
		"region by name":           {iam.Scope{Region: &iam.Ref{Name: region}}, b.region},
		"region by both":           {iam.Scope{Region: &iam.Ref{ID: b.region.ID, Name: region}}, b.region},
		"region beside its domain": {iam.Scope{Region: &iam.Ref{Name: region}, Domain: &iam.Ref{Name: "acme"}}, b.region},
		"domain by name":           {iam.Scope{Domain: &iam.Ref{Name: "acme"}}, iam.Region{}},
		"domain by id":             {iam.Scope{Domain: &iam.Ref{ID: b.acme.ID}}, iam.Region{}},
		"none":                     {iam.Scope{}, iam.Region{}},
	}
	for methodName, req := range methods {
		for scopeName, want := range scopes {
			req.Scope = want.scope
			value, token, err := b.Issue(t.Context(), req, iam.Origin{Address: here})
			if err != nil {
				t.Errorf("%s, %s: %v", methodName, scopeName, err)
				continue
			}
			if token.Method != req.Method || token.User != b.dev || token.Domain != b.acme || token.Region != want.region ||
				!token.IssuedAt.Equal(start) || !token.ExpiresAt.Equal(start.Add(24*time.Hour)) {
				t.Errorf("%s, %s: token %+v", methodName, scopeName, token)
			}
			caller, err := b.ByToken(t.Context(), value)
			if err != nil || caller.User != b.dev || caller.Domain != b.acme || caller.Region != want.region || caller.Proof != iam.WithToken {
				t.Errorf("%s, %s: caller %+v, %v", methodName, scopeName, caller, err)
			}
			if err := caller.InRegion(); (err == nil) != (want.region.ID != "") {
				t.Errorf("%s, %s: in a region: %v", methodName, scopeName, err)
			} else if err != nil {
				wantRefused(t, err, iam.Unproven, "the token is not scoped to a project")
			}
			if actor := caller.Actor(); actor.UserID != b.dev.ID || actor.UserName != "dev" || actor.DomainID != b.acme.ID {
				t.Errorf("actor %+v", actor)
			}
		}
	}
}

func TestWhateverIsWrongAboutALoginIsToldInOneText(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	key, off := b.newKey(b.dev), b.newKey(b.dev)
	b.check(b.SetKeyActive(ctx, off.Access, false))
	disabled := b.user(b.acme, "disabled")
	disabledKey := b.newKey(disabled)
	b.check(b.SetUserEnabled(ctx, disabled.ID, false))
	robot, err := b.CreateUser(ctx, iam.NewUser{DomainID: b.acme.ID, Name: "robot"})
	b.check(err)
	temporary, err := b.TemporaryKey(ctx, b.caller(b.dev), time.Hour)
	b.check(err)
	revoked := b.issue(b.login(b.dev))
	b.check(b.Revoke(ctx, b.caller(b.dev), revoked))

	edit := func(change func(*iam.TokenRequest)) iam.TokenRequest {
		req := b.login(b.dev)
		change(&req)
		return req
	}
	tests := map[string]iam.TokenRequest{
		"password":                edit(func(r *iam.TokenRequest) { r.Password = "wrong horse" }),
		"huge password":           edit(func(r *iam.TokenRequest) { r.Password = string(make([]byte, 1<<20)) }),
		"user":                    edit(func(r *iam.TokenRequest) { r.User.Name = "nobody" }),
		"user's id":               edit(func(r *iam.TokenRequest) { r.User = iam.UserRef{ID: "nobody"} }),
		"domain":                  edit(func(r *iam.TokenRequest) { r.User.Domain = iam.Ref{Name: "nowhere"} }),
		"domain's parts differ":   edit(func(r *iam.TokenRequest) { r.User.Domain = iam.Ref{ID: b.acme.ID, Name: "other"} }),
		"disabled user":           b.login(disabled),
		"user without a password": b.login(robot),
		"unknown region":          edit(func(r *iam.TokenRequest) { r.Scope.Region = &iam.Ref{Name: "cn-south-1"} }),
		"region of another":       edit(func(r *iam.TokenRequest) { r.Scope.Region = &iam.Ref{ID: b.elsewhere.ID} }),
		"region's parts differ":   edit(func(r *iam.TokenRequest) { r.Scope.Region = &iam.Ref{ID: b.region.ID, Name: "cn-south-1"} }),
		"region in another's domain": edit(func(r *iam.TokenRequest) {
			r.Scope.Domain = &iam.Ref{Name: "other"}
		}),
		"another's domain":       edit(func(r *iam.TokenRequest) { r.Scope = iam.Scope{Domain: &iam.Ref{ID: b.other.ID}} }),
		"secret":                 {Method: iam.ByAccessKey, Access: key.Access, Secret: key.Secret + "x"},
		"access key":             {Method: iam.ByAccessKey, Access: "AKNONE", Secret: key.Secret},
		"inactive key":           {Method: iam.ByAccessKey, Access: off.Access, Secret: off.Secret},
		"key of a disabled user": {Method: iam.ByAccessKey, Access: disabledKey.Access, Secret: disabledKey.Secret},
		"temporary key":          {Method: iam.ByAccessKey, Access: temporary.Access, Secret: temporary.Secret},
		"token":                  {Method: iam.FromToken, Token: "atelier-" + fmt.Sprintf("%043d", 0)},
		"form of a token":        {Method: iam.FromToken, Token: "MIIabc"},
		"revoked token":          {Method: iam.FromToken, Token: revoked},
	}
	n := 0
	for name, req := range tests {
		n++
		_, _, err := b.Issue(ctx, req, iam.Origin{Address: fmt.Sprintf("198.51.100.%d", n)}) // a source each, so that none is slowed down
		e, _ := errors.AsType[*iam.AuthError](err)
		if e == nil || e.Reason != iam.Unproven || e.Message != wrongLogin || !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestTokenRequestsThatAreNotComplete(t *testing.T) {
	t.Parallel()
	b := setup(t)
	user := iam.UserRef{ID: b.dev.ID}
	for want, req := range map[string]iam.TokenRequest{
		`auth.identity.methods: must be one of password, hw_ak_sk, token, found "totp"`: {Method: "totp"},
		"auth.identity.password.user.name: is missing":                                  {Method: iam.ByPassword, Password: "x"},
		"auth.identity.password.user.domain: is missing":                                {Method: iam.ByPassword, User: iam.UserRef{Name: "dev"}, Password: "x"},
		"auth.identity.password.user.password: is missing":                              {Method: iam.ByPassword, User: user},
		"auth.identity.hw_ak_sk.access.key: is missing":                                 {Method: iam.ByAccessKey, Secret: "x"},
		"auth.identity.hw_ak_sk.secret.key: is missing":                                 {Method: iam.ByAccessKey, Access: "x"},
		"auth.identity.token.id: is missing":                                            {Method: iam.FromToken},
		"auth.scope.project: must have an id or a name":                                 {Method: iam.ByPassword, User: user, Password: "x", Scope: iam.Scope{Region: &iam.Ref{}}},
		"auth.scope.domain: must have an id or a name":                                  {Method: iam.ByPassword, User: user, Password: "x", Scope: iam.Scope{Domain: &iam.Ref{}}},
	} {
		_, _, err := b.Issue(t.Context(), req, iam.Origin{Address: here})
		wantKind(t, err, fault.Invalid, want)
	}
}

func TestTokensAreKeptAsHashesOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	value := b.issue(b.login(b.dev))
	if !regexp.MustCompile(`^atelier-[A-Za-z0-9_-]{43}$`).MatchString(value) {
		t.Errorf("token %q", value)
	}
	if value == b.issue(b.login(b.dev)) {
		t.Error("two tokens are the same")
	}
	if _, _, err := b.store.Token(t.Context(), value); !fault.Is(err, fault.NotFound) {
		t.Errorf("stored as it is: %v", err)
	}
	hash := sha256.Sum256([]byte(value))
	if _, _, err := b.store.Token(t.Context(), hex.EncodeToString(hash[:])); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoToken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	value := b.issue(b.login(b.dev))
	for _, wrong := range []string{"", "x", value[:len(value)-1], value + "x", "Atelier-" + value[8:], value[:10] + "!" + value[11:], value[:len(value)-1] + "\x00"} {
		_, err := b.ByToken(t.Context(), wrong)
		wantRefused(t, err, iam.Unproven, "decrypt token fail")
	}
}

func TestTokensExpire(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	first := b.issue(b.login(b.dev))
	b.clock.advance(23 * time.Hour)
	// A token that was got from another one ends with it, however often this is repeated.
	second, token, err := b.Issue(ctx, iam.TokenRequest{Method: iam.FromToken, Token: first}, iam.Origin{Address: here})
	b.check(err)
	third, again, err := b.Issue(ctx, iam.TokenRequest{Method: iam.FromToken, Token: second}, iam.Origin{Address: here})
	b.check(err)
	for _, got := range []time.Time{token.ExpiresAt, again.ExpiresAt} {
		if !got.Equal(start.Add(24 * time.Hour)) {
			t.Errorf("expires at %s", got)
		}
	}
	temporary, err := b.TemporaryKey(ctx, b.mustCaller(second), 24*time.Hour)
	b.check(err)
	if !temporary.ExpiresAt.Equal(start.Add(24 * time.Hour)) {
		t.Errorf("a temporary key got with a token expires at %s", temporary.ExpiresAt)
	}
	fresh := b.issue(b.login(b.dev))
	b.clock.advance(time.Hour - time.Millisecond)
	b.mustCaller(third)
	b.clock.advance(time.Millisecond)
	for _, value := range []string{first, second, third} {
		_, err := b.ByToken(ctx, value)
		wantRefused(t, err, iam.Unproven, "decrypt token fail")
	}
	b.check(b.Sweep(ctx))
	b.mustCaller(fresh)
	for _, value := range []string{first, second, third} {
		hash := sha256.Sum256([]byte(value))
		if _, _, err := b.store.Token(ctx, hex.EncodeToString(hash[:])); !fault.Is(err, fault.NotFound) {
			t.Errorf("not swept: %v", err)
		}
	}
}

// TestRevokedTokensTakeAllThatWasGotWithThem checks tokens and temporary keys of several generations, and that others stay.
func TestRevokedTokensTakeAllThatWasGotWithThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	with := func(parent string) string { return b.issue(iam.TokenRequest{Method: iam.FromToken, Token: parent}) }
	keyOf := func(caller iam.Caller) (signature.Key, iam.Caller) {
		made, err := b.TemporaryKey(ctx, caller, time.Hour)
		b.check(err)
		key := signature.Key{Access: made.Access, Secret: made.Secret, SecurityToken: made.SecurityToken}
		signer, err := b.Authenticate(ctx, b.signed(key), nil)
		b.check(err)
		return key, signer
	}
	first := b.issue(b.login(b.dev))
	second, sibling := with(first), with(first)
	third := with(second)
	key, signer := keyOf(b.mustCaller(third))
	keyOfKey, _ := keyOf(signer)
	other, _ := keyOf(b.mustCaller(sibling))
	second2 := b.mustCaller(second)

	b.check(b.Revoke(ctx, b.mustCaller(first), second))
	for _, value := range []string{second, third} {
		_, err := b.ByToken(ctx, value)
		wantRefused(t, err, iam.Unproven, "decrypt token fail")
	}
	for _, k := range []signature.Key{key, keyOfKey} {
		_, err := b.Authenticate(ctx, b.signed(k), nil)
		wantRefused(t, err, iam.Unproven, wrongSignature)
	}
	_, err := b.TemporaryKey(ctx, second2, time.Hour) // by whoever has proven itself before
	wantRefused(t, err, iam.Unproven, "")
	_, err = b.TemporaryKey(ctx, signer, time.Hour)
	wantRefused(t, err, iam.Unproven, "")
	b.mustCaller(first)
	b.mustCaller(sibling)
	_, err = b.Authenticate(ctx, b.signed(other), nil)
	b.check(err)

	for err = nil; err == nil; {
		_, _, err = b.Issue(ctx, iam.TokenRequest{Method: iam.FromToken, Token: first}, iam.Origin{Address: here})
		if err == nil {
			first = with(first)
		}
	}
	wantKind(t, err, fault.Limit, "sign in again")
}

func (b *bundle) mustCaller(token string) iam.Caller {
	b.t.Helper()
	c, err := b.ByToken(b.t.Context(), token)
	b.check(err)
	return c
}

func TestTokensEndAtOnceWithWhatTheyStandOn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		do     func(b *bundle, access string) error
		undo   func(b *bundle, access string) error
		reason iam.Reason
		text   string
		byPass bool // tokens got by password end too
		back   bool // they come back when it is undone
	}{
		{
			name:   "user disabled",
			do:     func(b *bundle, _ string) error { return b.SetUserEnabled(b.t.Context(), b.dev.ID, false) },
			undo:   func(b *bundle, _ string) error { return b.SetUserEnabled(b.t.Context(), b.dev.ID, true) },
			reason: iam.Blocked, text: "not authorized", byPass: true,
		},
		{
			name:   "user deleted",
			do:     func(b *bundle, _ string) error { return b.DeleteUser(b.t.Context(), b.dev.ID) },
			reason: iam.Unproven, text: "decrypt token fail", byPass: true,
		},
		{
			name:   "password changed",
			do:     func(b *bundle, _ string) error { return b.SetPassword(b.t.Context(), b.dev.ID, "battery staple") },
			undo:   func(b *bundle, _ string) error { return b.SetPassword(b.t.Context(), b.dev.ID, password) },
			reason: iam.Outdated, text: "The token must be updated.", byPass: true,
		},
		{
			name:   "key deleted",
			do:     func(b *bundle, access string) error { return b.DeleteKey(b.t.Context(), access) },
			reason: iam.Outdated, text: "The token must be updated.",
		},
		{
			name:   "key switched off",
			do:     func(b *bundle, access string) error { return b.SetKeyActive(b.t.Context(), access, false) },
			undo:   func(b *bundle, access string) error { return b.SetKeyActive(b.t.Context(), access, true) },
			reason: iam.Outdated, text: "The token must be updated.", back: true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			key := b.newKey(b.dev)
			byKey := b.issue(iam.TokenRequest{Method: iam.ByAccessKey, Access: key.Access, Secret: key.Secret})
			fromThat := b.issue(iam.TokenRequest{Method: iam.FromToken, Token: byKey})
			byPassword := b.issue(b.login(b.dev))
			bystander := b.issue(b.login(b.admin))
			for range 2 { // the second time out of memory
				for _, value := range []string{byKey, fromThat, byPassword} {
					b.mustCaller(value)
				}
			}
			b.check(tt.do(b, key.Access))
			ended := []string{byKey, fromThat}
			if tt.byPass {
				ended = append(ended, byPassword)
			} else {
				b.mustCaller(byPassword)
			}
			for range 2 {
				for _, value := range ended {
					_, err := b.ByToken(t.Context(), value)
					wantRefused(t, err, tt.reason, tt.text)
					_, _, err = b.Issue(t.Context(), iam.TokenRequest{Method: iam.FromToken, Token: value}, iam.Origin{Address: here})
					wantRefused(t, err, iam.Unproven, wrongLogin)
				}
			}
			b.mustCaller(bystander)
			if tt.undo == nil {
				return
			}
			b.check(tt.undo(b, key.Access))
			for _, value := range ended {
				if _, err := b.ByToken(t.Context(), value); (err == nil) != tt.back {
					t.Errorf("undone: %v", err)
				}
			}
			b.mustCaller(b.issue(b.login(b.dev)))
		})
	}
}

func TestATokenOfARegionThatIsNotServed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	value := b.issue(b.login(b.dev))
	team := iam.Region{ID: "region-team", DomainID: b.acme.ID, Name: region + "_team", CreatedAt: start}
	b.check(b.store.CreateRegion(t.Context(), team))
	req := b.login(b.dev)
	req.Scope.Region.Name = team.Name
	part := b.issue(req)
	if c := b.mustCaller(part); c.Region != team {
		t.Errorf("region %+v", c.Region)
	}
	moved := b.service(b.store)
	moved.Region = "cn-north-1"
	for _, v := range []string{value, part} {
		_, err := moved.ByToken(t.Context(), v)
		wantRefused(t, err, iam.Outdated, "The token must be updated.")
	}
}

func TestLookupAndRevoke(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	colleague := b.user(b.acme, "colleague")
	value := b.issue(b.login(b.dev))
	for _, u := range []iam.User{colleague, b.rival, {ID: "other-admin", DomainID: b.other.ID, Name: "admin"}} {
		by := b.caller(u)
		_, err := b.Lookup(ctx, by, value)
		wantKind(t, err, fault.NotFound, "does not exist")
		wantKind(t, b.Revoke(ctx, by, value), fault.NotFound, "does not exist")
	}
	for _, u := range []iam.User{b.dev, b.admin} {
		by := b.caller(u)
		token, err := b.Lookup(ctx, by, value)
		if err != nil || token.User != b.dev || token.Region != b.region || token.Method != iam.ByPassword || !token.ExpiresAt.Equal(start.Add(iam.TokenLife)) {
			t.Errorf("%s: %+v, %v", u.Name, token, err)
		}
		b.check(b.Revoke(ctx, by, value))
		_, err = b.ByToken(ctx, value)
		wantRefused(t, err, iam.Unproven, "decrypt token fail")
		_, err = b.Lookup(ctx, by, value)
		wantKind(t, err, fault.NotFound, "does not exist")
		wantKind(t, b.Revoke(ctx, by, value), fault.NotFound, "does not exist")
		value = b.issue(b.login(b.dev))
	}
	admin := b.caller(b.admin)
	b.check(b.SetPassword(ctx, b.dev.ID, "battery staple"))
	_, err := b.Lookup(ctx, admin, value)
	wantKind(t, err, fault.NotFound, "does not exist")
}

func TestARevokedTokenEndsInOtherProcesses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	late := &lateStore{Store: b.openStore()}
	other := b.service(late)
	value := b.issue(b.login(b.dev))
	for range 2 {
		if _, err := other.ByToken(t.Context(), value); err != nil {
			t.Fatal(err)
		}
	}
	b.check(b.Revoke(t.Context(), b.caller(b.dev), value))
	if _, err := other.ByToken(t.Context(), value); err != nil {
		t.Fatalf("the other process read the store without a new epoch: %v", err)
	}
	late.epoch.Add(1)
	_, err := other.ByToken(t.Context(), value)
	wantRefused(t, err, iam.Unproven, "decrypt token fail")

	reopened := b.service(b.openStore())
	_, err = reopened.ByToken(t.Context(), value)
	wantRefused(t, err, iam.Unproven, "decrypt token fail")
}

func TestGuessingIsSlowedDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	wrong := b.login(b.dev)
	wrong.Password = "wrong horse"
	try := func(req iam.TokenRequest, source string) error {
		_, _, err := b.Issue(ctx, req, iam.Origin{Address: source})
		return err
	}
	for range 6 {
		wantRefused(t, try(wrong, here), iam.Unproven, wrongLogin)
	}
	// Now neither a wrong nor the right password gets an answer, by whichever name the user is called.
	byID := b.login(b.dev)
	byID.User = iam.UserRef{ID: b.dev.ID}
	for _, req := range []iam.TokenRequest{wrong, b.login(b.dev), byID} {
		err := try(req, here)
		wantRefused(t, err, iam.Throttled, "Try again in")
		wantKind(t, err, fault.Limit, "")
		if e, _ := errors.AsType[*iam.AuthError](err); e == nil || e.RetryAfter != time.Second {
			t.Errorf("retry after %v", err)
		}
	}
	// The user itself, somewhere else, and others at the same place are not held up.
	b.check(try(b.login(b.dev), "198.51.100.7:1"))
	b.check(try(b.login(b.admin), here))

	b.clock.advance(time.Second)
	wantRefused(t, try(wrong, here), iam.Unproven, wrongLogin)
	b.clock.advance(time.Second)
	wantRefused(t, try(b.login(b.dev), here), iam.Throttled, "") // twice as long
	b.clock.advance(time.Second)
	b.check(try(b.login(b.dev), here))
	wantRefused(t, try(wrong, here), iam.Unproven, wrongLogin) // success forgave
	b.check(try(b.login(b.dev), here))
}

func TestAnUnknownNameIsSlowedDownLikeAKnownOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	req := b.login(iam.User{Name: "nobody", DomainID: b.acme.ID})
	for range 6 {
		_, _, err := b.Issue(t.Context(), req, iam.Origin{Address: here})
		wantRefused(t, err, iam.Unproven, wrongLogin)
	}
	_, _, err := b.Issue(t.Context(), req, iam.Origin{Address: here})
	wantRefused(t, err, iam.Throttled, "")
}

func TestASourceThatTriesManyNamesIsSlowedDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.SetSourceTries(3, 100)
	for i := range 4 {
		_, _, err := b.Issue(t.Context(), b.login(iam.User{Name: fmt.Sprint("nobody", i), DomainID: b.acme.ID}), iam.Origin{Address: "[2001:db8::1]:99"})
		wantRefused(t, err, iam.Unproven, wrongLogin)
	}
	_, _, err := b.Issue(t.Context(), b.login(b.dev), iam.Origin{Address: "[2001:db8::ffff:2]:98"}) // the same network
	wantRefused(t, err, iam.Throttled, "")
	_, _, err = b.Issue(t.Context(), b.login(b.dev), iam.Origin{Address: "[2001:db8:0:1::1]:99"})
	b.check(err)
}

// TestFailuresOfOthersBehindTheSameAddress checks that whoever fails behind the same proxy, which is not told apart, does not lock
// out a device that has signed in before, nor a client that the proxy names as another one.
func TestFailuresOfOthersBehindTheSameAddress(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.SetSourceTries(3, 12)
	dev := iam.Origin{Address: here, Hint: "198.51.100.1", Agent: "sdk"}
	late := iam.Origin{Address: here, Hint: "198.51.100.2", Agent: "sdk"}
	stranger := iam.Origin{Address: here, Hint: "203.0.113.66", Agent: "sdk"}
	try := func(u iam.User, password string, from iam.Origin) error {
		req := b.login(u)
		req.Password = cmp.Or(password, req.Password)
		_, _, err := b.Issue(t.Context(), req, from)
		return err
	}
	b.check(try(b.dev, "", dev))
	for range 3 {
		wantRefused(t, try(b.dev, "wrong", stranger), iam.Unproven, wrongLogin)
	}
	for i := range 12 {
		_ = try(iam.User{Name: fmt.Sprint("nobody", i), DomainID: b.acme.ID}, "wrong", stranger)
	}
	wantRefused(t, try(b.dev, "", stranger), iam.Throttled, "")
	b.check(try(b.admin, "", late))
	for i := range 20 { // a client that makes up a hint each time leaves the limit of its source no more
		_ = try(iam.User{Name: fmt.Sprint("nobody", i), DomainID: b.acme.ID}, "wrong", iam.Origin{Address: here, Hint: fmt.Sprint(i)})
	}
	wantRefused(t, try(b.dev, "", iam.Origin{Address: here, Hint: "198.51.100.3"}), iam.Throttled, "")
	b.check(try(b.dev, "", dev))
	// A device that is known does not guess either.
	for range 6 {
		wantRefused(t, try(b.dev, "wrong", dev), iam.Unproven, wrongLogin)
	}
	wantRefused(t, try(b.dev, "", dev), iam.Throttled, "")
}

// TestAttemptsAtOnce checks that attempts which come at once are no more than one by one.
func TestAttemptsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	release := b.HoldHashing()
	var waiting sync.WaitGroup
	outcomes := make(chan error, 100)
	for range cap(outcomes) {
		waiting.Go(func() {
			req := b.login(b.dev)
			req.Password = "wrong"
			_, _, err := b.Issue(t.Context(), req, iam.Origin{Address: here})
			outcomes <- err
		})
	}
	for range cap(outcomes) - 6 {
		wantRefused(t, <-outcomes, iam.Throttled, "")
	}
	release()
	waiting.Wait()
	for range 6 {
		wantRefused(t, <-outcomes, iam.Unproven, wrongLogin)
	}
	if n := b.Waiting(); n != 0 {
		t.Errorf("%d wait", n)
	}
}

// askedStore says when an account was looked up.
type askedStore struct {
	*store.Store
	asked chan struct{}
}

func (s *askedStore) Account(ctx context.Context, ref iam.UserRef) (iam.Account, error) {
	account, err := s.Store.Account(ctx, ref)
	s.asked <- struct{}{}
	return account, err
}

// Whether a user exists must not show in how long an answer takes. Both ways go through the hashing of a password: while all
// slots for that are taken, neither gets an answer.
func TestUnknownUsersTakeTheSameWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	robot, err := b.CreateUser(t.Context(), iam.NewUser{DomainID: b.acme.ID, Name: "robot"})
	b.check(err)
	asked := &askedStore{b.store, make(chan struct{}, 1)}
	service := b.service(asked)
	defer service.HoldHashing()()
	for _, u := range []iam.User{b.dev, robot, {Name: "nobody", DomainID: b.acme.ID}, {Name: "dev", DomainID: "nowhere"}} {
		ctx, cancel := context.WithCancel(t.Context())
		answered := make(chan error, 1)
		go func() {
			_, _, err := service.Issue(ctx, b.login(u), iam.Origin{Address: here})
			answered <- err
		}()
		<-asked.asked
		cancel() // whoever waits for a slot gives up now
		if err := <-answered; !errors.Is(err, context.Canceled) {
			t.Errorf("%s was judged without hashing a password: %v", u.Name, err)
		}
	}
}

// The race detector watches this one.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	key, token := b.newKey(b.dev), b.issue(b.login(b.dev))
	wrong := signature.Key{Access: key.Access, Secret: "wrong"}
	project := b.project("one", b.dev)
	var wg sync.WaitGroup
	for i := range 4 {
		source := fmt.Sprintf("192.0.2.%d:1", i)
		wg.Go(func() {
			for range 25 {
				if _, err := b.ByToken(ctx, token); err != nil {
					t.Error(err)
				}
				good, bad := b.signed(key), b.signed(wrong)
				good.RemoteAddr, bad.RemoteAddr = source, source
				if _, err := b.Authenticate(ctx, bad, nil); !fault.Is(err, fault.Unauthenticated) {
					t.Error(err)
				}
				if _, err := b.Authenticate(ctx, good, nil); err != nil {
					t.Error(err)
				}
				if err := b.GrantRole(ctx, project.ID, b.dev.ID, iam.Viewer); err != nil { // a new epoch
					t.Error(err)
				}
				if err := b.Check(ctx, actor(b.dev), build.JobRef{ProjectID: build.ProjectID(project.ID)}, build.Create); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
