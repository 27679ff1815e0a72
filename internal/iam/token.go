package iam

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"

	"atelier/internal/fault"
)

// TokenLife is how long a token is good for.
const TokenLife = 24 * time.Hour

// Method is a way to get a token, in the vendor's words.
type Method string

// The ways to get a token.
const (
	ByPassword  Method = "password"
	ByAccessKey Method = "hw_ak_sk"
	FromToken   Method = "token"
)

// Token says what a token opens. Its value is known to its holder only.
type Token struct {
	Method    Method
	User      User
	Domain    Domain
	Region    Region // empty when the scope is the domain
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// StoredToken is a token as it is kept.
type StoredToken struct {
	Hash       string // SHA-256 of the value, in hexadecimal digits
	UserID     string
	Method     Method
	Region     Region // only the id is stored
	Origin     string // the permanent access key that it goes back to; empty for a password
	Generation int    // of the account when it was issued
	IssuedAt   time.Time
	ExpiresAt  time.Time
	Line       string // the ids of what it was got with, and its own; see [Caller]

	// Live is computed on reading: false when the account's generation has moved on, or the origin is not active or gone.
	Live bool
}

// A token's value is random, so a fast hash without salt is enough to keep it.
const (
	tokenPrefix = "atelier-"
	tokenRandom = 32
	tokenSize   = len(tokenPrefix) + (tokenRandom*8+5)/6
)

type tokenHash [sha256.Size]byte

func (h tokenHash) String() string { return hex.EncodeToString(h[:]) }

// newToken returns a value and its hash.
func newToken() (string, tokenHash) {
	value := tokenPrefix + randomText()
	hash, _ := hashToken(value)
	return value, hash
}

// randomText returns 256 random bits in characters that need no escaping anywhere.
func randomText() string {
	var b [tokenRandom]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// hashToken returns the hash of a value, and false for what cannot be a token of ours.
func hashToken(value string) (tokenHash, bool) {
	var b [tokenSize]byte // on the stack, unlike a conversion of the text
	if len(value) != tokenSize || value[:len(tokenPrefix)] != tokenPrefix {
		return tokenHash{}, false
	}
	copy(b[:], value)
	return sha256.Sum256(b[:]), true
}

// newSecurityToken returns what comes with a temporary key, and its hash.
func newSecurityToken() (value, hash string) {
	value = securityTokenPrefix + randomText()
	return value, hashSecurityToken(value)
}

func hashSecurityToken(value string) string {
	hash := sha256.Sum256([]byte(value))
	return hex.EncodeToString(hash[:])
}

// tokenEntry is what the cache holds of a token. The caller is who comes with it, unless err says why not.
type tokenEntry struct {
	token  Token
	caller Caller
	err    error
}

func (s *Service) loadToken(ctx context.Context, hash tokenHash) (*tokenEntry, error) {
	stored, account, err := s.Store.Token(ctx, hash.String())
	if err != nil {
		return nil, err
	}
	e := &tokenEntry{
		token: Token{
			Method: stored.Method, User: account.User, Domain: account.Domain, Region: stored.Region,
			IssuedAt: stored.IssuedAt, ExpiresAt: stored.ExpiresAt,
		},
		caller: Caller{
			User: account.User, Domain: account.Domain, Region: stored.Region, Proof: WithToken, ExpiresAt: stored.ExpiresAt,
			origin: stored.Origin, generation: stored.Generation, line: stored.Line,
		},
	}
	switch {
	case !account.Enabled:
		e.err = errUserDisabled
	case !stored.Live, stored.Region.ID != "" && !s.serves(stored.Region):
		e.err = errOutdated
	}
	return e, nil
}

// tokenOf returns what is known of a token that has not expired. The error is errToken when nothing is.
func (s *Service) tokenOf(ctx context.Context, value string) (*tokenEntry, error) {
	hash, ok := hashToken(value)
	if !ok {
		return nil, errToken
	}
	e, err := s.tokens.get(ctx, hash)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, errToken
	case err != nil:
		return nil, err
	case !s.Now().Before(e.token.ExpiresAt):
		return nil, errToken
	default:
		return e, nil
	}
}

// ByToken returns who comes with a token. Other errors than those of the store are [AuthError].
func (s *Service) ByToken(ctx context.Context, value string) (Caller, error) {
	e, err := s.tokenOf(ctx, value)
	if err != nil {
		return Caller{}, err
	}
	if e.err != nil {
		return Caller{}, e.err
	}
	return e.caller, nil
}

// Lookup tells a caller what a token opens: its own, or as an administrator those of its domain. A token that is unknown, at its
// end, or none of the caller's business does not exist.
func (s *Service) Lookup(ctx context.Context, by Caller, value string) (Token, error) {
	e, err := s.tokenOf(ctx, value)
	switch {
	case err == nil && e.err == nil && by.manages(e.token.User):
		return e.token, nil
	case err == nil, fault.Is(err, fault.Unauthenticated):
		return Token{}, fault.New(fault.NotFound, "The token does not exist or has expired.")
	default:
		return Token{}, err
	}
}

// LineSeparator stands between the ids of a line.
const LineSeparator = "/"

// maxLine bounds a line, which is some thirty tokens that were each got with the one before.
const maxLine = 1000

// extend returns the line of what is got with something. Ids are as good as random.
func extend(line, id string) (string, error) {
	if line == "" {
		return id, nil
	}
	if line += LineSeparator + id; len(line) > maxLine {
		return "", fault.New(fault.Limit, "the token was got with too many others, each with the one before; sign in again")
	}
	return line, nil
}

// Revoke ends a token of the caller's, or as an administrator one of its domain, and all tokens and temporary keys that were got with it.
func (s *Service) Revoke(ctx context.Context, by Caller, value string) error {
	if _, err := s.Lookup(ctx, by, value); err != nil {
		return err
	}
	hash, _ := hashToken(value)
	return s.Store.DeleteToken(ctx, hash.String())
}
