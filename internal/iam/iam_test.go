package iam_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"atelier/internal/fault"
	"atelier/internal/iam"
	"atelier/internal/iam/signature"
	"atelier/internal/secret"
	"atelier/internal/store"
)

const (
	password = "correct horse"
	region   = "cn-north-4"
	here     = "192.0.2.1:5000"
)

var start = time.Date(2022, 9, 9, 6, 35, 0, 0, time.UTC)

// passwordHash is one for all tests: making one is slow on purpose.
var passwordHash = sync.OnceValues(func() (string, error) { return iam.HashForTest(password) })

// clock is a time that only moves when it is told to.
type clock struct{ since atomic.Int64 }

func (c *clock) now() time.Time          { return start.Add(time.Duration(c.since.Load())) }
func (c *clock) advance(d time.Duration) { c.since.Add(int64(d)) }

// bundle is a service on a database with two domains. In acme there are an administrator and a developer, in other a developer of
// the same name. All have the same password.
type bundle struct {
	*iam.Service
	t     testing.TB
	url   string
	key   string // file
	store *store.Store
	clock *clock

	acme, other       iam.Domain
	region, elsewhere iam.Region
	admin, dev        iam.User
	rival             iam.User
}

func setup(t testing.TB) *bundle {
	t.Helper()
	dir := t.TempDir()
	b := &bundle{t: t, url: "sqlite:" + filepath.Join(dir, "atelier.db"), key: filepath.Join(dir, "secret.key"), clock: &clock{}}
	b.store = b.openStore()
	b.Service = b.service(b.store)
	b.acme, b.region, b.admin = b.domain("acme")
	b.other, b.elsewhere, _ = b.domain("other")
	b.dev, b.rival = b.user(b.acme, "dev"), b.user(b.other, "dev")
	return b
}

func (b *bundle) openStore() *store.Store {
	b.t.Helper()
	s, err := store.Open(b.t.Context(), b.url)
	b.check(err)
	b.t.Cleanup(func() { _ = s.Close() })
	return s
}

func (b *bundle) service(s iam.Store) *iam.Service {
	b.t.Helper()
	sealer, err := secret.Open(b.key)
	b.check(err)
	return iam.New(iam.Parts{Store: s, Sealer: sealer, Region: region, Now: b.clock.now})
}

func (b *bundle) check(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bundle) account(domain iam.Domain, name string) iam.Account {
	b.t.Helper()
	hash, err := passwordHash()
	b.check(err)
	return iam.Account{
		User:         iam.User{ID: domain.Name + "-" + name, DomainID: domain.ID, Name: name, Administrator: name == "admin", Enabled: true, CreatedAt: start},
		PasswordHash: hash, Generation: 7,
	}
}

func (b *bundle) domain(name string) (iam.Domain, iam.Region, iam.User) {
	b.t.Helper()
	d := iam.Domain{ID: "domain-" + name, Name: name, CreatedAt: start}
	r := iam.Region{ID: "region-" + name, DomainID: d.ID, Name: region, CreatedAt: start}
	admin := b.account(d, "admin")
	b.check(b.store.CreateDomain(b.t.Context(), d, r, admin))
	return d, r, admin.User
}

func (b *bundle) user(domain iam.Domain, name string) iam.User {
	b.t.Helper()
	a := b.account(domain, name)
	b.check(b.store.CreateUser(b.t.Context(), a))
	return a.User
}

// login is a request for a token of the region, by password.
func (b *bundle) login(u iam.User) iam.TokenRequest {
	return iam.TokenRequest{
		Method: iam.ByPassword, User: iam.UserRef{Name: u.Name, Domain: iam.Ref{ID: u.DomainID}}, Password: password,
		Scope: iam.Scope{Region: &iam.Ref{Name: region}},
	}
}

func (b *bundle) issue(req iam.TokenRequest) string {
	b.t.Helper()
	value, _, err := b.Issue(b.t.Context(), req, iam.Origin{Address: here})
	b.check(err)
	return value
}

// caller returns a user as it calls with a token of the region.
func (b *bundle) caller(u iam.User) iam.Caller {
	b.t.Helper()
	c, err := b.ByToken(b.t.Context(), b.issue(b.login(u)))
	b.check(err)
	return c
}

func (b *bundle) newKey(u iam.User) signature.Key {
	b.t.Helper()
	key, secret, err := b.CreateKey(b.t.Context(), u.ID, "")
	b.check(err)
	return signature.Key{Access: key.Access, Secret: secret}
}

// signed returns a request that was signed by key now. Headers are name, value, name, value …
func (b *bundle) signed(key signature.Key, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/v3/projects?name=cn-north-4", nil)
	r.RemoteAddr = here
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	signature.Sign(r, nil, key, b.clock.now())
	return r
}

// wantRefused checks that err is an AuthError for a reason, with a text in it.
func wantRefused(t testing.TB, err error, reason iam.Reason, text string) {
	t.Helper()
	e, ok := errors.AsType[*iam.AuthError](err)
	if !ok || e.Reason != reason || !strings.Contains(e.Message, text) {
		t.Errorf("error = %#v, want one for reason %d with %q", err, reason, text)
	}
}

func wantKind(t testing.TB, err error, kind fault.Kind, text string) {
	t.Helper()
	if !fault.Is(err, kind) || !strings.Contains(err.Error(), text) {
		t.Errorf("error = %v of kind %v, want kind %v with %q", err, fault.KindOf(err), kind, text)
	}
}

// lateStore is a store of another process: it learns of a new epoch when it is told.
type lateStore struct {
	*store.Store
	epoch atomic.Int64
}

func (s *lateStore) Epoch(context.Context) (int64, error) { return s.epoch.Load(), nil }
