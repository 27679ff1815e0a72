package hook

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/glob"
)

// Delivery is something that a provider has told.
type Delivery struct {
	ID         string // UUID
	ProjectID  build.ProjectID
	JobID      build.JobID // the only task that it is for; empty for those of the project
	Provider   Provider
	Event      string // as the provider calls it; push is the one that starts builds
	Key        string // of two with the same one in a project, the second is the first
	Push       Push
	ReceivedAt time.Time
	Replays    int         // how often somebody has had it played again
	By         build.Actor // who told of it, or had it played again last; nobody when a host did, or the service found out

	HandledAt time.Time // zero as long as nobody has looked at it
	Outcome   string    // why it started nothing in any task; empty otherwise
	Results   []Result
}

// Result is what came of a delivery in one task.
type Result struct {
	JobID   build.JobID `json:"job_id"`
	JobName string      `json:"job_name"`
	Number  int         `json:"number,omitempty"` // of the build
	Reason  string      `json:"reason,omitempty"` // why there is none
}

// Store keeps secrets and deliveries. Every method is one transaction. What does not exist is a fault.NotFound error.
type Store interface {
	// SetHookSecret stores the sealed secret of a project's hooks.
	SetHookSecret(ctx context.Context, project build.ProjectID, sealed string) error
	HookSecret(ctx context.Context, project build.ProjectID) (sealed string, err error)
	// AddDelivery stores a delivery; one with a key that is there already is forgotten, and the id of the first is returned. The
	// error is a fault.Limit when too many wait in the project or its tenant. Old ones of the project that are too many are removed.
	AddDelivery(ctx context.Context, d Delivery, most Most) (id string, err error)
	Delivery(ctx context.Context, project build.ProjectID, id string) (Delivery, error)
	// Deliveries returns a page of a project's deliveries, the newest first, and how many there are.
	Deliveries(ctx context.Context, project build.ProjectID, offset, limit int) ([]Delivery, int, error)
	// ReplayDelivery lets a delivery be handled again in somebody's name, and counts that.
	ReplayDelivery(ctx context.Context, project build.ProjectID, id string, by build.Actor) error
	// WaitingDeliveries returns the projects that have deliveries which nobody handles.
	WaitingDeliveries(ctx context.Context, now time.Time) ([]Waiting, error)
	// ClaimDelivery takes the oldest delivery of a project that nobody has handled, for as long as until says; false when there is none.
	ClaimDelivery(ctx context.Context, project build.ProjectID, now, until time.Time) (Delivery, bool, error)
	// DeliveryHandled stores what came of a delivery.
	DeliveryHandled(ctx context.Context, d Delivery) error
	// ForgetDeliveries removes deliveries of before a moment.
	ForgetDeliveries(ctx context.Context, before time.Time) error
	// JobsOfRepositories returns the tasks of a project that build one of some repositories, by their [RepositoryID].
	JobsOfRepositories(ctx context.Context, project build.ProjectID, repositories []string) ([]build.Job, error)
	Job(ctx context.Context, id build.JobID) (build.Job, error)
}

// Most is how many deliveries there may be.
type Most struct {
	Waiting         int // to be handled, of a project
	WaitingOfTenant int
	Kept            int // of a project
}

var most = Most{Waiting: 1000, WaitingOfTenant: 4000, Kept: 10_000}

// Builds starts builds, and says who may do what.
type Builds interface {
	Start(ctx context.Context, actor build.Actor, req build.StartRequest) (build.Record, error)
	StartUnattended(ctx context.Context, req build.StartRequest) (build.Record, error)
	Check(ctx context.Context, actor build.Actor, ref build.JobRef, right build.Right) error
	JobFor(ctx context.Context, actor build.Actor, id build.JobID, right build.Right) (build.Job, error)
}

// Service takes deliveries.
type Service struct {
	Store  Store
	Builds Builds
	Sealer build.Sealer
	Log    *slog.Logger
	Now    func() time.Time
	wake   chan struct{}
}

// New returns the service; its [Service.Run] handles what it takes.
func New(s Service) *Service {
	s.wake = make(chan struct{}, 1)
	return &s
}

func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// Limits of secrets, in bytes.
const (
	minSecret = 16
	maxSecret = 200
)

// SetSecret sets the secret that providers sign with, which is the project's; without one it makes one. It returns the secret, which nobody
// can read again. The actor must be allowed to assign permissions in the project.
func (s *Service) SetSecret(ctx context.Context, actor build.Actor, project build.ProjectID, secret string) (string, error) {
	if err := s.Builds.Check(ctx, actor, build.JobRef{ProjectID: project}, build.Manage); err != nil {
		return "", err
	}
	if secret == "" {
		var random [20]byte
		_, _ = rand.Read(random[:]) // it never fails
		secret = hex.EncodeToString(random[:])
	}
	if len(secret) < minSecret || len(secret) > maxSecret {
		return "", fault.Field("secret", "must have %d to %d bytes, found %d", minSecret, maxSecret, len(secret))
	}
	sealed, err := s.Sealer.Seal(secret)
	if err != nil {
		return "", fmt.Errorf("seal the secret of hooks: %w", err)
	}
	return secret, s.Store.SetHookSecret(ctx, project, sealed)
}

