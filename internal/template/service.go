package template

import (
	"context"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/source"
)

// Store keeps custom templates, and what users do with all of them. Every method is one transaction. What does not exist is a
// fault.NotFound error.
type Store interface {
	// CreateTemplate stores a template. A name that is taken in the domain is a fault.Exists error, most templates a fault.Limit.
	CreateTemplate(ctx context.Context, t Template, most int) error
	// Template returns a custom template of a domain, as the user sees it, by either of its ids.
	Template(ctx context.Context, domainID, userID, id string) (Template, error)
	// Templates returns a page of a domain's templates, the newest first, and how many there are.
	Templates(ctx context.Context, q Query) ([]Template, int, error)
	// DeleteTemplate removes a custom template of a domain.
	DeleteTemplate(ctx context.Context, domainID, uuid string) error
	// SetFavouriteTemplate notes or forgets that a user likes a template, custom or official.
	SetFavouriteTemplate(ctx context.Context, userID, uuid string, favourite bool) error
	// NoteTemplateUse notes that a task was made from a template. A task counts once.
	NoteTemplateUse(ctx context.Context, uuid string, job build.JobID, domainID string) error
	// TemplateUse returns, of some templates, those that a user likes, and how many tasks of a domain were made from each.
	TemplateUse(ctx context.Context, domainID, userID string, uuids []string) (liked map[string]bool, uses map[string]int, err error)
}

// Checker knows which parameters and steps tasks may have.
type Checker interface {
	CheckSteps(parameters []build.Parameter, steps []build.ActionStep) error
}

// Users knows who is an administrator of its domain.
type Users interface {
	IsAdministrator(ctx context.Context, userID string) (bool, error)
}

// Repositories reads files at a commit.
type Repositories interface {
	Resolve(ctx context.Context, url string, ref source.Ref) (source.Commit, error)
	ReadFile(ctx context.Context, url, commit, path string, limit int) ([]byte, error)
}

// Service keeps the templates of all tenants.
type Service struct {
	Store        Store
	Checker      Checker
	Users        Users
	Repositories Repositories
	Now          func() time.Time
	Most         int // templates of a tenant
}

func noSuchTemplate(uuid string) error {
	return fault.New(fault.NotFound, "template %.64s does not exist", uuid)
}

// Create stores a template of the actor's domain.
func (s *Service) Create(ctx context.Context, actor build.Actor, t Template) (Template, error) {
	if err := t.check(); err != nil {
		return Template{}, err
	}
	if err := s.Checker.CheckSteps(t.Parameters, t.Steps); err != nil {
		return Template{}, err
	}
	t.UUID, t.DomainID, t.UserID, t.UserName = build.NewHexID(), actor.DomainID, actor.UserID, actor.UserName
	t.CreatedAt = s.Now().UTC().Truncate(time.Millisecond)
	return t, s.Store.CreateTemplate(ctx, t, s.Most)
}

// Custom returns a template of the actor's domain.
func (s *Service) Custom(ctx context.Context, actor build.Actor, uuid string) (Template, error) {
	t, err := s.Store.Template(ctx, actor.DomainID, actor.UserID, uuid)
	if fault.Is(err, fault.NotFound) {
		err = noSuchTemplate(uuid)
	}
	return t, err
}

// Customs returns a page of the templates of the actor's domain, the newest first, and how many there are.
func (s *Service) Customs(ctx context.Context, actor build.Actor, q Query) ([]Template, int, error) {
	q.DomainID, q.UserID = actor.DomainID, actor.UserID
	return s.Store.Templates(ctx, q)
}

// Delete removes a template. Only who made it and administrators of the domain may do so.
func (s *Service) Delete(ctx context.Context, actor build.Actor, uuid string) (Template, error) {
	t, err := s.Custom(ctx, actor, uuid)
	if err != nil {
		return Template{}, err
	}
	if t.UserID != actor.UserID {
		administrator, err := s.Users.IsAdministrator(ctx, actor.UserID)
		if err != nil {
			return Template{}, err
		}
		if !administrator {
			return Template{}, fault.New(fault.Forbidden, "only who made the template and administrators of the tenant may delete it")
		}
	}
	err = s.Store.DeleteTemplate(ctx, actor.DomainID, uuid)
	if fault.Is(err, fault.NotFound) {
		err = noSuchTemplate(uuid)
	}
	return t, err
}

// SetFavourite notes or forgets that the actor likes a template. official says where it is looked for.
func (s *Service) SetFavourite(ctx context.Context, actor build.Actor, uuid string, official, favourite bool) error {
	if official {
		if _, ok := officialOf(uuid); !ok {
			return noSuchTemplate(uuid)
		}
	} else if _, err := s.Custom(ctx, actor, uuid); err != nil {
		return err
	}
	return s.Store.SetFavouriteTemplate(ctx, actor.UserID, uuid, favourite)
}

// NoteUse notes that a task of the actor's domain was made from a template, which either of its ids names.
func (s *Service) NoteUse(ctx context.Context, actor build.Actor, id string, job build.JobID) error {
	if t, ok := officialOf(id); ok {
		return s.Store.NoteTemplateUse(ctx, t.UUID, job, actor.DomainID)
	}
	t, err := s.Custom(ctx, actor, id)
	if err != nil {
		return err
	}
	return s.Store.NoteTemplateUse(ctx, t.UUID, job, actor.DomainID)
}
