package keystore

import (
	"context"
	"fmt"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// Store keeps files and grants. Every method is one transaction. What does not exist is a fault.NotFound error.
type Store interface {
	// AddKeystoreFile stores a file with its sealed content and its creator's grant. A name that is taken is a fault.Exists error, a
	// domain that has most files already a fault.Limit.
	AddKeystoreFile(ctx context.Context, file File, sealed string, grant Grant, most int) error
	// KeystoreFile returns a file by its id, and what a user was granted on it.
	KeystoreFile(ctx context.Context, domainID, id, userID string) (File, Rights, error)
	// KeystoreFileNamed does the same by the file's name.
	KeystoreFileNamed(ctx context.Context, domainID, name, userID string) (File, Rights, error)
	// KeystoreFiles returns the files of a domain by name, of those whose name holds a text, case ignored, and what a user was granted on them.
	KeystoreFiles(ctx context.Context, domainID, userID, search string) ([]Seen, error)
	// KeystoreContent returns the sealed content of a file.
	KeystoreContent(ctx context.Context, id string) (string, error)
	// UpdateKeystoreFile stores name, description, sharing, and who changed them when. A name that is taken is a fault.Exists error.
	UpdateKeystoreFile(ctx context.Context, file File) error
	// DeleteKeystoreFile removes a file with its grants.
	DeleteKeystoreFile(ctx context.Context, id string) error

	// AddGrant stores a grant. A user that has one on the file is a fault.Exists error.
	AddGrant(ctx context.Context, grant Grant) error
	Grant(ctx context.Context, id string) (Grant, error)
	// Grants returns a page of the grants on a file, the creator's first, and how many there are.
	Grants(ctx context.Context, fileID string, offset, limit int) ([]Grant, int, error)
	UpdateGrant(ctx context.Context, grant Grant) error
	DeleteGrant(ctx context.Context, id string) error
}

// Users knows the users of a domain.
type Users interface {
	// UserName returns the name of a user of a domain; one that is not there is a fault.NotFound error.
	UserName(ctx context.Context, domainID, userID string) (string, error)
	// InDomain reports whether a user is one of a domain's, and may do everything in it. One that is gone or disabled is none.
	InDomain(ctx context.Context, domainID, userID string) (member, administrator bool, err error)
}

// Service keeps the files of all tenants.
type Service struct {
	Store  Store
	Users  Users
	Sealer build.Sealer
	Now    func() time.Time
	Most   int // files of a tenant
	Size   int // bytes of a file
}

func noSuchFile(id string) error { return fault.New(fault.NotFound, "file %s does not exist", id) }

// Add stores a file. The actor becomes its creator.
func (s *Service) Add(ctx context.Context, actor build.Actor, name, description string, content []byte) (File, error) {
	if err := checkName(name); err != nil {
		return File{}, err
	}
	if err := checkDescription(description); err != nil {
		return File{}, err
	}
	if len(content) == 0 || len(content) > s.Size {
		return File{}, fault.Field("file", "must have 1 to %d bytes, found %d", s.Size, len(content))
	}
	sealed, err := s.Sealer.Seal(string(content))
	if err != nil {
		return File{}, fmt.Errorf("seal a file: %w", err)
	}
	now := s.Now().UTC().Truncate(time.Millisecond)
	f := File{
		ID: build.NewHexID(), DomainID: actor.DomainID, Name: name, Description: description, CreatorID: actor.UserID, CreatorName: actor.UserName,
		UpdaterID: actor.UserID, UpdaterName: actor.UserName, CreatedAt: now, UpdatedAt: now,
	}
	return f, s.Store.AddKeystoreFile(ctx, f, sealed, creatorsGrant(f), s.Most)
}

// seen returns a file of the actor's domain with what the actor may do with it.
func (s *Service) seen(ctx context.Context, actor build.Actor, id string) (Seen, error) {
	f, granted, err := s.Store.KeystoreFile(ctx, actor.DomainID, id, actor.UserID)
	if fault.Is(err, fault.NotFound) {
		err = noSuchFile(id)
	}
	return s.with(ctx, actor, f, granted, err)
}

func (s *Service) with(ctx context.Context, actor build.Actor, f File, granted Rights, err error) (Seen, error) {
	if err != nil {
		return Seen{}, err
	}
	member, administrator, err := s.Users.InDomain(ctx, actor.DomainID, actor.UserID)
	if err != nil || !member {
		return Seen{File: f}, err // what it was granted once does not count
	}
	return Seen{f, rightsOf(f, granted, administrator)}, nil
}

// allowed turns a missing right into an error that says what it is about.
func allowed(may bool, what string) error {
	if may {
		return nil
	}
	return fault.New(fault.Forbidden, "you have no permission to %s this file", what)
}

// Content returns a file that the actor may use, and what is in it. An empty name stands for any.
func (s *Service) Content(ctx context.Context, actor build.Actor, id, name string) (File, []byte, error) {
	f, err := s.seen(ctx, actor, id)
	if err == nil && name != "" && f.Name != name {
		err = noSuchFile(id)
	}
	return s.read(ctx, f, err)
}

// ContentNamed does the same by name.
func (s *Service) ContentNamed(ctx context.Context, actor build.Actor, name string) (File, []byte, error) {
	file, granted, err := s.Store.KeystoreFileNamed(ctx, actor.DomainID, name, actor.UserID)
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, "file %.80q does not exist", name)
	}
	f, err := s.with(ctx, actor, file, granted, err)
	return s.read(ctx, f, err)
}

func (s *Service) read(ctx context.Context, f Seen, err error) (File, []byte, error) {
	if err == nil {
		err = allowed(f.Rights.Use, "use")
	}
	if err != nil {
		return File{}, nil, err
	}
	sealed, err := s.Store.KeystoreContent(ctx, f.ID)
	if err != nil {
		return File{}, nil, err
	}
	content, err := s.Sealer.Open(sealed)
	if err != nil {
		return File{}, nil, fmt.Errorf("open the file %s: %w", f.ID, err)
	}
	return f.File, []byte(content), nil
}

// Files returns the files of the actor's domain by name, with what it may do with them.
func (s *Service) Files(ctx context.Context, actor build.Actor, search string) ([]Seen, error) {
	files, err := s.Store.KeystoreFiles(ctx, actor.DomainID, actor.UserID, search)
	if err != nil {
		return nil, err
	}
	_, administrator, err := s.Users.InDomain(ctx, actor.DomainID, actor.UserID)
	for i, f := range files {
		files[i].Rights = rightsOf(f.File, f.Rights, administrator)
	}
	return files, err
}

// Update changes the name, the description and the sharing of a file.
func (s *Service) Update(ctx context.Context, actor build.Actor, id, name, description string, shared bool) error {
	f, err := s.seen(ctx, actor, id)
	if err == nil {
		err = allowed(f.Rights.Modify, "edit")
	}
	if err == nil {
		err = checkName(name)
	}
	if err == nil {
		err = checkDescription(description)
	}
	if err != nil {
		return err
	}
	f.Name, f.Description, f.Shared = name, description, shared
	f.UpdaterID, f.UpdaterName, f.UpdatedAt = actor.UserID, actor.UserName, s.Now().UTC().Truncate(time.Millisecond)
	return s.Store.UpdateKeystoreFile(ctx, f.File)
}

// Delete removes a file.
func (s *Service) Delete(ctx context.Context, actor build.Actor, id string) error {
	f, err := s.seen(ctx, actor, id)
	if err == nil {
		err = allowed(f.Rights.Delete, "delete")
	}
	if err != nil {
		return err
	}
	return s.Store.DeleteKeystoreFile(ctx, id)
}