// errUnproven is the answer to whoever does not know the secret; it is the same when there is no such project, or no secret.
var errUnproven = fault.New(fault.Unauthenticated, "the signature is not right for a hook of this project")

// Admit judges the headers of what a provider sends, so that nobody's body is read for a project that takes no hooks, or without
// a proof that may be right. The errors are those of [Service.Receive].
func (s *Service) Admit(ctx context.Context, project build.ProjectID, p Provider, h http.Header) error {
	if !slices.Contains(Providers, p) {
		return fault.Field("provider", "must be one of %v, found %.40q", Providers, p)
	}
	if !Claims(p, h) {
		return errUnproven
	}
	secret, err := s.secret(ctx, project)
	if err != nil {
		return err
	}
	if !ProvenByBody(p) && !Verify(p, secret, h, nil) {
		return errUnproven
	}
	return nil
}

// secret returns the secret of a project's hooks.
func (s *Service) secret(ctx context.Context, project build.ProjectID) (string, error) {
	sealed, err := s.Store.HookSecret(ctx, project)
	if fault.Is(err, fault.NotFound) {
		return "", errUnproven
	}
	if err != nil {
		return "", err
	}
	secret, err := s.Sealer.Open(sealed)
	if err != nil {
		return "", fmt.Errorf("open the secret of hooks: %w", err)
	}
	return secret, nil
}

// Receive stores what a provider sends. The error is a fault.Unauthenticated when it is not signed with the project's secret.
func (s *Service) Receive(ctx context.Context, project build.ProjectID, p Provider, h http.Header, body []byte) (id string, err error) {
	if !slices.Contains(Providers, p) {
		return "", fault.Field("provider", "must be one of %v, found %.40q", Providers, p)
	}
	secret, err := s.secret(ctx, project)
	if err != nil {
		return "", err
	}
	if !Verify(p, secret, h, body) {
		return "", errUnproven
	}
	event, key := Event(p, h, body)
	d := Delivery{ProjectID: project, Provider: p, Event: event, Key: string(p) + "-" + key}
	if event == "push" {
		if d.Push, err = ParsePush(Content(h, body)); err != nil {
			return "", err
		}
	}
	return s.add(ctx, d)
}

// ReceiveFor stores a push that somebody tells of for one task. The actor must be allowed to run it, and starts the build.
func (s *Service) ReceiveFor(ctx context.Context, actor build.Actor, id build.JobID, body []byte) (string, error) {
	job, err := s.Builds.JobFor(ctx, actor, id, build.Execute)
	if err != nil {
		return "", err
	}
	push, err := ParsePush(body)
	if err != nil {
		return "", err
	}
	return s.add(ctx, Delivery{ProjectID: job.ProjectID, JobID: job.ID, Provider: API, Event: "push", Key: fmt.Sprintf("%s-%s-%s-%s", API, job.ID, push.Ref, push.After), Push: push, By: actor})
}

func (s *Service) add(ctx context.Context, d Delivery) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", err
	}
	d.ID, d.ReceivedAt = id.String(), s.now()
	stored, err := s.Store.AddDelivery(ctx, d, most)
	s.wakeUp()
	return stored, err
}

func (s *Service) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Deliveries returns a page of a project's deliveries, the newest first, and how many there are. The actor must be allowed to edit its tasks.
func (s *Service) Deliveries(ctx context.Context, actor build.Actor, project build.ProjectID, offset, limit int) ([]Delivery, int, error) {
	if err := s.Builds.Check(ctx, actor, build.JobRef{ProjectID: project}, build.Modify); err != nil {
		return nil, 0, err
	}
	return s.Store.Deliveries(ctx, project, offset, limit)
}

// Delivery returns one of them.
func (s *Service) Delivery(ctx context.Context, actor build.Actor, project build.ProjectID, id string) (Delivery, error) {
	if err := s.Builds.Check(ctx, actor, build.JobRef{ProjectID: project}, build.Modify); err != nil {
		return Delivery{}, err
	}
	return s.Store.Delivery(ctx, project, id)
}

// Replay has a delivery handled again, as if its commits had not been built yet. The actor starts its builds.
func (s *Service) Replay(ctx context.Context, actor build.Actor, project build.ProjectID, id string) error {
	if err := s.Builds.Check(ctx, actor, build.JobRef{ProjectID: project}, build.Modify); err != nil {
		return err
	}
	err := s.Store.ReplayDelivery(ctx, project, id, actor)
	s.wakeUp()
	return err
}

