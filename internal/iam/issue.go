package iam

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"atelier/internal/address"
	"atelier/internal/fault"
)

// TokenRequest asks for a token.
type TokenRequest struct {
	Method Method

	User     UserRef // with ByPassword
	Password string

	Access string // with ByAccessKey
	Secret string

	Token string // with FromToken

	Scope Scope
}

// Scope says what a token is to open. Without any part it is the user's domain.
type Scope struct {
	Region *Ref // the wire calls it project
	Domain *Ref // of the region, or the scope itself when there is no region
}

// check returns what is missing from a request, before anybody's credentials are looked at.
func (r TokenRequest) check() error {
	missing := func(field string) error { return fault.Field(field, "is missing") }
	switch r.Method {
	case ByPassword:
		switch {
		case r.User.ID == "" && r.User.Name == "":
			return missing("auth.identity.password.user.name")
		case r.User.ID == "" && r.User.Domain == Ref{}:
			return missing("auth.identity.password.user.domain")
		case r.Password == "":
			return missing("auth.identity.password.user.password")
		}
	case ByAccessKey:
		switch {
		case r.Access == "":
			return missing("auth.identity.hw_ak_sk.access.key")
		case r.Secret == "":
			return missing("auth.identity.hw_ak_sk.secret.key")
		}
	case FromToken:
		if r.Token == "" {
			return missing("auth.identity.token.id")
		}
	default:
		return fault.Field("auth.identity.methods", "must be one of %s, %s, %s, found %.40q", ByPassword, ByAccessKey, FromToken, r.Method)
	}
	switch {
	case r.Scope.Region != nil && *r.Scope.Region == Ref{}:
		return fault.Field("auth.scope.project", "must have an id or a name")
	case r.Scope.Domain != nil && *r.Scope.Domain == Ref{}:
		return fault.Field("auth.scope.domain", "must have an id or a name")
	}
	return nil
}

// grounds are what a new token stands on.
type grounds struct {
	account Account
	origin  string
	parent  *tokenEntry // the token that it was got from, if any
}

// Issue gives out a token and returns its value, which cannot be read again.
// A request that is not complete is a fault.Invalid error. Whatever is wrong about the credentials or the scope is one and the same
// [AuthError], so that names cannot be found out by trying. Who fails too often is Throttled for a while.
func (s *Service) Issue(ctx context.Context, req TokenRequest, from Origin) (value string, token Token, err error) {
	if err := req.check(); err != nil {
		return "", Token{}, err
	}
	g, err := s.identify(ctx, req, from)
	if err != nil {
		return "", Token{}, err
	}
	region, err := s.scope(ctx, g.account, req.Scope)
	if err != nil {
		return "", Token{}, err
	}
	now := s.now()
	token = Token{
		Method: req.Method, User: g.account.User, Domain: g.account.Domain, Region: region, IssuedAt: now, ExpiresAt: now.Add(TokenLife),
	}
	if g.parent != nil {
		token.ExpiresAt = earlier(token.ExpiresAt, g.parent.token.ExpiresAt)
	}
	value, hash := newToken()
	parent := ""
	if g.parent != nil {
		parent = g.parent.caller.line
	}
	line, err := extend(parent, hash.String()[:32])
	if err != nil {
		return "", Token{}, err
	}
	err = s.Store.CreateToken(ctx, StoredToken{
		Hash: hash.String(), UserID: token.User.ID, Method: token.Method, Region: region, Origin: g.origin, Generation: g.account.Generation,
		IssuedAt: token.IssuedAt, ExpiresAt: token.ExpiresAt, Line: line,
	})
	if err != nil {
		return "", Token{}, revokedMeanwhile(err)
	}
	return value, token, nil
}

// revokedMeanwhile is the error of getting something with a token that is gone by now.
func revokedMeanwhile(err error) error {
	if fault.Is(err, fault.NotFound) {
		return errLogin
	}
	return err
}

func (s *Service) identify(ctx context.Context, req TokenRequest, from Origin) (grounds, error) {
	switch req.Method {
	case ByPassword:
		account, err := s.checkLogin(ctx, req.User, req.Password, from)
		return grounds{account: account}, err
	case ByAccessKey:
		return s.checkSecret(ctx, req.Access, req.Secret, address.Source(from.Address))
	default:
		return s.checkParent(ctx, req.Token)
	}
}

