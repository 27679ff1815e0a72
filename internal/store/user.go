package store

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"atelier/internal/fault"
	"atelier/internal/iam"
)

var _ iam.Store = (*Store)(nil)

const (
	userColumns    = `users.id, users.domain_id, users.name, users.administrator, users.enabled, users.email, users.created_at`
	accountColumns = userColumns + `, users.password_hash, users.generation, domains.name, domains.created_at`
	accountJoin    = ` JOIN domains ON domains.id = users.domain_id`
)

// userRow receives userColumns.
type userRow struct {
	user    iam.User
	created int64
}

func (r *userRow) dest() []any {
	u := &r.user
	return []any{&u.ID, &u.DomainID, &u.Name, &u.Administrator, &u.Enabled, &u.Email, &r.created}
}

func (r *userRow) value() iam.User {
	r.user.CreatedAt = moment(r.created)
	return r.user
}

// accountRow receives accountColumns.
type accountRow struct {
	userRow
	account       iam.Account
	domainCreated int64
}

func (r *accountRow) dest() []any {
	a := &r.account
	return append(r.userRow.dest(), &a.PasswordHash, &a.Generation, &a.Domain.Name, &r.domainCreated)
}

func (r *accountRow) value() iam.Account {
	r.account.User = r.userRow.value()
	r.account.Domain.ID, r.account.Domain.CreatedAt = r.account.DomainID, moment(r.domainCreated)
	return r.account
}

// taken turns an error about a unique value into a fault that says what is taken.
func (s *Store) taken(err error, format string, args ...any) error {
	if s.dialect.isDuplicate(err) {
		return fault.New(fault.Exists, format, args...)
	}
	return err
}

// CreateDomain implements [iam.Store].
func (s *Store) CreateDomain(ctx context.Context, domain iam.Domain, region iam.Region, administrator iam.Account) error {
	return s.writeEpoch(ctx, func(t *tx) error {
		_, err := t.exec(ctx, `INSERT INTO domains (id, name, created_at) VALUES (?, ?, ?)`, domain.ID, domain.Name, millis(domain.CreatedAt))
		if err != nil {
			return s.taken(err, "another domain is called %q", domain.Name)
		}
		if err := s.insertRegion(ctx, t, region); err != nil {
			return err
		}
		return s.insertUser(ctx, t, administrator)
	})
}

// Domains implements [iam.Store].
func (s *Store) Domains(ctx context.Context) ([]iam.Domain, error) {
	rows, err := s.reader.rows(ctx, `SELECT id, name, created_at FROM domains ORDER BY name`)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (d iam.Domain, err error) {
		var created int64
		err = row.Scan(&d.ID, &d.Name, &created)
		d.CreatedAt = moment(created)
		return d, err
	})
}

// CreateRegion implements [iam.Store].
func (s *Store) CreateRegion(ctx context.Context, region iam.Region) error {
	return s.writeEpoch(ctx, func(t *tx) error { return s.insertRegion(ctx, t, region) })
}

func (s *Store) insertRegion(ctx context.Context, t *tx, r iam.Region) error {
	_, err := t.exec(ctx, `INSERT INTO iam_projects (id, domain_id, name, created_at) VALUES (?, ?, ?, ?)`, r.ID, r.DomainID, r.Name, millis(r.CreatedAt))
	return s.taken(err, "the domain has a region %q already", r.Name)
}

// Regions implements [iam.Store].
func (s *Store) Regions(ctx context.Context, domainID string) ([]iam.Region, error) {
	rows, err := s.reader.rows(ctx, `SELECT id, domain_id, name, created_at FROM iam_projects WHERE domain_id = ? ORDER BY name`, domainID)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (r iam.Region, err error) {
		var created int64
		err = row.Scan(&r.ID, &r.DomainID, &r.Name, &created)
		r.CreatedAt = moment(created)
		return r, err
	})
}

// CreateUser implements [iam.Store].
func (s *Store) CreateUser(ctx context.Context, account iam.Account) error {
	return s.writeEpoch(ctx, func(t *tx) error { return s.insertUser(ctx, t, account) })
}