// handle starts the builds that a delivery is a reason for. It may be repeated.
func (s *Service) handle(ctx context.Context, d *Delivery) error {
	d.Outcome, d.Results = "", nil
	branch, isBranch := d.Push.Branch()
	switch {
	case d.Event != "push":
		d.Outcome = fmt.Sprintf("The event %q starts no builds.", d.Event)
	case !isBranch:
		d.Outcome = fmt.Sprintf("%s is no branch; only branches are built.", d.Push.Ref)
	case d.Push.Deleted():
		d.Outcome = fmt.Sprintf("The branch %s was deleted.", branch)
	}
	if d.Outcome != "" {
		return nil
	}
	jobs, err := s.jobs(ctx, *d)
	if err != nil {
		return err
	}
	for _, job := range jobs {
		source, _ := job.Config.Source()
		result, err := s.start(ctx, *d, job, source, branch)
		if err != nil {
			return err
		}
		d.Results = append(d.Results, result)
	}
	if len(d.Results) == 0 {
		d.Outcome = "No task of the project builds this repository."
	}
	return nil
}

// jobs returns the tasks that a delivery is for: one that it names, or those that build its repository.
func (s *Service) jobs(ctx context.Context, d Delivery) ([]build.Job, error) {
	if d.JobID != "" {
		job, err := s.Store.Job(ctx, d.JobID)
		if fault.Is(err, fault.NotFound) || err == nil && job.ProjectID != d.ProjectID {
			return nil, nil
		}
		return []build.Job{job}, err
	}
	var repositories []string
	for _, u := range d.Push.URLs {
		if id := RepositoryID(u); id != "" && !slices.Contains(repositories, id) {
			repositories = append(repositories, id)
		}
	}
	if len(repositories) == 0 {
		return nil, nil
	}
	return s.Store.JobsOfRepositories(ctx, d.ProjectID, repositories)
}

// start starts a task's build, in the name of who caused the delivery, or says why not. The error is that of a try that may be repeated.
func (s *Service) start(ctx context.Context, d Delivery, job build.Job, source build.Source, branch string) (Result, error) {
	result := Result{JobID: job.ID, JobName: job.Config.Name}
	switch {
	case !job.Config.OnPush():
		result.Reason = "The task is not built when code changes (build_if_code_updated)."
	case job.Disabled != nil:
		result.Reason = "The task is disabled."
	case !takes(job.Config, source, branch, d.Push.DefaultBranch):
		result.Reason = fmt.Sprintf("The task does not build the branch %s.", branch)
	}
	if result.Reason != "" {
		return result, nil
	}
	token := "push-" + d.Push.After
	if d.Replays > 0 {
		token = fmt.Sprintf("%.32s-%d", d.ID[:8]+d.Push.After, d.Replays)
	}
	record, err := s.startAs(ctx, d.By, build.StartRequest{
		JobID: job.ID, RefKind: build.ByBranch, Branch: branch, Commit: d.Push.After, DefaultBranch: d.Push.DefaultBranch,
		Trigger: build.CodeChange, Token: token,
	})
	if text, public := fault.Public(err); err != nil && public && !fault.Is(err, fault.Unavailable) {
		result.Reason = text
		if f, ok := errors.AsType[*fault.Error](err); ok && f.Field == build.ClientToken {
			result.Reason = "The commit was built already, on another branch."
		}
		return result, nil
	}
	if err != nil {
		return result, err
	}
	result.Number = record.Number
	if record.CreatedAt.Before(d.ReceivedAt) {
		result.Number, result.Reason = 0, fmt.Sprintf("The commit was built already: build %d.", record.Number)
	}
	return result, nil
}

// startAs starts a build in the name of who caused a delivery, if that was a person.
func (s *Service) startAs(ctx context.Context, by build.Actor, req build.StartRequest) (build.Record, error) {
	if by.UserID == "" {
		return s.Builds.StartUnattended(ctx, req)
	}
	return s.Builds.Start(ctx, by, req)
}

// Trigger is the name of a task's trigger that says which branches are built when code changes.
const Trigger = "atelier.triggers.PushTrigger"

// takes reports whether a task builds a branch when it changes: its own, and those that its trigger's patterns name.
func takes(c build.Config, source build.Source, branch, defaultBranch string) bool {
	own := source.Branch
	if own == "" {
		own = defaultBranch
	}
	if branch == own {
		return true
	}
	patterns, _ := Branches(c)
	return slices.ContainsFunc(patterns, func(p glob.Pattern) bool { return p.Match(branch) })
}
