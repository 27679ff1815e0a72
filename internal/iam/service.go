package iam

import (
	"context"
	"strings"
	"time"

	"atelier/internal/build"
)

// Store keeps users, keys, tokens, projects and roles. Every method is one transaction. What does not exist is a fault.NotFound
// error, a name that is taken a fault.Exists error.
type Store interface {
	// Epoch returns a number that grows with every change of what this package keeps in memory.
	Epoch(ctx context.Context) (int64, error)

	accountStore
	keyStore
	tokenStore
	projectStore
	matrixStore
}

type accountStore interface {
	// CreateDomain stores a domain together with its region and its administrator.
	CreateDomain(ctx context.Context, domain Domain, region Region, administrator Account) error
	// Domains returns all domains by name.
	Domains(ctx context.Context) ([]Domain, error)
	CreateRegion(ctx context.Context, region Region) error
	// Regions returns the regions of a domain by name.
	Regions(ctx context.Context, domainID string) ([]Region, error)

	CreateUser(ctx context.Context, account Account) error
	Account(ctx context.Context, ref UserRef) (Account, error)
	// Users returns the users of a domain by name.
	Users(ctx context.Context, domainID string) ([]User, error)
	// ChangeUser lets change edit the password hash, the generation and the flags of a user.
	ChangeUser(ctx context.Context, id string, change func(*Account) error) error
	// DeleteUser removes a user with its keys, tokens and memberships.
	DeleteUser(ctx context.Context, id string) error
}

type keyStore interface {
	// CreateKey stores a key. A permanent one is refused with fault.Limit when its user has most of them already.
	CreateKey(ctx context.Context, key StoredKey, most int) error
	// Key returns a key and whose it is.
	Key(ctx context.Context, access string) (StoredKey, Account, error)
	// Keys returns the permanent keys of a user, oldest first.
	Keys(ctx context.Context, userID string) ([]AccessKey, error)
	// SetKeyActive switches a permanent key off or on again.
	SetKeyActive(ctx context.Context, access string, active bool) error
	// DeleteKey removes a permanent key.
	DeleteKey(ctx context.Context, access string) error
}

type tokenStore interface {
	// CreateToken stores a token. It does not when what its line says it was got with is gone; neither does CreateKey.
	CreateToken(ctx context.Context, token StoredToken) error
	// Token returns a token by its hash, with the region it is scoped to, and whose it is.
	Token(ctx context.Context, hash string) (StoredToken, Account, error)
	// DeleteToken removes a token with all tokens and keys whose line goes through it.
	DeleteToken(ctx context.Context, hash string) error
	// DeleteExpired removes tokens and temporary keys that ended before a moment.
	DeleteExpired(ctx context.Context, before time.Time) error
}

type projectStore interface {
	// CreateProject stores a project. Its creator, when it has one, becomes a member with the role.
	CreateProject(ctx context.Context, project Project, creatorRole Role) error
	Project(ctx context.Context, id string) (Project, error)
	// Projects returns the projects of a domain by name.
	Projects(ctx context.Context, domainID string) ([]Project, error)
	// Memberships returns what a user has to do with the projects of its domain, by name: those that it is a member of, or all of
	// them if it is the domain's administrator. With a project id, with that project only. A user that is not enabled has none.
	Memberships(ctx context.Context, userID, projectID string) ([]Membership, error)
	// Members returns the members of a project by name.
	Members(ctx context.Context, projectID string) ([]Member, error)
	// GrantRole gives a user a role in a project of its own domain; one that it holds already is no error.
	GrantRole(ctx context.Context, projectID, userID string, role Role) error
	RevokeRole(ctx context.Context, projectID, userID string, role Role) error
}

// Parts are what a [Service] is made of. All are required, except where a default is given.
type Parts struct {
	Store  Store
	Sealer build.Sealer // of the secrets of access keys
	Region string       // name of the region that this installation stands for

	Now     func() time.Time // default time.Now
	MaxKeys int              // permanent keys that a user may have; default 2
}

// Service answers who a caller is and what it may do, and manages all that this depends on. It may be used by many goroutines
// at once.
type Service struct {
	Parts

	tokens    *cache[tokenHash, *tokenEntry]
	keys      *cache[string, *keyEntry]
	standings *cache[standingKey, standing]
	projects  *cache[string, Project]
	matrices  *cache[build.JobID, Matrix]

	hashing  *hashQueue
	logins   limits    // of sign-ins, by user and source
	sources  limits    // of sign-ins, by source alone
	devices  devices   // that have signed in
	keyUsers *throttle // of wrong signatures, by access key and source
}

// New returns the service made of parts.
func New(parts Parts) *Service {
	if parts.Now == nil {
		parts.Now = time.Now
	}
	if parts.MaxKeys == 0 {
		parts.MaxKeys = 2
	}
	s := &Service{Parts: parts, hashing: newHashQueue(hashingSlots())}
	s.tokens = newCache(parts.Store.Epoch, s.loadToken)
	s.keys = newCache(parts.Store.Epoch, s.loadKey)
	s.standings = newCache(parts.Store.Epoch, s.loadStanding)
	s.projects = newCache(parts.Store.Epoch, parts.Store.Project)
	s.matrices = newCache(parts.Store.Epoch, s.loadMatrix)
	// A person mistypes a few times, then has to wait longer and longer. Many users may share a source, so it gets more tries.
	s.logins = limits{
		client: &throttle{now: parts.Now, free: 5, first: time.Second, most: 15 * time.Minute, forget: 15 * time.Minute},
		source: &throttle{now: parts.Now, free: 40, first: time.Second, most: 15 * time.Minute, forget: 15 * time.Minute},
	}
	s.sources = limits{
		client: &throttle{now: parts.Now, free: 50, first: time.Second, most: 5 * time.Minute, forget: 5 * time.Minute},
		source: &throttle{now: parts.Now, free: 400, first: time.Second, most: 5 * time.Minute, forget: 5 * time.Minute},
	}
	s.keyUsers = &throttle{now: parts.Now, free: 5, first: 5 * time.Minute, most: 5 * time.Minute, forget: 5 * time.Minute}
	return s
}

// now returns the present moment with the precision that is stored.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// Sweep removes tokens and temporary keys that have expired.
func (s *Service) Sweep(ctx context.Context) error {
	return s.Store.DeleteExpired(ctx, s.now())
}

// serves reports whether a region is one that this installation stands for, or a part of it.
func (s *Service) serves(region Region) bool {
	rest, ok := strings.CutPrefix(region.Name, s.Region)
	return ok && (rest == "" || rest[0] == '_')
}
