package httpapi

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/plan"
	"atelier/internal/source"
	"atelier/internal/template"
)

func (a *API) templateOperations() []operation {
	return []operation{
		handle("CreateTemplates", "POST /v3/templates/create", outdated, "Create a template.", a.createTemplateWhole),
		handle("CreateTemplate", "POST /v1/template/create", current, "Create a template.", a.createTemplate),
		handle("DeleteTemplates", "DELETE /v3/templates/{uuid}/delete", outdated, "Delete a template.", a.deleteTemplateWhole),
		handle("DeleteTemplate", "DELETE /v1/template/{uuid}/delete", current, "Delete a template.", a.deleteTemplate),
		handle("ListTemplates", "GET /v3/templates/query", outdated, "Templates of the tenant.", a.listTemplates),
		handle("ListCustomTemplate", "GET /v1/template/custom", current, "Templates of the tenant, filtered.", a.listCustomTemplates),
		handle("ShowTemplate", "GET /v1/template/{uuid}/custom", current, "One template of the tenant.", a.showTemplate),
		handle("ListOfficialTemplate", "GET /v1/template/officialtemplates", current, "Templates that come with the service.", a.listOfficialTemplates),
		handle("ListRecommendOfficialTemplate", "POST /v1/template/recommend", current, "Templates that fit a repository.", a.recommendTemplates),
		handle("ShowYamlTemplate", "GET /v1/template/{job_id}/default-template", current, "A build file for a build task to begin with.", a.showBuildFile),
		handle("SaveTemplateUsedInfo", "POST /v1/template/used-info", current, "Note that a build task was made from a template.", a.noteTemplateUse),
		handle("AddFavouriteCustomTemplate", "POST /v1/template/custom/{uuid}/follow", current, "Mark a template of the tenant as favourite.", a.favourite(false, true)),
		handle("RemoverFavouriteCustomTemplate", "POST /v1/template/custom/{uuid}/unfollow", current, "Take that mark away.", a.favourite(false, false)),
		handle("AddFavouriteOfficialTemplate", "POST /v1/template/official/{uuid}/follow", current, "Mark an official template as favourite.", a.favourite(true, true)),
		handle("RemoverFavouriteOfficialTemplate", "POST /v1/template/official/{uuid}/unfollow", current, "Take that mark away.", a.favourite(true, false)),
	}
}

// codeNoTemplate is the vendor's code of a template that does not exist.
const codeNoTemplate = "DEV.CB.0520002"

// templateError gives a missing template its own code.
func templateError(err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.NotFound {
		return &apiError{Status: http.StatusNotFound, Code: codeNoTemplate, Message: f.Message}
	}
	return err
}

// templateUUID is the id of a template. The vendor's pattern for it is wide.
type templateUUID string

var formTemplateUUID = regexp.MustCompile(`^[a-z0-9A-Z-]{1,64}$`)

func (id *templateUUID) parse(name, value string) error {
	if !formTemplateUUID.MatchString(value) {
		return invalid(codeInvalidID, name, "must be 1 to 64 letters, digits or hyphens, found %q", shorten(value))
	}
	*id = templateUUID(value)
	return nil
}

type createTemplateRequest struct {
	Body struct {
		Name        *string         `json:"name" doc:"required"`
		Description string          `json:"description"`
		Tool        string          `json:"tool_type"`
		Parameters  []parameterBody `json:"parameters"`
		Template    *struct {
			Steps []stepBody `json:"steps"`
		} `json:"template" doc:"required"`
	} `body:"json"`
}

func (a *API) newTemplate(c call, in createTemplateRequest) (template.Template, error) {
	b := in.Body
	given := map[string]bool{"name": b.Name != nil, "template": b.Template != nil}
	if err := missing(without([]string{"name", "template"}, func(key string) bool { return given[key] })...); err != nil {
		return template.Template{}, err
	}
	t, err := a.Templates.Create(c.ctx(), c.actor(), template.Template{
		Name: *b.Name, Description: b.Description, Tool: b.Tool,
		Parameters: mapped(b.Parameters, parameterBody.domain), Steps: mapped(b.Template.Steps, stepBody.domain),
	})
	t.DomainName = c.caller.Domain.Name
	return t, err
}

func (a *API) createTemplateWhole(c call, in createTemplateRequest) (*envelope[templateAnswer], error) {
	t, err := a.newTemplate(c, in)
	return wrap(presentTemplate(t)), err
}

type uuidAnswer struct {
	UUID string `json:"uuid"`
}

func (a *API) createTemplate(c call, in createTemplateRequest) (*envelope[uuidAnswer], error) {
	t, err := a.newTemplate(c, in)
	return wrap(uuidAnswer{t.UUID}), err
}

