package iam

import (
	"cmp"
	"fmt"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// Proof is how a caller showed who it is.
type Proof int

// The ways to prove oneself.
const (
	WithToken Proof = iota
	WithSignature
)

// Caller is who sent a request.
type Caller struct {
	User   User
	Domain Domain
	Region Region // that the request acts in; empty when the caller's token is scoped to its domain
	Proof  Proof
	// ExpiresAt is when the proof ends; zero for a permanent access key.
	ExpiresAt time.Time

	origin     string // the permanent access key that the proof goes back to; empty when it goes back to a password
	generation int    // of the account, when the proof was made
	line       string // the ids of the tokens and temporary keys that the proof was got with, and its own; empty for a permanent key
}

// Actor returns the caller as the build service knows it.
func (c Caller) Actor() build.Actor {
	return build.Actor{UserID: c.User.ID, UserName: c.User.Name, DomainID: c.User.DomainID, Administrator: c.User.Administrator}
}

// Key is what requests are counted by: the permanent access key that the proof goes back to, or the user's id when it goes back to a password.
func (c Caller) Key() string { return cmp.Or(c.origin, c.User.ID) }

// InRegion returns an [AuthError] unless the request acts in a region, which everything but the identity operations needs.
func (c Caller) InRegion() error {
	if c.Region.ID == "" {
		return errNotScoped
	}
	return nil
}

// manages reports whether the caller may manage what belongs to a user: its own things, and as an administrator those of its domain.
func (c Caller) manages(user User) bool {
	return user.ID == c.User.ID || (c.User.Administrator && user.DomainID == c.Domain.ID)
}

// Reason says what sort of trouble a proof has. It decides the status and the code of the answer.
type Reason int

// The reasons for which a proof is refused.
const (
	// Unproven is no proof, or one that does not hold.
	Unproven Reason = iota
	// Outdated is a token that was good once: the caller has to get a new one.
	Outdated
	// Blocked is a caller that is known but may not come in, or not there.
	Blocked
	// Throttled is a caller that failed too often and has to wait.
	Throttled
)

// AuthError is a refused proof of who calls. It is also a [fault.Error] of the kind Unauthenticated, Forbidden or Limit.
type AuthError struct {
	Reason Reason
	// Message may be shown to the client. For Unproven it is what follows the vendor's "Incorrect IAM authentication information: ",
	// for the others a sentence of its own.
	Message string
	// RetryAfter is how long a Throttled caller has to wait.
	RetryAfter time.Duration
}

func (e *AuthError) Error() string { return e.Message }

// Unwrap returns the error as the rooms that know nothing of proofs see it.
func (e *AuthError) Unwrap() error {
	kind := fault.Unauthenticated
	switch e.Reason {
	case Blocked:
		kind = fault.Forbidden
	case Throttled:
		kind = fault.Limit
	}
	return fault.New(kind, "%s", e.Message)
}

// The vendor's words, where it has any.
var (
	errNoProof       = &AuthError{Reason: Unproven, Message: "x-auth-token not found"}
	errToken         = &AuthError{Reason: Unproven, Message: "decrypt token fail"}
	errNotScoped     = &AuthError{Reason: Unproven, Message: "the token is not scoped to a project"}
	errTwoUsers      = &AuthError{Reason: Unproven, Message: "X-Auth-Token and Authorization are of different users"}
	errSignature     = &AuthError{Reason: Unproven, Message: "verify aksk signature fail"}
	errSignatureDate = &AuthError{Reason: Unproven, Message: "calc ak sk signature fail:signature expired"}
	errKeyLocked     = &AuthError{Reason: Unproven, Message: "AK access failed to reach the limit,forbidden"}
	errLogin         = &AuthError{Reason: Unproven, Message: "The username or password is wrong."}

	errCrowd = &AuthError{Reason: Throttled, RetryAfter: time.Second, Message: "Too many sign-ins at a time. Try again in a second."}

	errOutdated      = &AuthError{Reason: Outdated, Message: "The token must be updated."}
	errUserDisabled  = &AuthError{Reason: Blocked, Message: "The IAM user is not authorized to access the API."}
	errForeignRegion = &AuthError{Reason: Blocked, Message: "X-Project-Id is not a project of the caller in this region."}
	errForeignDomain = &AuthError{Reason: Blocked, Message: "X-Domain-Id is not the caller's domain."}
)

func throttled(wait time.Duration) error {
	wait = (wait + time.Second - 1).Truncate(time.Second)
	return &AuthError{
		Reason: Throttled, RetryAfter: wait,
		Message: fmt.Sprintf("Too many attempts have failed. Try again in %d seconds.", int(wait.Seconds())),
	}
}

// errForbidden is for callers that are known but may not do what they ask.
var errForbidden = fault.New(fault.Forbidden, "You are not authorized to perform the requested action.")
