package iam_test

import (
	"strings"
	"testing"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/iam"
)

func actor(u iam.User) build.Actor {
	return build.Actor{UserID: u.ID, UserName: u.Name, DomainID: u.DomainID}
}

func (b *bundle) project(name string, creator iam.User) iam.Project {
	b.t.Helper()
	p, err := b.CreateProject(b.t.Context(), iam.NewProject{DomainID: b.acme.ID, Name: name, CreatorID: creator.ID})
	b.check(err)
	return p
}

// may returns a plus sign or a minus sign for each right of an actor on a job, in the order of the constants of package build.
func (b *bundle) may(u iam.User, ref build.JobRef) string {
	b.t.Helper()
	var out strings.Builder
	for right := build.View; right <= build.Manage; right++ {
		switch err := b.Check(b.t.Context(), actor(u), ref, right); {
		case err == nil:
			out.WriteByte('+')
		case fault.Is(err, fault.Forbidden):
			out.WriteByte('-')
		case fault.Is(err, fault.NotFound):
			out.WriteByte('?')
		default:
			b.t.Fatal(err)
		}
	}
	return out.String()
}

const (
	everything = "++++++++"
	hidden     = "????????"
)

func TestRights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	// view create run edit clone disable delete assign
	matrix := []struct {
		roles []iam.Role
		want  string
	}{
		{[]iam.Role{iam.ProjectAdministrator}, "++++++++"},
		{[]iam.Role{iam.ProjectManager}, "++++++++"},
		{[]iam.Role{iam.ProductManager}, "+-------"},
		{[]iam.Role{iam.TestManager}, "+-------"},
		{[]iam.Role{iam.OperationManager}, "--------"},
		{[]iam.Role{iam.SystemEngineer}, "+++++++-"},
		{[]iam.Role{iam.Committer}, "+++++++-"},
		{[]iam.Role{iam.Developer}, "+++++++-"},
		{[]iam.Role{iam.Tester}, "--------"},
		{[]iam.Role{iam.Participant}, "--------"},
		{[]iam.Role{iam.Viewer}, "+-------"},
		{[]iam.Role{iam.Tester, iam.Viewer}, "+-------"},
		{[]iam.Role{iam.Viewer, iam.Developer, iam.Participant}, "+++++++-"},
		{nil, hidden},
	}
	seen := make(map[iam.Role]bool)
	project := b.project("one", iam.User{})
	ref := build.JobRef{ID: "j1", ProjectID: build.ProjectID(project.ID), CreatorID: "somebody"}
	for _, row := range matrix {
		for _, role := range row.roles {
			b.check(b.GrantRole(ctx, project.ID, b.dev.ID, role))
			seen[role] = true
		}
		for range 2 { // the second time out of memory
			if got := b.may(b.dev, ref); got != row.want {
				t.Errorf("%v may %s, want %s", row.roles, got, row.want)
			}
		}
		for _, role := range row.roles {
			b.check(b.RevokeRole(ctx, project.ID, b.dev.ID, role))
		}
	}
	for _, role := range iam.Roles() {
		if !seen[role] {
			t.Errorf("role %s is not in the matrix", role)
		}
	}
}

