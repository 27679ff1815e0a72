package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/fault"
	"atelier/internal/iam"
	"atelier/internal/store"
)

// What every test of this file begins with: two domains, each with a region, an administrator and a user.
var (
	acme    = iam.Domain{ID: "d1", Name: "acme", CreatedAt: start}
	other   = iam.Domain{ID: "d2", Name: "other", CreatedAt: start}
	beijing = iam.Region{ID: "r1", DomainID: "d1", Name: "cn-north-4", CreatedAt: start}
	admin   = anAccount("admin", acme)
	worker  = anAccount("dev", acme)
	rival   = anAccount("dev", other)
)

func anAccount(name string, domain iam.Domain) iam.Account {
	return iam.Account{
		User: iam.User{
			ID: domain.ID + "-" + name, DomainID: domain.ID, Name: name, Administrator: name == "admin", Enabled: true, CreatedAt: start.Add(time.Second),
		},
		Domain: domain, PasswordHash: "hash of " + name, Generation: 3,
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantEqual(t *testing.T, what string, got, want any, err error) {
	t.Helper()
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%s: error %v, difference (-want +got):\n%s", what, err, diff)
	}
}

func peopled(t *testing.T, open Opener) *store.Store {
	t.Helper()
	s := open(t)
	check(t, s.CreateDomain(t.Context(), acme, beijing, admin))
	check(t, s.CreateDomain(t.Context(), other, iam.Region{ID: "r2", DomainID: "d2", Name: "cn-north-4", CreatedAt: start}, anAccount("admin", other)))
	check(t, s.CreateUser(t.Context(), worker))
	check(t, s.CreateUser(t.Context(), rival))
	return s
}

func permanentKey(access, userID string) iam.StoredKey {
	return iam.StoredKey{
		AccessKey: iam.AccessKey{Access: access, UserID: userID, Description: "for tests", Active: true, CreatedAt: start}, Sealed: "sealed " + access,
	}
}

func temporaryKey(access string, of iam.Account, origin string) iam.StoredKey {
	k := permanentKey(access, of.ID)
	k.ExpiresAt, k.Session, k.Generation, k.Origin = start.Add(time.Hour), "hash", of.Generation, origin
	return k
}

func aToken(hash string, of iam.Account, origin string) iam.StoredToken {
	return iam.StoredToken{
		Hash: hash, UserID: of.ID, Method: iam.ByPassword, Region: beijing, Origin: origin, Generation: of.Generation,
		IssuedAt: start, ExpiresAt: start.Add(24 * time.Hour),
	}
}

func testIAM(t *testing.T, open Opener) {
	t.Run("accounts", func(t *testing.T) { t.Parallel(); testAccounts(t, open) })
	t.Run("keys", func(t *testing.T) { t.Parallel(); testKeys(t, open) })
	t.Run("tokens", func(t *testing.T) { t.Parallel(); testTokens(t, open) })
	t.Run("projects", func(t *testing.T) { t.Parallel(); testProjects(t, open) })

	t.Run("what caches hold moves the epoch, and nothing else does", func(t *testing.T) {
		t.Parallel()
		s := peopled(t, open)
		check(t, s.CreateProject(t.Context(), iam.Project{ID: "p1", DomainID: "d1", Name: "one", CreatedAt: start}, ""))
		noop := func(*iam.Account) error { return nil }
		for _, step := range []struct {
			name  string
			moves bool
			do    func(ctx context.Context) error
		}{
			{"create a key", false, func(ctx context.Context) error { return s.CreateKey(ctx, permanentKey("A", worker.ID), 2) }},
			{"create a token", false, func(ctx context.Context) error { return s.CreateToken(ctx, aToken("h", worker, "A")) }},
			{"switch a key", true, func(ctx context.Context) error { return s.SetKeyActive(ctx, "A", false) }},
			{"delete a key", true, func(ctx context.Context) error { return s.DeleteKey(ctx, "A") }},
			{"delete a token", true, func(ctx context.Context) error { return s.DeleteToken(ctx, "h") }},
			{"create a project", true, func(ctx context.Context) error {
				return s.CreateProject(ctx, iam.Project{ID: "p2", DomainID: "d1", Name: "two"}, "")
			}},
			{"grant a role", true, func(ctx context.Context) error { return s.GrantRole(ctx, "p1", worker.ID, iam.Viewer) }},
			{"revoke a role", true, func(ctx context.Context) error { return s.RevokeRole(ctx, "p1", worker.ID, iam.Viewer) }},
			{"create a region", true, func(ctx context.Context) error {
				return s.CreateRegion(ctx, iam.Region{ID: "r3", DomainID: "d1", Name: "x"})
			}},
			{"create a user", true, func(ctx context.Context) error { return s.CreateUser(ctx, anAccount("new", acme)) }},
			{"change a user", true, func(ctx context.Context) error { return s.ChangeUser(ctx, worker.ID, noop) }},
			{"delete a user", true, func(ctx context.Context) error { return s.DeleteUser(ctx, worker.ID) }},
			{"sweep", false, func(ctx context.Context) error { return s.DeleteExpired(ctx, start.Add(time.Hour)) }},
		} {
			before, err := s.Epoch(t.Context())
			check(t, err)
			check(t, step.do(t.Context()))
			after, err := s.Epoch(t.Context())
			check(t, err)
			if (after > before) != step.moves {
				t.Errorf("%s: epoch %d, then %d", step.name, before, after)
			}
		}
	})
}

func testAccounts(t *testing.T, open Opener) {
	t.Run("read back as they were written", func(t *testing.T) {
		t.Parallel()
		s := peopled(t, open)
		for name, ref := range map[string]iam.UserRef{
			"id":              {ID: worker.ID},
			"domain's name":   {Name: "dev", Domain: iam.Ref{Name: "acme"}},
			"domain's id":     {Name: "dev", Domain: iam.Ref{ID: "d1"}},
			"both":            {Name: "dev", Domain: iam.Ref{ID: "d1", Name: "acme"}},
			"id before names": {ID: worker.ID, Name: "else", Domain: iam.Ref{ID: "d9"}},
		} {
			got, err := s.Account(t.Context(), ref)
			wantEqual(t, name, got, worker, err)
		}
		got, err := s.Account(t.Context(), iam.UserRef{Name: "dev", Domain: iam.Ref{Name: "other"}})
		wantEqual(t, "the same name elsewhere", got, rival, err)
		domains, err := s.Domains(t.Context())
		wantEqual(t, "domains", domains, []iam.Domain{acme, other}, err)
		users, err := s.Users(t.Context(), "d1")
		wantEqual(t, "users", users, []iam.User{admin.User, worker.User}, err)
		check(t, s.CreateRegion(t.Context(), iam.Region{ID: "r0", DomainID: "d1", Name: "ap-southeast-3", CreatedAt: start}))
		regions, err := s.Regions(t.Context(), "d1")
		wantEqual(t, "regions", regions, []iam.Region{{ID: "r0", DomainID: "d1", Name: "ap-southeast-3", CreatedAt: start}, beijing}, err)
	})

	t.Run("what does not exist", func(t *testing.T) {
		t.Parallel()
		s := peopled(t, open)
		for _, ref := range []iam.UserRef{
			{},
			{ID: "none"},
			{Name: "dev"},
			{Name: "Dev", Domain: iam.Ref{Name: "acme"}},
			{Name: "dev", Domain: iam.Ref{ID: "d1", Name: "other"}},
			{Name: "dev' OR '1'='1", Domain: iam.Ref{Name: "acme"}},
		} {
			_, err := s.Account(t.Context(), ref)
			wantKind(t, err, fault.NotFound)
		}
		for _, text := range []string{"a\x00b", "\xff"} { // what strangers may send, and a database may not take
			for _, ref := range []iam.UserRef{{ID: text}, {Name: text, Domain: iam.Ref{Name: "acme"}}, {Name: "dev", Domain: iam.Ref{ID: text}}, {Name: "dev", Domain: iam.Ref{Name: text}}} {
				_, err := s.Account(t.Context(), ref)
				wantKind(t, err, fault.NotFound)
			}
			_, _, err := s.Key(t.Context(), text)
			wantKind(t, err, fault.NotFound)
		}
		wantKind(t, s.DeleteUser(t.Context(), "none"), fault.NotFound)
		wantKind(t, s.ChangeUser(t.Context(), "none", func(*iam.Account) error { return nil }), fault.NotFound)
	})

	t.Run("names are taken once", func(t *testing.T) {
		t.Parallel()
		s := peopled(t, open)
		again := worker
		again.ID = "another"
		wantKind(t, s.CreateUser(t.Context(), again), fault.Exists)
		wantKind(t, s.CreateRegion(t.Context(), iam.Region{ID: "r9", DomainID: "d1", Name: beijing.Name}), fault.Exists)
		err := s.CreateDomain(t.Context(), iam.Domain{ID: "d9", Name: "acme"}, iam.Region{ID: "r9", DomainID: "d9", Name: "x"}, anAccount("a", iam.Domain{ID: "d9"}))
		wantKind(t, err, fault.Exists)
		domains, err := s.Domains(t.Context())
		wantEqual(t, "domains", domains, []iam.Domain{acme, other}, err)
	})

	t.Run("changes", func(t *testing.T) {
		t.Parallel()
		s := peopled(t, open)
		want := worker
		want.PasswordHash, want.Enabled, want.Administrator, want.Generation = "new", false, true, 4
		check(t, s.ChangeUser(t.Context(), worker.ID, func(a *iam.Account) error { *a = want; return nil }))
		got, err := s.Account(t.Context(), iam.UserRef{ID: worker.ID})
		wantEqual(t, "changed", got, want, err)

		refused := errors.New("refused")
		err = s.ChangeUser(t.Context(), worker.ID, func(a *iam.Account) error { a.Enabled = true; return refused })
		if !errors.Is(err, refused) {
			t.Errorf("error = %v", err)
		}
		got, err = s.Account(t.Context(), iam.UserRef{ID: worker.ID})
		wantEqual(t, "not changed", got, want, err)
	})

	t.Run("no change is lost", func(t *testing.T) {
		t.Parallel()
		s := peopled(t, open)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if err := s.ChangeUser(t.Context(), worker.ID, func(a *iam.Account) error { a.Generation++; return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got, err := s.Account(t.Context(), iam.UserRef{ID: worker.ID})
		wantEqual(t, "generation", got.Generation, worker.Generation+10, err)
	})

	t.Run("a deleted user takes everything along", func(t *testing.T) {
		t.Parallel()
		s := peopled(t, open)
		ctx := t.Context()
		check(t, s.CreateProject(ctx, iam.Project{ID: "p1", DomainID: "d1", Name: "one", CreatorID: worker.ID}, iam.ProjectAdministrator))
		for _, a := range []iam.Account{worker, admin} {
			check(t, s.CreateKey(ctx, permanentKey("K-"+a.Name, a.ID), 2))
			check(t, s.CreateToken(ctx, aToken("T-"+a.Name, a, "")))
		}
		check(t, s.DeleteUser(ctx, worker.ID))
		_, err := s.Account(ctx, iam.UserRef{ID: worker.ID})
		wantKind(t, err, fault.NotFound)
		_, _, err = s.Key(ctx, "K-dev")
		wantKind(t, err, fault.NotFound)
		_, _, err = s.Token(ctx, "T-dev")
		wantKind(t, err, fault.NotFound)
		members, err := s.Members(ctx, "p1")
		wantEqual(t, "members", members, []iam.Member(nil), err)
		_, _, err = s.Key(ctx, "K-admin")
		check(t, err)
		_, _, err = s.Token(ctx, "T-admin")
		check(t, err)
	})
}

func testKeys(t *testing.T, open Opener) {
	t.Run("read back as they were written", func(t *testing.T) {
		t.Parallel()
		s := peopled(t, open)
		ctx := t.Context()
		first, second, temporary := permanentKey("A2", worker.ID), permanentKey("A1", worker.ID), temporaryKey("T", worker, "A2")
		second.CreatedAt = start.Add(time.Second)
		for _, k := range []iam.StoredKey{first, second, temporary} {
			check(t, s.CreateKey(ctx, k, 2))
		}
		temporary.Live = true
		got, account, err := s.Key(ctx, "T")
		wantEqual(t, "key", got, temporary, err)
		wantEqual(t, "account", account, worker, err)
		keys, err := s.Keys(ctx, worker.ID)
		wantEqual(t, "permanent keys", keys, []iam.AccessKey{first.AccessKey, second.AccessKey}, err)
		keys, err = s.Keys(ctx, admin.ID)
		wantEqual(t, "another user's keys", keys, []iam.AccessKey(nil), err)
		wantKind(t, s.CreateKey(ctx, permanentKey("A1", admin.ID), 2), fault.Exists)
	})

	t.Run("no more than allowed, also at once", func(t *testing.T) {
		t.Parallel()
		s := peopled(t, open)
		errs := make([]error, 8)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { errs[i] = s.CreateKey(t.Context(), permanentKey(fmt.Sprint("A", i), worker.ID), 2) })
		}
		wg.Wait()
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
				continue
			}
			wantKind(t, err, fault.Limit)
		}
		keys, err := s.Keys(t.Context(), worker.ID)
		wantEqual(t, "keys", []int{made, len(keys)}, []int{2, 2}, err)
		check(t, s.CreateKey(t.Context(), temporaryKey("T", worker, ""), 2))
		check(t, s.CreateKey(t.Context(), permanentKey("B", admin.ID), 2))
		wantKind(t, s.CreateKey(t.Context(), permanentKey("C", "none"), 2), fault.NotFound)
	})

	t.Run("switched and deleted", func(t *testing.T) {
		t.Parallel()
		s := peopled(t, open)
		ctx := t.Context()
		check(t, s.CreateKey(ctx, permanentKey("A", worker.ID), 2))
		check(t, s.CreateKey(ctx, temporaryKey("T", worker, ""), 2))
		check(t, s.SetKeyActive(ctx, "A", false))
		got, _, err := s.Key(ctx, "A")
		wantEqual(t, "active", got.Active, false, err)
		check(t, s.DeleteKey(ctx, "A"))
		_, _, err = s.Key(ctx, "A")
		wantKind(t, err, fault.NotFound)
		for _, access := range []string{"A", "T"} { // a temporary one is not managed, it ends
			wantKind(t, s.SetKeyActive(ctx, access, true), fault.NotFound)
			wantKind(t, s.DeleteKey(ctx, access), fault.NotFound)
		}
	})
}

