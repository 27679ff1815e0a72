package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"atelier/internal/fault"
	"atelier/internal/iam"
	"atelier/internal/server"
)

// adminCommand works on the database itself, also while the server runs: a change counts there within a second.
type adminCommand struct {
	User     userCommand     `cmd:"" help:"Users."`
	Project  projectCommand  `cmd:"" help:"Projects, which hold build tasks."`
	Role     roleCommand     `cmd:"" help:"Roles of users in projects."`
	Key      keyCommand      `cmd:"" help:"Access keys, which programs sign their requests with."`
	Endpoint endpointCommand `cmd:"" help:"Service endpoints, which open repositories for the builds of a project."`
	Cache    cacheCommand    `cmd:"" help:"Caches of what builds download, on this machine."`
}

// adminFlags are those of every administration command.
type adminFlags struct {
	dataFlags `embed:""`
}

// do opens the database, which must exist already, and calls work with what manages it.
func (f adminFlags) do(signals interrupts, work func(ctx context.Context, s *iam.Service, domain iam.Domain) error) error {
	return f.doParts(signals, func(ctx context.Context, parts server.Parts, domain iam.Domain) error {
		return work(ctx, parts.IAM, domain)
	})
}

// doParts does the same with all that works on the database.
func (f adminFlags) doParts(signals interrupts, work func(ctx context.Context, parts server.Parts, domain iam.Domain) error) (err error) {
	ctx := signals.stop
	dir, err := f.dir()
	if err != nil {
		return err
	}
	parts, err := server.OpenAdmin(ctx, server.Config{DataDir: dir, Database: f.Database, KeyFile: f.KeyFile, Region: f.Region})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parts.Store.Close()) }()
	domain, err := findDomain(ctx, parts.IAM, f.Domain)
	if err != nil {
		return err
	}
	return work(ctx, parts, domain)
}

func findDomain(ctx context.Context, s *iam.Service, name string) (iam.Domain, error) {
	domain, err := s.DomainNamed(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return iam.Domain{}, fault.New(fault.NotFound, "--domain: there is no domain %q; the first start of the server makes one", name)
	}
	return domain, err
}

type userCommand struct {
	Create   userCreate   `cmd:"" help:"Create a user."`
	List     userList     `cmd:"" help:"List the users."`
	Password userPassword `cmd:"" help:"Set a user's password. Its tokens end."`
	Email    userEmail    `cmd:"" help:"Set where a user gets notices."`
	Disable  userDisable  `cmd:"" help:"Keep a user out. Its tokens end."`
	Enable   userEnable   `cmd:"" help:"Let a user in again."`
	Delete   userDelete   `cmd:"" help:"Delete a user with its keys and roles."`
}

type userCreate struct {
	adminFlags    `embed:""`
	Name          string `arg:"" help:"Name of the user."`
	PasswordFile  string `help:"File with the password, - for standard input (default: the user has access keys only)." placeholder:"FILE" env:"-"`
	Administrator bool   `help:"The user may do everything in the domain." env:"-"`
}

// Run implements the command.
func (c *userCreate) Run(std stdio, signals interrupts) error {
	password, err := readSecret("--password-file", c.PasswordFile, std.In)
	if err != nil {
		return err
	}
	if c.Administrator && password == "" {
		return fault.New(fault.Invalid, "--administrator: give a password too, with --password-file")
	}
	return c.do(signals, func(ctx context.Context, s *iam.Service, domain iam.Domain) error {
		user, err := s.CreateUser(ctx, iam.NewUser{DomainID: domain.ID, Name: c.Name, Password: password, Administrator: c.Administrator})
		if err != nil {
			return err
		}
		return printed(fmt.Fprintln(std.Out, user.ID))
	})
}