func TestWhoHoldsEverything(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	colleague := b.user(b.acme, "colleague")
	project := b.project("one", colleague)
	id := build.ProjectID(project.ID)
	job := build.JobRef{ID: "j1", ProjectID: id, CreatorID: b.dev.ID}
	others := build.JobRef{ID: "j2", ProjectID: id, CreatorID: "somebody"}

	for _, tt := range []struct {
		name string
		who  iam.User
		ref  build.JobRef
		want string
	}{
		{"the domain's administrator", b.admin, others, everything},
		{"the project's creator", colleague, others, everything},
		{"the task's creator, who is no member", b.dev, job, hidden},
		{"a user of another domain", b.rival, others, hidden},
		{"another domain's administrator", iam.User{ID: "other-admin"}, others, hidden},
		{"nobody", iam.User{}, build.JobRef{ProjectID: id}, hidden},
		{"a project that does not exist", b.admin, build.JobRef{ID: "j1", ProjectID: "none"}, hidden},
		{"no project", b.admin, build.JobRef{ID: "j1"}, hidden},
	} {
		if got := b.may(tt.who, tt.ref); got != tt.want {
			t.Errorf("%s may %s, want %s", tt.name, got, tt.want)
		}
	}
	b.check(b.GrantRole(ctx, project.ID, b.dev.ID, iam.Tester))
	if got := b.may(b.dev, job); got != "+-++++++" { // creating is a right on the project, not on the task
		t.Errorf("the task's creator, now a member, may %s", got)
	}
	if got := b.may(b.dev, others); got != "--------" {
		t.Errorf("and on other tasks %s", got)
	}
	b.check(b.GrantRole(ctx, project.ID, colleague.ID, iam.Tester))
	b.check(b.RevokeRole(ctx, project.ID, colleague.ID, iam.ProjectAdministrator))
	if got := b.may(colleague, others); got != everything {
		t.Errorf("the project's creator, in a lesser role, may %s", got)
	}
	b.check(b.RevokeRole(ctx, project.ID, colleague.ID, iam.Tester))
	if got := b.may(colleague, others); got != hidden {
		t.Errorf("the project's creator, no member any more, may %s", got)
	}
	for _, u := range []iam.User{b.admin, b.dev} {
		b.check(b.SetUserEnabled(ctx, u.ID, false))
		if got := b.may(u, job); got != hidden {
			t.Errorf("%s, disabled, may %s", u.Name, got)
		}
	}
}

func TestProjects(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	const known = "6ecbc5bac7c8442fb3d2563d53c13582"
	moved, err := b.CreateProject(ctx, iam.NewProject{ID: known, DomainID: b.acme.ID, Name: "构建 — moved", CreatorID: b.dev.ID})
	b.check(err)
	if name, err := b.ProjectName(ctx, known); err != nil || moved.ID != known || name != "构建 — moved" {
		t.Errorf("%+v, %q, %v", moved, name, err)
	}
	second := b.project("second", iam.User{})
	b.check(b.GrantRole(ctx, second.ID, b.dev.ID, iam.Tester))
	names := func(u iam.User, right build.Right) (out string) {
		projects, err := b.ProjectsOf(ctx, actor(u), right)
		b.check(err)
		for _, p := range projects {
			out += p.Name + ";"
		}
		return out
	}
	for _, tt := range []struct {
		who   iam.User
		right build.Right
		want  string
	}{
		{b.dev, build.View, "构建 — moved;"}, {b.admin, build.View, "second;构建 — moved;"}, {b.rival, build.View, ""}, {iam.User{}, build.View, ""},
	} {
		if got := names(tt.who, tt.right); got != tt.want {
			t.Errorf("projects of %s: %q, want %q", tt.who.ID, got, tt.want)
		}
	}
	for want, p := range map[string]iam.NewProject{
		"project_id: must be 32": {ID: "P1", DomainID: b.acme.ID, Name: "x"},
		"project: must be 1":     {DomainID: b.acme.ID},
		`found " x"`:             {DomainID: b.acme.ID, Name: " x"},
		`found "a\tb"`:           {DomainID: b.acme.ID, Name: "a\tb"},
		"found \"xxx":            {DomainID: b.acme.ID, Name: strings.Repeat("x", 129)},
	} {
		_, err := b.CreateProject(ctx, p)
		wantKind(t, err, fault.Invalid, want)
	}
	_, err = b.CreateProject(ctx, iam.NewProject{ID: known, DomainID: b.other.ID, Name: "x"})
	wantKind(t, err, fault.Exists, known)
	_, err = b.CreateProject(ctx, iam.NewProject{DomainID: "nowhere", Name: "x"})
	wantKind(t, err, fault.NotFound, "nowhere")
	wantKind(t, b.GrantRole(ctx, known, b.dev.ID, "king"), fault.Invalid, "role: must be one of project-administrator, ")
	wantKind(t, b.GrantRole(ctx, known, b.rival.ID, iam.Viewer), fault.NotFound, "")
	_, err = b.ProjectName(ctx, "none")
	wantKind(t, err, fault.NotFound, "")
	members, err := b.Members(ctx, known)
	if err != nil || len(members) != 1 || members[0].User != b.dev || members[0].Roles[0] != iam.ProjectAdministrator {
		t.Errorf("members %+v, %v", members, err)
	}
}