func testTokens(t *testing.T, open Opener) {
	t.Run("read back as they were written", func(t *testing.T) {
		t.Parallel()
		s := peopled(t, open)
		want := aToken("h1", worker, "")
		check(t, s.CreateToken(t.Context(), want))
		unscoped := aToken("h2", worker, "")
		unscoped.Region, unscoped.Method = iam.Region{}, iam.FromToken
		check(t, s.CreateToken(t.Context(), unscoped))
		want.Live, unscoped.Live = true, true
		for _, w := range []iam.StoredToken{want, unscoped} {
			got, account, err := s.Token(t.Context(), w.Hash)
			wantEqual(t, "token", got, w, err)
			wantEqual(t, "account", account, worker, err)
		}
		check(t, s.DeleteToken(t.Context(), "h1"))
		_, _, err := s.Token(t.Context(), "h1")
		wantKind(t, err, fault.NotFound)
		wantKind(t, s.DeleteToken(t.Context(), "h1"), fault.NotFound)
		if err := s.CreateToken(t.Context(), aToken("h3", iam.Account{User: iam.User{ID: "none"}}, "")); err == nil {
			t.Error("a token of nobody was stored")
		}
	})

	t.Run("go with what they were got with", func(t *testing.T) {
		t.Parallel()
		s := peopled(t, open)
		ctx := t.Context()
		add := func(line string) error {
			token := aToken("T"+line, worker, "")
			token.Line = line
			return s.CreateToken(ctx, token)
		}
		for _, line := range []string{"a", "a/b", "a/b/c", "a/bc", "ab"} {
			check(t, add(line))
		}
		key := temporaryKey("TK", worker, "")
		key.Line = "a/b/TK"
		check(t, s.CreateKey(ctx, key, 2))
		check(t, add("a/b/TK/d"))
		check(t, s.DeleteToken(ctx, "Ta/b"))
		for line, there := range map[string]bool{"a": true, "a/b": false, "a/b/c": false, "a/bc": true, "ab": true, "a/b/TK/d": false} {
			if got, _, err := s.Token(ctx, "T"+line); (err == nil) != there || there && got.Line != line {
				t.Errorf("%s is there: %t: %v, %v", line, there, got.Line, err)
			}
		}
		_, _, err := s.Key(ctx, "TK")
		wantKind(t, err, fault.NotFound)
		for _, line := range []string{"a/b/e", "a/b/TK/e", "none/e"} {
			wantKind(t, add(line), fault.NotFound)
		}
		key.Access, key.Line = "TK2", "a/b/TK2"
		wantKind(t, s.CreateKey(ctx, key, 2), fault.NotFound)
	})

	t.Run("gone while something is got with them", func(t *testing.T) {
		t.Parallel()
		s := peopled(t, open)
		ctx := t.Context()
		first := aToken("Ta", worker, "")
		first.Line = "a"
		check(t, s.CreateToken(ctx, first))
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				child := aToken(fmt.Sprint("child", i), worker, "")
				child.Line = fmt.Sprint("a/", i)
				if err := s.CreateToken(ctx, child); err != nil && !fault.Is(err, fault.NotFound) {
					t.Error(err)
				}
			})
		}
		check(t, s.DeleteToken(ctx, "Ta"))
		wg.Wait()
		for i := range 8 {
			if _, _, err := s.Token(ctx, fmt.Sprint("child", i)); !fault.Is(err, fault.NotFound) {
				t.Errorf("token %d has outlived what it was got with: %v", i, err)
			}
		}
	})

	t.Run("live for as long as what they stand on", func(t *testing.T) {
		t.Parallel()
		s := peopled(t, open)
		ctx := t.Context()
		check(t, s.CreateKey(ctx, permanentKey("A", worker.ID), 2))
		for hash, origin := range map[string]string{"by-password": "", "by-key": "A"} {
			check(t, s.CreateToken(ctx, aToken(hash, worker, origin)))
			check(t, s.CreateKey(ctx, temporaryKey("K-"+hash, worker, origin), 2))
		}
		live := func(when string, password, key bool) {
			t.Helper()
			for hash, want := range map[string]bool{"by-password": password, "by-key": key} {
				token, _, err := s.Token(ctx, hash)
				wantEqual(t, when+": token "+hash, token.Live, want, err)
				temporary, _, err := s.Key(ctx, "K-"+hash)
				wantEqual(t, when+": key "+hash, temporary.Live, want, err)
			}
		}
		live("at first", true, true)
		check(t, s.SetKeyActive(ctx, "A", false))
		live("key off", true, false)
		check(t, s.SetKeyActive(ctx, "A", true))
		live("key on", true, true)
		check(t, s.DeleteKey(ctx, "A"))
		live("key deleted", true, false)
		check(t, s.ChangeUser(ctx, worker.ID, func(a *iam.Account) error { a.Generation++; return nil }))
		live("new generation", false, false)
	})

	t.Run("swept when they have expired", func(t *testing.T) {
		t.Parallel()
		s := peopled(t, open)
		ctx := t.Context()
		const many = 250 // more than two rounds
		for i := range many {
			token := aToken(fmt.Sprint("old", i), worker, "")
			token.ExpiresAt = start.Add(time.Minute)
			check(t, s.CreateToken(ctx, token))
		}
		check(t, s.CreateToken(ctx, aToken("new", worker, "")))
		check(t, s.CreateKey(ctx, permanentKey("A", worker.ID), 2))
		check(t, s.CreateKey(ctx, temporaryKey("T", worker, ""), 2))
		check(t, s.DeleteExpired(ctx, start.Add(time.Minute)))
		for i := range many {
			_, _, err := s.Token(ctx, fmt.Sprint("old", i))
			wantKind(t, err, fault.NotFound)
		}
		_, _, err := s.Key(ctx, "T")
		check(t, err)
		check(t, s.DeleteExpired(ctx, start.Add(time.Hour)))
		_, _, err = s.Key(ctx, "T")
		wantKind(t, err, fault.NotFound)
		_, _, err = s.Key(ctx, "A")
		check(t, err)
		_, _, err = s.Token(ctx, "new")
		check(t, err)
	})
}

