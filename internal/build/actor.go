package build

import "context"

// Actor is who asks for something: a person or a program that signed in.
type Actor struct {
	UserID   string
	UserName string
	DomainID string

	Administrator bool // of the tenant
}

// Right is something that a role lets its holder do with a job.
type Right int

// The rights of a job, in the vendor's order.
const (
	View Right = iota
	Create
	Execute
	Modify
	Copy
	Disable
	Delete
	Manage
)

func (r Right) String() string {
	return [...]string{"view", "create", "run", "edit", "clone", "disable", "delete", "assign permissions on"}[r]
}

// JobRef is what decides who may do what with a job and its builds.
type JobRef struct {
	ID        JobID
	ProjectID ProjectID
	CreatorID string
}

// Access decides who may do what.
type Access interface {
	// Check returns nil when the actor holds the right on the job. Otherwise it returns a fault.Forbidden error when the actor
	// is a member of the project, and a fault.NotFound error when the actor must not learn that the job exists.
	// For [Create], only ref.ProjectID matters. Without ref.ID it is about the jobs that follow the project.
	Check(ctx context.Context, actor Actor, ref JobRef, right Right) error
	// Viewing says which jobs of some projects the actor may view; without projects, of all that it is a member of.
	Viewing(ctx context.Context, actor Actor, projects []ProjectID) (Viewing, error)
}

// Viewing says which jobs a user may view, by project: a list shows no others. Its own jobs are always among them.
type Viewing struct {
	UserID     string
	Everything []ProjectID // every job of these
	ByProject  []ProjectID // those that follow the project, and those that let one of the user's roles view them
	ByTask     []ProjectID // only those that let one of the user's roles view them
}
