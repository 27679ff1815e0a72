package iam_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/fault"
	"atelier/internal/iam"
	"atelier/internal/iam/signature"
	"atelier/internal/secret"
)

func TestBootstrap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := &bundle{t: t, url: "sqlite:" + filepath.Join(dir, "atelier.db"), key: filepath.Join(dir, "secret.key"), clock: &clock{}}
	first := b.openStore()
	ctx := t.Context()
	for _, tt := range []struct{ domain, admin, password, region, want string }{
		{"", "admin", password, region, "domain: must be"},
		{"acme", "ad min", password, region, "user: must be"},
		{"acme", "admin", "short", region, "password: must be 8 to 128 characters, found 5"},
		{"acme", "admin", "", region, "password: must be 8"},
		{"acme", "admin", password, "CN North", "region: must be"},
	} {
		_, err := b.service(first).Bootstrap(ctx, tt.domain, tt.admin, tt.password, tt.region)
		wantKind(t, err, fault.Invalid, tt.want)
	}

	var made atomic.Int32
	var wg sync.WaitGroup
	for range 4 { // servers that start together
		s := b.service(first)
		wg.Go(func() {
			ok, err := s.Bootstrap(ctx, "acme", "admin", password, region)
			if err != nil {
				t.Error(err)
			}
			if ok {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("made %d times", made.Load())
	}
	b.Service, b.store = b.service(first), first
	acme, err := b.DomainNamed(ctx, "acme")
	b.check(err)
	caller := b.caller(iam.User{Name: "admin", DomainID: acme.ID})
	if !caller.User.Administrator || caller.Region.Name != region || caller.InRegion() != nil {
		t.Errorf("administrator: %+v", caller)
	}

	other, err := b.CreateDomain(ctx, "other", "admin", password)
	b.check(err)
	_, err = b.CreateDomain(ctx, "other", "admin", password)
	wantKind(t, err, fault.Exists, `"other"`)
	// The installation now stands for another region: every domain gets it, and nothing else changes.
	b.Region = "cn-east-3"
	if ok, err := b.Bootstrap(ctx, "acme", "admin", "another password", "cn-east-3"); ok || err != nil {
		t.Errorf("second start: %v, %v", ok, err)
	}
	for _, d := range []iam.Domain{acme, other} {
		regions, err := b.store.Regions(ctx, d.ID)
		if err != nil || len(regions) != 2 || regions[0].Name != "cn-east-3" || regions[1].Name != region {
			t.Errorf("regions of %s: %+v, %v", d.Name, regions, err)
		}
	}
	b.issue(iam.TokenRequest{Method: iam.ByPassword, User: iam.UserRef{Name: "admin", Domain: iam.Ref{Name: "acme"}}, Password: password})
}

func TestUsers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	made, err := b.CreateUser(ctx, iam.NewUser{DomainID: b.acme.ID, Name: "张伟.w-1@x", Password: password})
	b.check(err)
	got, err := b.User(ctx, iam.UserRef{Name: made.Name, Domain: iam.Ref{Name: "acme"}})
	if err != nil || got != made || !made.Enabled || made.Administrator || made.DomainID != b.acme.ID {
		t.Errorf("%+v, %v, want %+v", got, err, made)
	}
	b.issue(b.login(made))
	b.check(b.SetPassword(ctx, made.ID, strings.Repeat("名", 128)))
	req := b.login(made)
	req.Password = strings.Repeat("名", 128)
	b.issue(req)
	users, err := b.Users(ctx, b.acme.ID)
	if diff := cmp.Diff([]iam.User{b.admin, b.dev, made}, users); err != nil || diff != "" {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}

	for want, user := range map[string]iam.NewUser{
		"user: must be 1 to 64 letters":              {DomainID: b.acme.ID},
		`found ".hidden"`:                            {DomainID: b.acme.ID, Name: ".hidden"},
		`found "a b"`:                                {DomainID: b.acme.ID, Name: "a b"},
		`found "a\nb"`:                               {DomainID: b.acme.ID, Name: "a\nb"},
		"found \"" + strings.Repeat("x", 65):         {DomainID: b.acme.ID, Name: strings.Repeat("x", 65)},
		"password: must be 8 to 128 characters":      {DomainID: b.acme.ID, Name: "new", Password: "1234567"},
		"password: must be 8 to 128 characters, fou": {DomainID: b.acme.ID, Name: "new", Password: strings.Repeat("x", 129)},
		"password: must not be the user's name":      {DomainID: b.acme.ID, Name: "somebody", Password: "Somebody"},
		"password: is not valid UTF-8":               {DomainID: b.acme.ID, Name: "new", Password: "12345678\xff"},
	} {
		_, err := b.CreateUser(ctx, user)
		wantKind(t, err, fault.Invalid, want)
		if user.Password != "" && user.Password != "Somebody" && err != nil && strings.Contains(err.Error(), user.Password) {
			t.Errorf("the error quotes the password: %v", err)
		}
	}
	_, err = b.CreateUser(ctx, iam.NewUser{DomainID: b.acme.ID, Name: "dev"})
	wantKind(t, err, fault.Exists, `"dev"`)
	_, err = b.CreateUser(ctx, iam.NewUser{DomainID: "nowhere", Name: "new"})
	wantKind(t, err, fault.NotFound, "nowhere")
	wantKind(t, b.SetPassword(ctx, "none", password), fault.NotFound, "user")
	wantKind(t, b.SetPassword(ctx, b.dev.ID, "short"), fault.Invalid, "password")
	wantKind(t, b.SetUserEnabled(ctx, "none", true), fault.NotFound, "user")
	wantKind(t, b.DeleteUser(ctx, "none"), fault.NotFound, "user")
}

func TestKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	key, plain, err := b.CreateKey(ctx, b.dev.ID, "laptop")
	b.check(err)
	if len(key.Access) != 20 || len(plain) != 40 || key.Description != "laptop" || !key.Active || !key.CreatedAt.Equal(start) {
		t.Errorf("%+v, secret of %d characters", key, len(plain))
	}
	stored, _, err := b.store.Key(ctx, key.Access)
	b.check(err)
	if !strings.HasPrefix(stored.Sealed, secret.Prefix) || strings.Contains(stored.Sealed, plain) {
		t.Errorf("stored secret: %q", stored.Sealed)
	}
	b.newKey(b.dev)
	_, _, err = b.CreateKey(ctx, b.dev.ID, "")
	wantKind(t, err, fault.Limit, "no more than 2 are allowed")
	b.check(b.DeleteKey(ctx, key.Access))
	b.newKey(b.dev)
	for _, text := range []string{strings.Repeat("x", 256), "a\nb", "\xff"} {
		_, _, err = b.CreateKey(ctx, b.admin.ID, text)
		wantKind(t, err, fault.Invalid, "description")
	}
	_, _, err = b.CreateKey(ctx, "none", "")
	wantKind(t, err, fault.NotFound, "user")
	wantKind(t, b.DeleteKey(ctx, key.Access), fault.NotFound, "access key")
}