type templateRequest struct {
	UUID templateUUID `path:"uuid"`
}

func (a *API) deleteTemplateWhole(c call, in templateRequest) (*envelope[[]templateAnswer], error) {
	t, err := a.Templates.Delete(c.ctx(), c.actor(), string(in.UUID))
	return wrap([]templateAnswer{presentTemplate(t)}), templateError(err)
}

func (a *API) deleteTemplate(c call, in templateRequest) (*success, error) {
	_, err := a.Templates.Delete(c.ctx(), c.actor(), string(in.UUID))
	return &success{"success"}, templateError(err)
}

func (a *API) showTemplate(c call, in templateRequest) (*envelope[templateAnswer], error) {
	t, err := a.Templates.Custom(c.ctx(), c.actor(), string(in.UUID))
	return wrap(presentTemplate(t)), templateError(err)
}

func (a *API) favourite(official, yes bool) func(c call, in templateRequest) (*success, error) {
	return func(c call, in templateRequest) (*success, error) {
		return &success{"success"}, templateError(a.Templates.SetFavourite(c.ctx(), c.actor(), string(in.UUID), official, yes))
	}
}

// templateAnswer is a template. Official ones have no user and no time.
type templateAnswer struct {
	ID              string            `json:"id"`
	UUID            string            `json:"uuid"`
	Name            string            `json:"name"`
	Description     string            `json:"description"`
	Type            string            `json:"type"`
	Scope           string            `json:"scope"`
	Public          bool              `json:"public"`
	Favourite       bool              `json:"favourite"`
	ToolType        text              `json:"tool_type"`
	Language        string            `json:"language,omitempty"`
	Template        stepsAnswer       `json:"template"`
	Parameters      []parameterAnswer `json:"parameters"`
	CreateTime      isoTime           `json:"create_time"`
	DomainID        text              `json:"domain_id"`
	DomainName      text              `json:"domain_name"`
	UserID          text              `json:"user_id"`
	UserName        text              `json:"user_name"`
	NickName        text              `json:"nick_name"`
	Weight          int               `json:"weight"` // how many tasks were made from it
	I18n            struct{}          `json:"i18n"`
	IntlDescription struct{}          `json:"intl_description"`
}

// stepsAnswer has what the vendor's templates may hold besides steps; here they hold nothing else.
type stepsAnswer struct {
	Steps            []stepAnswer `json:"steps"`
	Actions          *struct{}    `json:"actions"`
	AutoUpdateSubMod bool         `json:"auto_update_sub_module"`
	Image            text         `json:"image"`
	ImageSource      text         `json:"image_source"`
}

func presentTemplate(t template.Template) templateAnswer {
	scope := "custom"
	if t.Official() {
		scope = "official"
	}
	if t.UUID == "" {
		return templateAnswer{} // beside an error
	}
	return templateAnswer{
		ID: t.ID(), UUID: t.UUID, Name: t.Name, Description: t.Description, Type: "codeci", Scope: scope, Public: true, Favourite: t.Favourite,
		ToolType: text(t.Tool), Language: t.Language, Template: stepsAnswer{Steps: list(t.Steps, presentStep)}, Parameters: list(t.Parameters, presentParameter),
		CreateTime: isoTime(t.CreatedAt), DomainID: text(t.DomainID), DomainName: text(t.DomainName), UserID: text(t.UserID), UserName: text(t.UserName),
		NickName: text(t.UserName), Weight: t.Uses,
	}
}

type templateListAnswer struct {
	Items []templateAnswer `json:"items"`
	Total int              `json:"total_size"`
}

// templateRows is how many templates a page has when nobody says.
const templateRows = 20

func (n pageSize) templates() int {
	if n == 0 {
		return templateRows
	}
	return int(n)
}

type listTemplatesRequest struct {
	Name     word      `query:"name"`
	Page     pageIndex `query:"page"`
	PageSize pageSize  `query:"page_size"`
}

func (a *API) listTemplates(c call, in listTemplatesRequest) (*envelope[templateListAnswer], error) {
	size := in.PageSize.templates()
	return a.customTemplates(c, template.Query{Name: string(in.Name), Offset: int(in.Page) * size, Limit: size})
}

func (a *API) customTemplates(c call, q template.Query) (*envelope[templateListAnswer], error) {
	templates, total, err := a.Templates.Customs(c.ctx(), c.actor(), q)
	return wrap(templateListAnswer{list(templates, presentTemplate), total}), err
}

// listCustomTemplatesRequest has two filters whose values the vendor does not say. Here filter is favourite or mine, and tags are
// kinds of tools, with commas between them.
type listCustomTemplatesRequest struct {
	Name     word     `query:"name"`
	Filter   word     `query:"filter" doc:"all|favourite|mine"`
	Page     page     `query:"page"`
	PageSize pageSize `query:"page_size"`
	Tags     word     `query:"tags"`
}

