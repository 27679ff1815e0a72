package iam

import (
	"context"
	"net/mail"
	"slices"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// The methods of this file are for whoever owns the installation: they ask for nobody's rights.

// Bootstrap makes a domain with an administrator when there is no domain yet, and reports whether it did. In any case every domain
// has the region afterwards. It may be called at every start, by several servers at once.
func (s *Service) Bootstrap(ctx context.Context, domainName, adminName, password, region string) (made bool, err error) {
	if err := checkRegionName(region); err != nil {
		return false, err
	}
	domains, err := s.Store.Domains(ctx)
	if err != nil {
		return false, err
	}
	if len(domains) == 0 {
		_, err := s.createDomain(ctx, domainName, adminName, password, region)
		if fault.Is(err, fault.Exists) {
			return false, nil // another server was quicker
		}
		return err == nil, err
	}
	for _, domain := range domains {
		if err := s.ensureRegion(ctx, domain.ID, region); err != nil {
			return false, err
		}
	}
	return false, nil
}

func (s *Service) ensureRegion(ctx context.Context, domainID, name string) error {
	regions, err := s.Store.Regions(ctx, domainID)
	if err != nil || slices.ContainsFunc(regions, func(r Region) bool { return r.Name == name }) {
		return err
	}
	err = s.Store.CreateRegion(ctx, Region{ID: build.NewHexID(), DomainID: domainID, Name: name, CreatedAt: s.now()})
	if fault.Is(err, fault.Exists) {
		return nil
	}
	return err
}

// CreateDomain makes a domain with its region and an administrator.
func (s *Service) CreateDomain(ctx context.Context, name, adminName, password string) (Domain, error) {
	return s.createDomain(ctx, name, adminName, password, s.Region)
}

func (s *Service) createDomain(ctx context.Context, name, adminName, password, region string) (Domain, error) {
	if err := checkName("domain", name); err != nil {
		return Domain{}, err
	}
	now := s.now()
	domain := Domain{ID: build.NewHexID(), Name: name, CreatedAt: now}
	admin, err := s.newAccount(ctx, NewUser{DomainID: domain.ID, Name: adminName, Password: password, Administrator: true})
	if err != nil {
		return Domain{}, err
	}
	return domain, s.Store.CreateDomain(ctx, domain, Region{ID: build.NewHexID(), DomainID: domain.ID, Name: region, CreatedAt: now}, admin)
}

// Domains returns all domains by name.
func (s *Service) Domains(ctx context.Context) ([]Domain, error) { return s.Store.Domains(ctx) }

// DomainNamed returns a domain.
func (s *Service) DomainNamed(ctx context.Context, name string) (Domain, error) {
	return s.findDomain(ctx, Ref{Name: name})
}

func (s *Service) findDomain(ctx context.Context, ref Ref) (Domain, error) {
	domains, err := s.Store.Domains(ctx)
	if err != nil {
		return Domain{}, err
	}
	i := slices.IndexFunc(domains, func(d Domain) bool { return ref.matches(d.ID, d.Name) })
	if i < 0 {
		return Domain{}, fault.New(fault.NotFound, "domain %.80q does not exist", ref.Name+ref.ID)
	}
	return domains[i], nil
}

// NewUser is a user to be made.
type NewUser struct {
	DomainID      string
	Name          string
	Password      string // empty for a user that has access keys only
	Administrator bool
}

// CreateUser makes a user.
func (s *Service) CreateUser(ctx context.Context, user NewUser) (User, error) {
	if _, err := s.findDomain(ctx, Ref{ID: user.DomainID}); err != nil {
		return User{}, err
	}
	account, err := s.newAccount(ctx, user)
	if err != nil {
		return User{}, err
	}
	return account.User, s.Store.CreateUser(ctx, account)
}

func (s *Service) newAccount(ctx context.Context, user NewUser) (Account, error) {
	if err := checkName("user", user.Name); err != nil {
		return Account{}, err
	}
	account := Account{User: User{
		ID: build.NewHexID(), DomainID: user.DomainID, Name: user.Name, Administrator: user.Administrator, Enabled: true, CreatedAt: s.now(),
	}}
	if user.Password == "" && !user.Administrator {
		return account, nil
	}
	if err := checkPassword(user.Name, user.Password); err != nil {
		return Account{}, err
	}
	var err error
	account.PasswordHash, err = s.hashPassword(ctx, user.Password)
	return account, err
}

// Users returns the users of a domain by name.
func (s *Service) Users(ctx context.Context, domainID string) ([]User, error) {
	return s.Store.Users(ctx, domainID)
}

// User returns a user.
func (s *Service) User(ctx context.Context, ref UserRef) (User, error) {
	account, err := s.Store.Account(ctx, ref)
	return account.User, err
}

// UserName returns the name of a user of a domain. One of another domain does not exist.
func (s *Service) UserName(ctx context.Context, domainID, userID string) (string, error) {
	user, err := s.User(ctx, UserRef{ID: userID})
	if err == nil && user.DomainID != domainID {
		err = fault.New(fault.NotFound, "user %.40q does not exist", userID)
	}
	return user.Name, err
}

// InDomain reports whether a user is one of a domain's, and may do everything in it. One that is gone or disabled is none.
func (s *Service) InDomain(ctx context.Context, domainID, userID string) (member, administrator bool, err error) {
	user, err := s.User(ctx, UserRef{ID: userID})
	switch {
	case fault.Is(err, fault.NotFound), err == nil && (user.DomainID != domainID || !user.Enabled):
		return false, false, nil
	default:
		return err == nil, user.Administrator, err
	}
}

// IsAdministrator reports whether a user may do everything in its domain. One that is gone or disabled may not.
func (s *Service) IsAdministrator(ctx context.Context, userID string) (bool, error) {
	user, err := s.User(ctx, UserRef{ID: userID})
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return user.Administrator && user.Enabled, err
}

// SetPassword gives a user another password. All its tokens and temporary keys end; its permanent keys stay.
func (s *Service) SetPassword(ctx context.Context, userID, password string) error {
	user, err := s.User(ctx, UserRef{ID: userID})
	if err != nil {
		return err
	}
	if err := checkPassword(user.Name, password); err != nil {
		return err
	}
	hash, err := s.hashPassword(ctx, password)
	if err != nil {
		return err
	}
	return s.Store.ChangeUser(ctx, userID, func(a *Account) error {
		a.PasswordHash = hash
		a.Generation++
		return nil
	})
}

// SetEmail says where a user gets notices; nowhere when the address is empty.
func (s *Service) SetEmail(ctx context.Context, userID, address string) error {
	if address != "" {
		parsed, err := mail.ParseAddress(address)
		if err != nil || parsed.Address != address || len(address) > 254 {
			return fault.Field("email", "must be an address such as dev@example.org, found %.80q", address)
		}
	}
	return s.Store.ChangeUser(ctx, userID, func(a *Account) error {
		a.Email = address
		return nil
	})
}

// Mailbox returns the e-mail address of a user; empty when it has none, is disabled or gone.
func (s *Service) Mailbox(ctx context.Context, userID string) (string, error) {
	user, err := s.User(ctx, UserRef{ID: userID})
	if fault.Is(err, fault.NotFound) || err == nil && !user.Enabled {
		return "", nil
	}
	return user.Email, err
}

// SetUserEnabled lets a user in or keeps it out. Tokens and temporary keys of a user that was kept out do not come back.
func (s *Service) SetUserEnabled(ctx context.Context, userID string, enabled bool) error {
	return s.Store.ChangeUser(ctx, userID, func(a *Account) error {
		if a.Enabled && !enabled {
			a.Generation++
		}
		a.Enabled = enabled
		return nil
	})
}

// DeleteUser removes a user with all its keys, tokens and memberships. Its name stays in the records of its builds.
func (s *Service) DeleteUser(ctx context.Context, userID string) error {
	return s.Store.DeleteUser(ctx, userID)
}