// What callers may do with keys: with their own, and administrators with those of their domain.
func TestKeysByCallers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	colleague := b.user(b.acme, "colleague")
	mine, theirs := b.newKey(b.dev).Access, b.newKey(b.rival).Access
	tests := []struct {
		by, of iam.User
		access string
		kind   fault.Kind // of what concerns a user
		keys   fault.Kind // of what concerns a key
	}{
		{b.dev, b.dev, mine, -1, -1},
		{b.admin, b.dev, mine, -1, -1},
		{colleague, b.dev, mine, fault.Forbidden, fault.NotFound},
		{b.rival, b.dev, mine, fault.Forbidden, fault.NotFound},
		{b.admin, b.rival, theirs, fault.NotFound, fault.NotFound},
		{colleague, iam.User{ID: "none"}, "AKNONE", fault.Forbidden, fault.NotFound},
		{b.admin, iam.User{ID: "none"}, "AKNONE", fault.NotFound, fault.NotFound},
	}
	want := func(what string, tt int, err error, kind fault.Kind) {
		t.Helper()
		if (kind < 0) != (err == nil) || (kind >= 0 && !fault.Is(err, kind)) {
			t.Errorf("case %d, %s: %v, want kind %d", tt, what, err, kind)
		}
	}
	for i, tt := range tests {
		by := b.caller(tt.by)
		_, err := b.UserBy(ctx, by, tt.of.ID)
		want("user", i, err, tt.kind)
		made, _, err := b.CreateKeyBy(ctx, by, tt.of.ID, "")
		want("create", i, err, tt.kind)
		_, err = b.KeysBy(ctx, by, tt.of.ID)
		want("list", i, err, tt.kind)
		key, err := b.KeyBy(ctx, by, tt.access)
		want("show", i, err, tt.keys)
		if err == nil && (key.Access != tt.access || key.UserID != tt.of.ID) {
			t.Errorf("case %d: key %+v", i, key)
		}
		want("switch off", i, b.SetKeyActiveBy(ctx, by, tt.access, false), tt.keys)
		want("switch on", i, b.SetKeyActiveBy(ctx, by, tt.access, true), tt.keys)
		if made.Access == "" {
			made.Access = tt.access
		}
		want("delete", i, b.DeleteKeyBy(ctx, by, made.Access), tt.keys)
	}
	for user, access := range map[string]string{b.dev.ID: mine, b.rival.ID: theirs} {
		if keys, err := b.Keys(ctx, user); err != nil || len(keys) != 1 || keys[0].Access != access || !keys[0].Active {
			t.Errorf("keys of %s: %+v, %v", user, keys, err)
		}
	}
	temporary, err := b.TemporaryKey(ctx, b.caller(b.dev), iam.MinTemporary)
	b.check(err)
	_, err = b.KeyBy(ctx, b.caller(b.dev), temporary.Access)
	wantKind(t, err, fault.NotFound, "")
	wantKind(t, b.DeleteKeyBy(ctx, b.caller(b.dev), temporary.Access), fault.NotFound, "")
}