// checkLogin returns the account that a name and a password open. All limits are asked before the attempt waits for its turn to
// be hashed, and an attempt that waits counts as a failure until it is decided, so that many at once are no more than one by one.
func (s *Service) checkLogin(ctx context.Context, ref UserRef, password string, from Origin) (Account, error) {
	device := from.device(attemptName(ref, Account{}))
	known := s.devices.know(device)
	end := func(outcome) {}
	if !known {
		var wait time.Duration
		if end, wait = s.sources.begin("", from); wait > 0 {
			return Account{}, throttled(wait)
		}
	}
	account, result, err := s.tryLogin(ctx, ref, password, from, known)
	if result == succeeded {
		result = undecided // or one account would let its owner try all others
	}
	end(result)
	if err == nil {
		s.devices.add(device)
	}
	return account, err
}

// tryLogin is checkLogin for a source that may try. A device that has signed in before has a count of its own: whoever else
// tries names and passwords from the same address does not lock it out.
func (s *Service) tryLogin(ctx context.Context, ref UserRef, password string, from Origin, known bool) (Account, outcome, error) {
	account, err := s.Store.Account(ctx, ref)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return Account{}, undecided, err
	}
	found, name, in := err == nil, attemptName(ref, account), strangersLane
	if known {
		in, from = knownLane, from.asKnown()
	}
	end, wait := s.logins.begin(name, from)
	if wait > 0 {
		return Account{}, undecided, throttled(wait)
	}
	result := undecided
	defer func() { end(result) }()
	release, err := s.hashing.take(ctx, in, address.Source(from.Address), name)
	if err != nil {
		return Account{}, result, err
	}
	defer release()
	same, err := comparePassword(cmp.Or(account.PasswordHash, noPassword), password)
	if err != nil {
		return Account{}, result, err
	}
	if !same || !found || !account.Enabled {
		result = failed
		return Account{}, result, errLogin
	}
	result = succeeded
	return account, result, nil
}

// attemptName returns what the failures of one user are counted under, by whichever name it was called.
func attemptName(ref UserRef, account Account) string {
	if account.ID != "" {
		return account.ID
	}
	return ref.ID + "/" + ref.Domain.ID + "/" + ref.Domain.Name + "/" + ref.Name
}

// noSecret takes the place of the secret of a key that does not exist.
var noSecret = newSecret()

// checkSecret returns what an access key and its secret, sent in plain, open. Temporary keys do not work without their security
// token. As with signatures, a right secret is taken whoever else has failed.
func (s *Service) checkSecret(ctx context.Context, access, secret, source string) (grounds, error) {
	who := newAttempt(access, source)
	e, err := s.keyOf(ctx, access)
	if err != nil {
		return grounds{}, err
	}
	given, stored := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(e.secret))
	same := subtle.ConstantTimeCompare(given[:], stored[:]) == 1
	if !same || !e.usable(s.Now()) || !e.key.ExpiresAt.IsZero() || !e.account.Enabled {
		if wait := s.keyUsers.wait(who); wait > 0 {
			return grounds{}, throttled(wait)
		}
		s.keyUsers.failed(who)
		return grounds{}, errLogin
	}
	s.keyUsers.succeeded(who)
	return grounds{account: e.account, origin: e.key.Access}, nil
}

// keyOf returns what is known of an access key. For one that does not exist it is an entry that cannot be used, with a secret
// that nobody has, so that the way of a request through the checks is the same.
func (s *Service) keyOf(ctx context.Context, access string) (*keyEntry, error) {
	e, err := s.keys.get(ctx, access)
	if fault.Is(err, fault.NotFound) {
		return &keyEntry{secret: noSecret}, nil
	}
	return e, err
}

// checkParent returns what a token opens that another one is asked for with.
func (s *Service) checkParent(ctx context.Context, value string) (grounds, error) {
	e, err := s.tokenOf(ctx, value)
	if fault.Is(err, fault.Unauthenticated) {
		return grounds{}, errLogin
	}
	if err != nil {
		return grounds{}, err
	}
	if e.err != nil {
		return grounds{}, errLogin
	}
	account := Account{User: e.caller.User, Domain: e.caller.Domain, Generation: e.caller.generation}
	return grounds{account, e.caller.origin, e}, nil
}

// scope returns the region that a scope names; an empty one for the domain.
func (s *Service) scope(ctx context.Context, account Account, scope Scope) (Region, error) {
	if scope.Domain != nil && !scope.Domain.matches(account.Domain.ID, account.Domain.Name) {
		return Region{}, errLogin
	}
	if scope.Region == nil {
		return Region{}, nil
	}
	regions, err := s.regions(ctx, account.DomainID)
	if err != nil {
		return Region{}, err
	}
	for _, r := range regions {
		if scope.Region.matches(r.ID, r.Name) {
			return r, nil
		}
	}
	return Region{}, errLogin
}
