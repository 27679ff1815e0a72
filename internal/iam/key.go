package iam

import (
	"context"
	"crypto/rand"
	"time"

	"atelier/internal/fault"
)

// AccessKey is the public half of what a program signs its requests with.
type AccessKey struct {
	Access      string
	UserID      string
	Description string
	Active      bool
	CreatedAt   time.Time
	ExpiresAt   time.Time // zero for a permanent key
}

// StoredKey is an access key as it is kept.
type StoredKey struct {
	AccessKey
	Sealed string // the secret

	// Of temporary keys only.
	Session    string // hash of the security token that comes with it
	Generation int    // of the account when it was made
	Origin     string // the permanent key that it goes back to; empty for a password
	Line       string // the ids of what it was got with, and its own; see [Caller]

	// Live is computed on reading: false when the account's generation has moved on, or the origin is not active or gone.
	Live bool
}

// How long a temporary key may last.
const (
	MinTemporary = 15 * time.Minute
	MaxTemporary = 24 * time.Hour
)

// securityTokenPrefix begins every security token.
const securityTokenPrefix = "atelier-sts-"

// newSecret returns the secret of a key: 40 characters with 200 random bits.
func newSecret() string { return (rand.Text() + rand.Text())[:40] }

// newAccess returns the name of a key: 20 characters, in the vendor's form, with 90 random bits.
func newAccess(prefix string) string { return prefix + rand.Text()[:18] }

// CreateKey makes a permanent key for a user and returns its secret, which cannot be read again.
func (s *Service) CreateKey(ctx context.Context, userID, description string) (key AccessKey, secret string, err error) {
	if err := checkDescription(description); err != nil {
		return AccessKey{}, "", err
	}
	secret = newSecret()
	stored := StoredKey{AccessKey: AccessKey{Access: newAccess("AK"), UserID: userID, Description: description, Active: true, CreatedAt: s.now()}}
	if stored.Sealed, err = s.Sealer.Seal(secret); err != nil {
		return AccessKey{}, "", err
	}
	if err := s.Store.CreateKey(ctx, stored, s.MaxKeys); err != nil {
		return AccessKey{}, "", err
	}
	return stored.AccessKey, secret, nil
}

// Keys returns the permanent keys of a user, oldest first.
func (s *Service) Keys(ctx context.Context, userID string) ([]AccessKey, error) {
	return s.Store.Keys(ctx, userID)
}

// SetKeyActive switches a permanent key off or on again. While it is off, so is what was got with it.
func (s *Service) SetKeyActive(ctx context.Context, access string, active bool) error {
	return s.Store.SetKeyActive(ctx, access, active)
}

// DeleteKey removes a permanent key and ends what was got with it.
func (s *Service) DeleteKey(ctx context.Context, access string) error {
	return s.Store.DeleteKey(ctx, access)
}

// TemporaryKey is an access key that ends by itself. Requests signed with it carry the security token.
type TemporaryKey struct {
	Access        string
	Secret        string
	SecurityToken string
	ExpiresAt     time.Time
}

// TemporaryKey makes a temporary key for the caller. It does not outlive what the caller proved itself by.
func (s *Service) TemporaryKey(ctx context.Context, caller Caller, duration time.Duration) (TemporaryKey, error) {
	if duration < MinTemporary || duration > MaxTemporary {
		return TemporaryKey{}, fault.Field("duration_seconds", "must be %d to %d, found %d",
			int(MinTemporary.Seconds()), int(MaxTemporary.Seconds()), int(duration.Seconds()))
	}
	now := s.now()
	token, hash := newSecurityToken()
	key := TemporaryKey{
		Access: newAccess("TK"), Secret: newSecret(), SecurityToken: token, ExpiresAt: earlier(now.Add(duration), caller.ExpiresAt),
	}
	sealed, err := s.Sealer.Seal(key.Secret)
	if err != nil {
		return TemporaryKey{}, err
	}
	line, err := extend(caller.line, key.Access)
	if err != nil {
		return TemporaryKey{}, err
	}
	stored := StoredKey{
		AccessKey: AccessKey{Access: key.Access, UserID: caller.User.ID, Active: true, CreatedAt: now, ExpiresAt: key.ExpiresAt},
		Sealed:    sealed, Session: hash, Generation: caller.generation, Origin: caller.origin, Line: line,
	}
	if err := s.Store.CreateKey(ctx, stored, 0); err != nil {
		return TemporaryKey{}, revokedMeanwhile(err)
	}
	return key, nil
}

// earlier returns the first of two moments; a zero one does not count.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}

// keyEntry is what the cache holds of a key: everything that a signature is judged by.
type keyEntry struct {
	key     StoredKey
	secret  string
	account Account
	regions []Region // that the installation serves
}

func (s *Service) loadKey(ctx context.Context, access string) (*keyEntry, error) {
	key, account, err := s.Store.Key(ctx, access)
	if err != nil {
		return nil, err
	}
	secret, err := s.Sealer.Open(key.Sealed)
	if err != nil {
		return nil, err
	}
	regions, err := s.regions(ctx, account.DomainID)
	if err != nil {
		return nil, err
	}
	return &keyEntry{key, secret, account, regions}, nil
}

// usable reports whether the key itself may be used.
func (e *keyEntry) usable(now time.Time) bool {
	permanent := e.key.ExpiresAt.IsZero()
	return e.key.Active && (permanent || e.key.Live && now.Before(e.key.ExpiresAt))
}

// origin returns the permanent key that a use of this one goes back to.
func (e *keyEntry) origin() string {
	if e.key.ExpiresAt.IsZero() {
		return e.key.Access
	}
	return e.key.Origin
}