func (a *API) listCustomTemplates(c call, in listCustomTemplatesRequest) (*envelope[templateListAnswer], error) {
	size := in.PageSize.templates()
	q := template.Query{Name: string(in.Name), Offset: (max(int(in.Page), 1) - 1) * size, Limit: size}
	switch in.Filter {
	case "", "all":
	case "favourite":
		q.Starred = true
	case "mine":
		q.Mine = true
	default:
		return nil, invalid(codeInvalid, "filter", "must be all, favourite or mine, found %q", shorten(string(in.Filter)))
	}
	if in.Tags != "" {
		if q.Tools = strings.Split(string(in.Tags), ","); len(q.Tools) > maxListed {
			return nil, invalid(codeInvalid, "tags", "has %d values, at most %d are allowed", len(q.Tools), maxListed)
		}
	}
	return a.customTemplates(c, q)
}

func (a *API) listOfficialTemplates(c call, in listTemplatesRequest) (*envelope[templateListAnswer], error) {
	templates, err := a.Templates.Officials(c.ctx(), c.actor(), string(in.Name))
	total, size := len(templates), in.PageSize.templates()
	first := min(int(in.Page)*size, total)
	return wrap(templateListAnswer{list(templates[first:min(first+size, total)], presentTemplate), total}), err
}

type recommendRequest struct {
	Body struct {
		URL    *string `json:"git_url" doc:"required"`
		Branch *string `json:"branch"`
		Tag    string  `json:"tags"`
	} `body:"json"`
}

// recommendTemplates looks into a repository, so it asks for the right to make tasks, which would let the caller do the same.
func (a *API) recommendTemplates(c call, in recommendRequest) (*envelope[templateListAnswer], error) {
	b := in.Body
	given := map[string]bool{"git_url": b.URL != nil, "branch": b.Branch != nil || b.Tag != ""}
	if err := missing(without([]string{"git_url", "branch"}, func(key string) bool { return given[key] })...); err != nil {
		return nil, err
	}
	projects, err := a.IAM.ProjectsOf(c.ctx(), c.actor(), build.Create)
	if err == nil && len(projects) == 0 {
		err = fault.New(fault.Forbidden, "no role of yours lets you create tasks in a project")
	}
	if err != nil {
		return nil, err
	}
	ref := source.Ref{Tag: b.Tag}
	if b.Tag == "" {
		ref.Branch = *b.Branch
	}
	templates, err := a.Templates.Recommend(c.ctx(), c.actor(), *b.URL, ref)
	return wrap(templateListAnswer{list(templates, presentTemplate), len(templates)}), err
}

type buildFileRequest struct {
	JobID jobID `path:"job_id"`
	Host  word  `query:"default_host" doc:"x86-64|arm"`
}

// showBuildFile answers with the steps of an ACTION task as a build file, where they can be one. Other tasks get one that says hello.
func (a *API) showBuildFile(c call, in buildFileRequest) (*envelope[string], error) {
	job, err := a.Builds.Job(c.ctx(), c.actor(), build.JobID(in.JobID))
	if err != nil {
		return nil, err
	}
	switch in.Host {
	case "":
	case "x86-64", "arm":
		job.Config.Arch = string(in.Host)
	default:
		return nil, invalid(codeInvalid, "default_host", "must be x86-64 or arm, found %q", shorten(string(in.Host)))
	}
	if job.Config.EffectiveKind() == build.Action {
		if file, err := plan.Convert(job.Config, a.Modules); err == nil {
			return wrap(string(file)), nil
		}
	}
	job.Config.Steps = []build.ActionStep{{ModuleID: "sh", Name: "Hello", Properties: map[string]any{"command": "echo hello"}}}
	file, err := plan.Convert(job.Config, a.Modules)
	return wrap(string(file)), err
}

type templateUseRequest struct {
	Body struct {
		JobID      string `json:"job_id" doc:"required"`
		TemplateID string `json:"template_id" doc:"required"`
	} `body:"json"`
}

func (a *API) noteTemplateUse(c call, in templateUseRequest) (*envelope[string], error) {
	var job jobID
	var id templateUUID
	if err := job.parse("job_id", in.Body.JobID); err != nil {
		return nil, err
	}
	if err := id.parse("template_id", in.Body.TemplateID); err != nil {
		return nil, err
	}
	if _, err := a.Builds.JobFor(c.ctx(), c.actor(), build.JobID(job), build.Modify); err != nil {
		return nil, err
	}
	return wrap("success"), templateError(a.Templates.NoteUse(c.ctx(), c.actor(), string(id), build.JobID(job)))
}