func (s *Store) insertUser(ctx context.Context, t *tx, a iam.Account) error {
	_, err := t.exec(ctx, `INSERT INTO users (id, domain_id, name, password_hash, administrator, enabled, generation, email, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, a.ID, a.DomainID, a.Name, a.PasswordHash, a.Administrator, a.Enabled, a.Generation, a.Email, millis(a.CreatedAt))
	return s.taken(err, "another user of the domain is called %q", a.Name)
}

// isText reports whether texts from outside can be looked up: PostgreSQL refuses what is not valid UTF-8, or has a zero in it,
// with an error instead of finding nothing.
func isText(texts ...string) bool {
	return !slices.ContainsFunc(texts, func(s string) bool { return !utf8.ValidString(s) || strings.Contains(s, "\x00") })
}

var errNoUser = fault.New(fault.NotFound, "the user does not exist")

// Account implements [iam.Store].
func (s *Store) Account(ctx context.Context, ref iam.UserRef) (iam.Account, error) {
	if !isText(ref.ID, ref.Name, ref.Domain.ID, ref.Domain.Name) {
		return iam.Account{}, errNoUser
	}
	where, args := []string{"users.id = ?"}, []any{ref.ID}
	if ref.ID == "" {
		where, args = []string{"users.name = ?"}, []any{ref.Name}
		if ref.Domain.ID != "" || ref.Domain.Name == "" {
			where, args = append(where, "domains.id = ?"), append(args, ref.Domain.ID)
		}
		if ref.Domain.Name != "" {
			where, args = append(where, "domains.name = ?"), append(args, ref.Domain.Name)
		}
	}
	var r accountRow
	query := `SELECT ` + accountColumns + ` FROM users` + accountJoin + ` WHERE ` + strings.Join(where, " AND ")
	err := s.reader.row(ctx, query, args...).Scan(r.dest()...)
	if err != nil {
		return iam.Account{}, missing(err, "%s", errNoUser.Message)
	}
	return r.value(), nil
}

// Users implements [iam.Store].
func (s *Store) Users(ctx context.Context, domainID string) ([]iam.User, error) {
	rows, err := s.reader.rows(ctx, `SELECT `+userColumns+` FROM users WHERE domain_id = ? ORDER BY name`, domainID)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (iam.User, error) {
		var r userRow
		err := row.Scan(r.dest()...)
		return r.value(), err
	})
}

// ChangeUser implements [iam.Store].
func (s *Store) ChangeUser(ctx context.Context, id string, change func(*iam.Account) error) error {
	return s.writeEpoch(ctx, func(t *tx) error {
		if err := lockUser(ctx, t, id); err != nil {
			return err
		}
		var r accountRow
		if err := t.row(ctx, `SELECT `+accountColumns+` FROM users`+accountJoin+` WHERE users.id = ?`, id).Scan(r.dest()...); err != nil {
			return err
		}
		a := r.value()
		if err := change(&a); err != nil {
			return err
		}
		_, err := t.exec(ctx, `UPDATE users SET password_hash = ?, administrator = ?, enabled = ?, generation = ?, email = ? WHERE id = ?`,
			a.PasswordHash, a.Administrator, a.Enabled, a.Generation, a.Email, id)
		return err
	})
}

// lockUser makes other transactions that change a user or what it has wait for this one.
func lockUser(ctx context.Context, t *tx, id string) error {
	n, err := t.exec(ctx, `UPDATE users SET generation = generation WHERE id = ?`, id)
	if err == nil && n == 0 {
		return errNoUser
	}
	return err
}

// DeleteUser implements [iam.Store].
func (s *Store) DeleteUser(ctx context.Context, id string) error {
	return s.writeEpoch(ctx, func(t *tx) error {
		if err := lockUser(ctx, t, id); err != nil {
			return err
		}
		for _, statement := range []string{
			`DELETE FROM tokens WHERE user_id = ?`,
			`DELETE FROM access_keys WHERE user_id = ?`,
			`DELETE FROM members WHERE user_id = ?`,
			`DELETE FROM users WHERE id = ?`,
		} {
			if _, err := t.exec(ctx, statement, id); err != nil {
				return err
			}
		}
		return nil
	})
}