// readSecret reads a secret from a file, so that it stands in no list of processes; empty when there is no file.
func readSecret(flag, file string, stdin io.Reader) (string, error) {
	if file == "" {
		return "", nil
	}
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", fault.Wrap(err, fault.Invalid, "%s: %s cannot be read", flag, file)
		}
		defer f.Close()
		in = f
	}
	const most = 4096 // far more than a password may have
	data, err := io.ReadAll(io.LimitReader(in, most))
	if err != nil {
		return "", fault.Wrap(err, fault.Invalid, "%s: %s cannot be read", flag, file)
	}
	secret := strings.TrimRight(string(data), "\r\n")
	if secret == "" {
		return "", fault.New(fault.Invalid, "%s: %s is empty", flag, file)
	}
	return secret, nil
}

func printed(_ int, err error) error { return err }

type userList struct {
	adminFlags `embed:""`
}

// Run implements the command.
func (c *userList) Run(std stdio, signals interrupts) error {
	return c.do(signals, func(ctx context.Context, s *iam.Service, domain iam.Domain) error {
		users, err := s.Users(ctx, domain.ID)
		if err != nil {
			return err
		}
		return table(std.Out, "ID\tNAME\tADMINISTRATOR\tENABLED", users, func(u iam.User) []any { return []any{u.ID, u.Name, u.Administrator, u.Enabled} })
	})
}

// table prints rows under a heading, in columns.
func table[T any](out io.Writer, heading string, rows []T, columns func(T) []any) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, heading)
	for _, row := range rows {
		line := make([]string, 0, 4)
		for _, column := range columns(row) {
			line = append(line, fmt.Sprint(column))
		}
		fmt.Fprintln(w, strings.Join(line, "\t"))
	}
	return w.Flush()
}

// userFlags name a user.
type userFlags struct {
	adminFlags `embed:""`
	Name       string `arg:"" help:"Name of the user."`
}

// doUser calls work with the user's id.
func (f userFlags) doUser(signals interrupts, work func(ctx context.Context, s *iam.Service, userID string) error) error {
	return f.do(signals, func(ctx context.Context, s *iam.Service, domain iam.Domain) error {
		user, err := findUser(ctx, s, domain, f.Name)
		if err != nil {
			return err
		}
		return work(ctx, s, user.ID)
	})
}

func findUser(ctx context.Context, s *iam.Service, domain iam.Domain, name string) (iam.User, error) {
	user, err := s.User(ctx, iam.UserRef{Name: name, Domain: iam.Ref{ID: domain.ID}})
	if fault.Is(err, fault.NotFound) {
		return iam.User{}, fault.New(fault.NotFound, "the domain %s has no user %q", domain.Name, name)
	}
	return user, err
}

type userPassword struct {
	userFlags    `embed:""`
	PasswordFile string `help:"File with the password, - for standard input." required:"" placeholder:"FILE" env:"-"`
}

// Run implements the command.
func (c *userPassword) Run(std stdio, signals interrupts) error {
	password, err := readSecret("--password-file", c.PasswordFile, std.In)
	if err != nil {
		return err
	}
	return c.doUser(signals, func(ctx context.Context, s *iam.Service, userID string) error {
		return s.SetPassword(ctx, userID, password)
	})
}

type userDisable struct {
	userFlags `embed:""`
}

// Run implements the command.
func (c *userDisable) Run(signals interrupts) error {
	return c.doUser(signals, func(ctx context.Context, s *iam.Service, userID string) error {
		return s.SetUserEnabled(ctx, userID, false)
	})
}

type userEmail struct {
	userFlags `embed:""`
	Address   string `arg:"" help:"E-mail address; empty for none."`
}

// Run implements the command.
func (c *userEmail) Run(signals interrupts) error {
	return c.doUser(signals, func(ctx context.Context, s *iam.Service, userID string) error {
		return s.SetEmail(ctx, userID, c.Address)
	})
}

type userEnable struct {
	userFlags `embed:""`
}

// Run implements the command.
func (c *userEnable) Run(signals interrupts) error {
	return c.doUser(signals, func(ctx context.Context, s *iam.Service, userID string) error {
		return s.SetUserEnabled(ctx, userID, true)
	})
}

type userDelete struct {
	userFlags `embed:""`
}

// Run implements the command.
func (c *userDelete) Run(signals interrupts) error {
	return c.doUser(signals, func(ctx context.Context, s *iam.Service, userID string) error { return s.DeleteUser(ctx, userID) })
}