func testProjects(t *testing.T, open Opener) {
	one := iam.Project{ID: "p1", DomainID: "d1", Name: "one", CreatorID: worker.ID, CreatedAt: start}
	two := iam.Project{ID: "p2", DomainID: "d1", Name: "two", CreatedAt: start}
	setup := func(t *testing.T) *store.Store {
		t.Helper()
		s := peopled(t, open)
		check(t, s.CreateProject(t.Context(), two, iam.ProjectAdministrator))
		check(t, s.CreateProject(t.Context(), one, iam.ProjectAdministrator))
		return s
	}

	t.Run("read back as they were written", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		got, err := s.Project(t.Context(), "p1")
		wantEqual(t, "project", got, one, err)
		list, err := s.Projects(t.Context(), "d1")
		wantEqual(t, "projects", list, []iam.Project{one, two}, err)
		_, err = s.Project(t.Context(), "none")
		wantKind(t, err, fault.NotFound)
		wantKind(t, s.CreateProject(t.Context(), iam.Project{ID: "p1", DomainID: "d2", Name: "x"}, ""), fault.Exists)
		wantKind(t, s.CreateProject(t.Context(), iam.Project{ID: "p9", DomainID: "d1", Name: "one"}, ""), fault.Exists)
		check(t, s.CreateProject(t.Context(), iam.Project{ID: "p3", DomainID: "d2", Name: "one"}, ""))
		wantKind(t, s.CreateProject(t.Context(), iam.Project{ID: "p4", DomainID: "d1", Name: "x", CreatorID: rival.ID}, iam.Viewer), fault.NotFound)
		_, err = s.Project(t.Context(), "p4")
		wantKind(t, err, fault.NotFound)
	})

	t.Run("members and their roles", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		ctx := t.Context()
		check(t, s.GrantRole(ctx, "p1", worker.ID, iam.Viewer))
		check(t, s.GrantRole(ctx, "p1", worker.ID, iam.Viewer))
		check(t, s.GrantRole(ctx, "p1", admin.ID, iam.Tester))
		members, err := s.Members(ctx, "p1")
		wantEqual(t, "members", members, []iam.Member{
			{User: admin.User, Roles: []iam.Role{iam.Tester}}, {User: worker.User, Roles: []iam.Role{iam.ProjectAdministrator, iam.Viewer}},
		}, err)
		for _, ids := range [][2]string{{"p1", rival.ID}, {"p1", "none"}, {"none", worker.ID}} {
			wantKind(t, s.GrantRole(ctx, ids[0], ids[1], iam.Viewer), fault.NotFound)
		}
		check(t, s.RevokeRole(ctx, "p1", admin.ID, iam.Tester))
		wantKind(t, s.RevokeRole(ctx, "p1", admin.ID, iam.Tester), fault.NotFound)
		members, err = s.Members(ctx, "p1")
		wantEqual(t, "members left", len(members), 1, err)
	})

	t.Run("what a user has to do with projects", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		ctx := t.Context()
		check(t, s.GrantRole(ctx, "p1", worker.ID, iam.Viewer))
		both := []iam.Role{iam.ProjectAdministrator, iam.Viewer}
		ofWorker := []iam.Membership{{Project: one, UserID: worker.ID, Roles: both}}
		ofAdmin := []iam.Membership{{Project: one, UserID: admin.ID, Administrator: true}, {Project: two, UserID: admin.ID, Administrator: true}}
		for _, tt := range []struct {
			user, project string
			want          []iam.Membership
		}{
			{worker.ID, "", ofWorker},
			{worker.ID, "p1", ofWorker},
			{worker.ID, "p2", nil},
			{worker.ID, "none", nil},
			{admin.ID, "", ofAdmin},
			{admin.ID, "p2", ofAdmin[1:]},
			{rival.ID, "p1", nil},
			{"d2-admin", "", nil},
			{"none", "", nil},
		} {
			got, err := s.Memberships(ctx, tt.user, tt.project)
			wantEqual(t, tt.user+" in "+tt.project, got, tt.want, err)
		}
		check(t, s.ChangeUser(ctx, worker.ID, func(a *iam.Account) error { a.Enabled = false; return nil }))
		got, err := s.Memberships(ctx, worker.ID, "")
		wantEqual(t, "disabled", got, []iam.Membership(nil), err)
	})
}
