package iam

import "time"

// Domain is a tenant. Users, regions and projects belong to one; nothing of a domain is seen from another.
type Domain struct {
	ID        string
	Name      string
	CreatedAt time.Time
}

// Region is a place of a domain that requests act in and tokens are scoped to. Every domain has one under the name of the
// region that the installation stands for.
type Region struct {
	ID        string
	DomainID  string
	Name      string
	CreatedAt time.Time
}

// User is a person or a program of a domain.
type User struct {
	ID            string
	DomainID      string
	Name          string
	Administrator bool // of the domain: holds every right in all its projects
	Enabled       bool
	Email         string // for notices; empty when it has none
	CreatedAt     time.Time
}

// Account is a user with what only this package and the store see.
type Account struct {
	User
	Domain       Domain
	PasswordHash string // empty when the user has no password
	// Generation grows when everything that was handed out to the user before has to end. Tokens and temporary keys carry the one they
	// were made in.
	Generation int
}

// Ref names a domain or a region: by its id, its name or both, which must then agree.
type Ref struct {
	ID   string
	Name string
}

func (r Ref) matches(id, name string) bool {
	return (r.ID == "" || r.ID == id) && (r.Name == "" || r.Name == name)
}

// UserRef names a user: by its id alone, or by its name and its domain.
type UserRef struct {
	ID     string
	Name   string
	Domain Ref
}
