package iam

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"

	"atelier/internal/iam/signature"
)

// Names of headers, in the form that [http.Header] keeps them.
const (
	tokenHeader     = "X-Auth-Token"
	regionHeader    = "X-Project-Id"
	domainHeader    = "X-Domain-Id"
	authorizeHeader = "Authorization"
)

// Authenticate returns who sent a request. A signature decides when there is one; a token that comes with it must be good and of the
// same user. An empty token header counts as none. Other errors than those of the store are [AuthError].
func (s *Service) Authenticate(ctx context.Context, r *http.Request, body []byte) (Caller, error) {
	token := header(r, tokenHeader)
	switch {
	case signature.Present(r):
	case token != "":
		return s.ByToken(ctx, token)
	case header(r, authorizeHeader) == "":
		return Caller{}, errNoProof
	}
	caller, err := s.BySignature(ctx, r, body)
	if err != nil || token == "" {
		return caller, err
	}
	other, err := s.ByToken(ctx, token)
	if err != nil {
		return Caller{}, err
	}
	if other.User.ID != caller.User.ID {
		return Caller{}, errTwoUsers
	}
	return caller, nil
}

// header returns the first value of a header whose name is in canonical form.
func header(r *http.Request, name string) string {
	if values := r.Header[name]; len(values) > 0 {
		return strings.TrimSpace(values[0])
	}
	return ""
}

// BySignature returns who signed a request that came with body. The address that failures are counted by is r.RemoteAddr.
// Other errors than those of the store are [AuthError]; a wrong signature and an access key that does not exist look alike.
func (s *Service) BySignature(ctx context.Context, r *http.Request, body []byte) (Caller, error) {
	claim, err := signature.Parse(r)
	if e, ok := errors.AsType[*signature.AlgorithmError](err); ok {
		return Caller{}, &AuthError{Reason: Unproven, Message: e.Error()}
	}
	if err != nil {
		return Caller{}, errSignature
	}
	who := newAttempt(claim.Access, network(r.RemoteAddr))
	if s.keyUsers.wait(who) > 0 {
		return Caller{}, errKeyLocked
	}
	// The key is looked up before anything is judged, so that the time an answer takes does not tell which keys exist.
	e, err := s.keyOf(ctx, claim.Access)
	if err != nil {
		return Caller{}, err
	}
	now := s.Now()
	err = claim.Verify(r, body, e.secret, now)
	if errors.Is(err, signature.ErrExpired) {
		return Caller{}, errSignatureDate // a clock that is wrong is no guess at a secret
	}
	token := e.holdsSecurityToken(r)
	if err != nil || !token || !e.usable(now) {
		s.keyUsers.failed(who)
		return Caller{}, errSignature
	}
	s.keyUsers.succeeded(who)
	return s.signer(r, e)
}

// holdsSecurityToken reports whether a request carries the security token that the key needs: a permanent one has none.
func (e *keyEntry) holdsSecurityToken(r *http.Request) bool {
	token := header(r, signature.SecurityTokenHeader)
	if e.key.Session == "" {
		return token == ""
	}
	return subtle.ConstantTimeCompare([]byte(hashSecurityToken(token)), []byte(e.key.Session)) == 1
}

// signer returns the caller of a request that is proven to be signed with a key.
func (s *Service) signer(r *http.Request, e *keyEntry) (Caller, error) {
	if !e.account.Enabled {
		return Caller{}, errUserDisabled
	}
	if id := header(r, domainHeader); id != "" && id != e.account.Domain.ID {
		return Caller{}, errForeignDomain
	}
	region, err := s.regionOf(e.regions, header(r, regionHeader))
	if err != nil {
		return Caller{}, err
	}
	return Caller{
		User: e.account.User, Domain: e.account.Domain, Region: region, Proof: WithSignature, ExpiresAt: e.key.ExpiresAt,
		origin: e.origin(), generation: e.account.Generation,
	}, nil
}

// regionOf returns the region that a request acts in: the one that it names, or the one that the installation stands for.
func (s *Service) regionOf(regions []Region, id string) (Region, error) {
	i := slices.IndexFunc(regions, func(r Region) bool {
		if id == "" {
			return r.Name == s.Region
		}
		return r.ID == id
	})
	switch {
	case i >= 0:
		return regions[i], nil
	case id == "":
		return Region{}, nil // Bootstrap has not been here; identity operations still work
	default:
		return Region{}, errForeignRegion
	}
}

// regions returns the regions of a domain that the installation serves.
func (s *Service) regions(ctx context.Context, domainID string) ([]Region, error) {
	regions, err := s.Store.Regions(ctx, domainID)
	return slices.DeleteFunc(regions, func(r Region) bool { return !s.serves(r) }), err
}
