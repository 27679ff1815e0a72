package iam

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"

	"atelier/internal/address"
	"atelier/internal/iam/signature"
)

// Names of headers, in the form that [http.Header] keeps them.
const (
	tokenHeader     = "X-Auth-Token"
	regionHeader    = "X-Project-Id"
	domainHeader    = "X-Domain-Id"
	authorizeHeader = "Authorization"
)

// Pending is a request of which the headers have been judged and the body has not been read.
type Pending struct {
	service *Service
	request *http.Request

	caller Caller
	proven bool

	// Of a signature that covers a body which is not there yet.
	claim signature.Claim
	key   *keyEntry
	who   attempt
}

// Proven reports whether the headers alone prove who calls: then [Pending.Caller] says who. Otherwise the caller may be anybody
// who knows the public half of a key that exists.
func (p *Pending) Proven() bool { return p.proven }

// Caller returns who calls, if that is proven.
func (p *Pending) Caller() Caller { return p.caller }

// Claimed returns the access key that a request which is not proven says it is signed with.
func (p *Pending) Claimed() string { return p.claim.Access }

// Examine judges a request by its headers, so that nobody's large body has to be read to find out that it is a stranger's. The
// body decides only about a signature that covers it: [Pending.Finish] says who calls. A signature decides when there is one; a
// token that comes with it must be good and of the same user. An empty token header counts as none. Other errors than those of
// the store are [AuthError].
func (s *Service) Examine(ctx context.Context, r *http.Request) (*Pending, error) {
	p := &Pending{service: s, request: r}
	token := header(r, tokenHeader)
	var err error
	switch {
	case signature.Present(r):
		err = p.examineSignature(ctx)
	case token != "":
		p.caller, err = s.ByToken(ctx, token)
		p.proven = true
	case header(r, authorizeHeader) == "":
		err = errNoProof
	default: // which says what is wrong with it
		err = p.examineSignature(ctx)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Finish returns who calls, now that the body is there. Proofs that have ended while it came do not count any more.
func (p *Pending) Finish(ctx context.Context, body []byte) (Caller, error) {
	token := header(p.request, tokenHeader)
	if p.key == nil {
		if len(body) == 0 {
			return p.caller, nil
		}
		return p.service.ByToken(ctx, token)
	}
	if err := p.finishSignature(ctx, body); err != nil || token == "" {
		return p.caller, err
	}
	other, err := p.service.ByToken(ctx, token)
	if err != nil {
		return Caller{}, err
	}
	if other.User.ID != p.caller.User.ID {
		return Caller{}, errTwoUsers
	}
	return p.caller, nil
}

// Authenticate returns who sent a request that came with body.
func (s *Service) Authenticate(ctx context.Context, r *http.Request, body []byte) (Caller, error) {
	p, err := s.Examine(ctx, r)
	if err != nil {
		return Caller{}, err
	}
	return p.Finish(ctx, body)
}

// header returns the first value of a header whose name is in canonical form.
func header(r *http.Request, name string) string {
	if values := r.Header[name]; len(values) > 0 {
		return strings.TrimSpace(values[0])
	}
	return ""
}

// examineSignature finds out everything about a signature that does not need the body. The address that failures are counted by
// is r.RemoteAddr. A wrong signature and an access key that does not exist look alike.
func (p *Pending) examineSignature(ctx context.Context) error {
	claim, err := signature.Parse(p.request)
	if e, ok := errors.AsType[*signature.AlgorithmError](err); ok {
		return &AuthError{Reason: Unproven, Message: e.Error()}
	}
	if err != nil {
		return errSignature
	}
	p.claim, p.who = claim, newAttempt(claim.Access, address.Source(p.request.RemoteAddr))
	// The key is looked up before anything is judged, so that the time an answer takes does not tell which keys exist.
	if p.key, err = p.service.keyOf(ctx, claim.Access); err != nil {
		return err
	}
	now := p.service.Now()
	decided, err := claim.VerifyHead(p.request, p.key.secret, now)
	if errors.Is(err, signature.ErrExpired) {
		return errSignatureDate // a clock that is wrong is no guess at a secret
	}
	if token := p.key.holdsSecurityToken(p.request); err != nil || !token || !p.key.usable(now) {
		return p.refuse()
	}
	if !decided {
		return nil
	}
	p.proven = true
	p.caller, err = p.service.signer(p.request, p.key)
	return err
}

// finishSignature sets the caller, which is nobody after an error.
func (p *Pending) finishSignature(ctx context.Context, body []byte) (err error) {
	p.caller = Caller{}
	if len(body) > 0 {
		if p.key, err = p.service.keyOf(ctx, p.claim.Access); err != nil {
			return err
		}
	}
	now := p.service.Now()
	err = p.claim.Verify(p.request, body, p.key.secret, now)
	if errors.Is(err, signature.ErrExpired) {
		return errSignatureDate
	}
	if err != nil || !p.key.usable(now) {
		return p.refuse()
	}
	p.service.keyUsers.succeeded(p.who)
	p.caller, err = p.service.signer(p.request, p.key)
	return err
}

// refuse counts a wrong signature. A right one is taken however many wrong ones came before it: verifying one costs little, and
// whoever else knows the public half of a key could otherwise lock out its owner.
func (p *Pending) refuse() error {
	if p.service.keyUsers.wait(p.who) > 0 {
		return errKeyLocked
	}
	p.service.keyUsers.failed(p.who)
	return errSignature
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
		origin: e.origin(), generation: e.account.Generation, line: e.key.Line,
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
