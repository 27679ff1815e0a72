package iam

import (
	"strings"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// Role is what a member of a project is. A member may have several.
type Role string

// The roles of a project.
const (
	ProjectAdministrator Role = "project-administrator"
	ProjectManager       Role = "project-manager"
	ProductManager       Role = "product-manager"
	TestManager          Role = "test-manager"
	OperationManager     Role = "operation-manager"
	SystemEngineer       Role = "system-engineer"
	Committer            Role = "committer"
	Developer            Role = "developer"
	Tester               Role = "tester"
	Participant          Role = "participant"
	Viewer               Role = "viewer"
)

// Rights is a set of [build.Right].
type Rights uint16

// RightsOf returns the set of some rights.
func RightsOf(list ...build.Right) Rights {
	var r Rights
	for _, right := range list {
		r |= 1 << right
	}
	return r
}

// Has reports whether a right is in the set.
func (r Rights) Has(right build.Right) bool { return r&(1<<right) != 0 }

// What the roles come to.
var (
	none  = RightsOf()
	looks = RightsOf(build.View)
	works = RightsOf(build.View, build.Create, build.Execute, build.Modify, build.Copy, build.Disable, build.Delete)
	all   = works | RightsOf(build.Manage)
)

// roles says which rights on the tasks of a project each role gives.
var roles = []struct {
	role   Role
	rights Rights
}{
	{ProjectAdministrator, all},
	{ProjectManager, all},
	{ProductManager, looks},
	{TestManager, looks},
	{OperationManager, none},
	{SystemEngineer, works},
	{Committer, works},
	{Developer, works},
	{Tester, none},
	{Participant, none},
	{Viewer, looks},
}

// Roles returns all roles.
func Roles() []Role {
	out := make([]Role, len(roles))
	for i, r := range roles {
		out[i] = r.role
	}
	return out
}

// Rights returns what a role gives in a project; nothing for one that does not exist.
func (r Role) Rights() Rights {
	for _, row := range roles {
		if row.role == r {
			return row.rights
		}
	}
	return none
}

func checkRole(role Role) error {
	names := make([]string, len(roles))
	for i, r := range roles {
		if r.role == role {
			return nil
		}
		names[i] = string(r.role)
	}
	return fault.Field("role", "must be one of %s, found %.40q", strings.Join(names, ", "), role)
}