func TestRegionsOfACaller(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	team := iam.Region{ID: "region-team", DomainID: b.acme.ID, Name: region + "_team", CreatedAt: start}
	for _, r := range []iam.Region{team, {ID: "region-far", DomainID: b.acme.ID, Name: "cn-south-1"}} {
		b.check(b.store.CreateRegion(ctx, r))
	}
	// The first call that the SDKs make is signed and has no region: whoever has a key may ask where it is.
	key := b.newKey(b.dev)
	caller, err := b.Authenticate(ctx, b.signed(key), nil)
	b.check(err)
	for name, want := range map[string][]iam.Region{"": {b.region, team}, region: {b.region}, team.Name: {team}, "cn-south-1": {}, "none": {}} {
		got, err := b.RegionsOf(ctx, caller, name)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v, (-want +got):\n%s", name, err, diff)
		}
	}
	got, err := b.RegionBy(ctx, caller, team.ID)
	if err != nil || got != team {
		t.Errorf("%+v, %v", got, err)
	}
	for _, id := range []string{"none", "region-far", b.elsewhere.ID} {
		_, err := b.RegionBy(ctx, caller, id)
		wantKind(t, err, fault.NotFound, "")
	}
}

func TestSecretsAreInNoErrorAndNoFormattedValue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.newKey(b.dev)
	token := b.issue(b.login(b.dev))
	caller := b.caller(b.dev)
	_, err := b.Authenticate(t.Context(), b.signed(signature.Key{Access: key.Access, Secret: "not-the-secret"}), nil)
	_, _, err2 := b.Issue(t.Context(), iam.TokenRequest{Method: iam.ByAccessKey, Access: key.Access, Secret: key.Secret, Scope: iam.Scope{Region: &iam.Ref{Name: "none"}}}, iam.Origin{Address: here})
	text := fmt.Sprintf("%+v %v %v", caller, err, err2)
	for _, s := range []string{key.Secret, token, password, "argon2", "not-the-secret"} {
		if strings.Contains(text, s) {
			t.Errorf("%q is in %s", s, text)
		}
	}
}
