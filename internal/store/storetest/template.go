package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/fault"
	"atelier/internal/template"
)

func aTemplate(n int, name, tool string) template.Template {
	config := aJob(n, name).Config
	return template.Template{
		UUID: fmt.Sprintf("%x%031d", n, 0), DomainID: "d1", DomainName: "acme", Name: name, Description: "about it", Tool: tool,
		Parameters: config.Parameters, Steps: config.Steps, UserID: worker.ID, UserName: worker.Name, CreatedAt: start.Add(time.Duration(n) * time.Second),
	}
}

func testTemplates(t *testing.T, open Opener) {
	s := peopled(t, open)
	ctx := t.Context()
	first, second := aTemplate(1, "First", "shell"), aTemplate(2, "second_100%", "maven")
	second.UserID = admin.ID
	check(t, s.CreateTemplate(ctx, first, 2))
	check(t, s.CreateTemplate(ctx, second, 2))
	wantKind(t, s.CreateTemplate(ctx, aTemplate(3, "third", ""), 2), fault.Limit)
	wantKind(t, s.CreateTemplate(ctx, aTemplate(3, "First", ""), 9), fault.Exists)
	got, err := s.Template(ctx, "d1", worker.ID, first.UUID)
	wantEqual(t, "a template", got, first, err)
	got, err = s.Template(ctx, "d1", worker.ID, first.ID())
	wantEqual(t, "a template by its short id", got, first, err)
	_, err = s.Template(ctx, "d2", worker.ID, first.UUID)
	wantKind(t, err, fault.NotFound)

	for range 2 {
		check(t, s.SetFavouriteTemplate(ctx, worker.ID, first.UUID, true))
		check(t, s.NoteTemplateUse(ctx, first.UUID, "job1", "d1"))
	}
	check(t, s.NoteTemplateUse(ctx, first.UUID, "job2", "d2"))
	first.Favourite, first.Uses = true, 2
	for name, tt := range map[string]struct {
		query template.Query
		want  []template.Template
		total int
	}{
		"all, the newest first": {template.Query{Limit: 9}, []template.Template{second, first}, 2},
		"the second page":       {template.Query{Limit: 1, Offset: 1}, []template.Template{first}, 2},
		"by name":               {template.Query{Limit: 9, Name: "fIR"}, []template.Template{first}, 1},
		"wildcards are letters": {template.Query{Limit: 9, Name: "_1"}, []template.Template{second}, 1},
		"by tool":               {template.Query{Limit: 9, Tools: []string{"gradle", "maven"}}, []template.Template{second}, 1},
		"my own":                {template.Query{Limit: 9, Mine: true}, []template.Template{first}, 1},
		"favourites":            {template.Query{Limit: 9, Starred: true}, []template.Template{first}, 1},
		"nothing":               {template.Query{Limit: 9, Starred: true, Tools: []string{"x"}}, nil, 0},
	} {
		tt.query.DomainID, tt.query.UserID = "d1", worker.ID
		got, total, err := s.Templates(ctx, tt.query)
		if diff := cmp.Diff(tt.want, got); err != nil || total != tt.total || diff != "" {
			t.Errorf("%s: %d of %d, %v, (-want +got):\n%s", name, len(got), total, err, diff)
		}
	}
	liked, uses, err := s.TemplateUse(ctx, "d1", worker.ID, []string{first.UUID, "official"})
	wantEqual(t, "what is liked", liked, map[string]bool{first.UUID: true, "official": false}, err)
	wantEqual(t, "what is used", uses, map[string]int{first.UUID: 1, "official": 0}, nil)

	check(t, s.SetFavouriteTemplate(ctx, worker.ID, first.UUID, false))
	check(t, s.DeleteTemplate(ctx, "d1", first.UUID))
	wantKind(t, s.DeleteTemplate(ctx, "d1", first.UUID), fault.NotFound)
	wantKind(t, s.DeleteTemplate(ctx, "d2", second.UUID), fault.NotFound)
	if _, uses, err := s.TemplateUse(ctx, "d1", worker.ID, []string{first.UUID}); err != nil || uses[first.UUID] != 0 {
		t.Errorf("a deleted template is used %d times, %v", uses[first.UUID], err)
	}
	check(t, s.CreateTemplate(ctx, aTemplate(4, "First", ""), 9)) // its name is free again
}
