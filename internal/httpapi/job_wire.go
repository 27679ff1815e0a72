package httpapi

import (
	"encoding/json"

	"atelier/internal/build"
)

// jobBody is the configuration of a task as clients write it. A nil pointer or slice is a key that was not given.
type jobBody struct {
	JobID              string          `json:"job_id"`
	CopyJobID          string          `json:"copy_job_id"`
	ProjectID          string          `json:"project_id" doc:"required"`
	Name               string          `json:"job_name" doc:"required"`
	Arch               string          `json:"arch" doc:"required"`
	AutoUpdateSubMod   looseText       `json:"auto_update_sub_module"`
	Flavor             looseText       `json:"flavor"`
	HostType           looseText       `json:"host_type"`
	BuildConfigType    looseText       `json:"build_config_type"`
	EnvironmentType    looseText       `json:"build_environment_type"`
	BuildIfCodeUpdated *looseBool      `json:"build_if_code_updated"`
	GroupID            *looseText      `json:"group_id"`
	Parameters         []parameterBody `json:"parameters"`
	Sources            []sourceBody    `json:"scms"`
	Steps              []stepBody      `json:"steps"`
	Triggers           *[]triggerBody  `json:"triggers"`
	Timeout            *timeoutBody    `json:"timeout"`

	given map[string]bool // the keys that stand in the body, also those that are null
}

// UnmarshalJSON implements [json.Unmarshaler]. It also notes which keys stand in the body.
func (b *jobBody) UnmarshalJSON(data []byte) error {
	type plain jobBody // without this method
	if err := json.Unmarshal(data, (*plain)(b)); err != nil {
		return err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return err
	}
	b.given = make(map[string]bool, len(keys))
	for key := range keys {
		b.given[key] = true
	}
	return nil
}

type parameterBody struct {
	Name   string         `json:"name"`
	Params []propertyBody `json:"params"`
}

type propertyBody struct {
	Name   string       `json:"name"`
	Value  looseText    `json:"value"`
	Limits []choiceBody `json:"limits"`
}

type choiceBody struct {
	Disable     looseText `json:"disable"`
	DisplayName string    `json:"display_name"`
	Name        string    `json:"name"`
}

type sourceBody struct {
	Branch       string    `json:"branch"`
	URL          string    `json:"url" doc:"required"`
	RepoID       looseText `json:"repo_id"`
	RepoName     string    `json:"repo_name"`
	GroupName    string    `json:"group_name"`
	WebURL       string    `json:"web_url"`
	SCMType      string    `json:"scm_type" doc:"required"`
	IsAutoBuild  looseBool `json:"is_auto_build"`
	EnableGitLFS looseBool `json:"enable_git_lfs"`
	BuildType    string    `json:"build_type"`
	Depth        looseText `json:"depth"`
	EndPointID   string    `json:"end_point_id"`
	EndpointID   string    `json:"endpoint_id"` // the same under the name that other clients use
	Source       looseText `json:"source"`
}

type stepBody struct {
	ModuleID   string     `json:"module_id" doc:"required"`
	Name       string     `json:"name" doc:"required"`
	Version    looseText  `json:"version"`
	Enable     looseBool  `json:"enable"`
	Properties properties `json:"properties"`
}

type triggerBody struct {
	Name       string          `json:"name" doc:"required"`
	Parameters []nameValueBody `json:"parameters"`
}

type nameValueBody struct {
	Name  string     `json:"name" doc:"required"`
	Value *looseText `json:"value" doc:"required"`
}

// checkValues reports the first of some named values that has a name only. field is where they stand in the body.
func checkValues(field string, all []nameValueBody) error {
	for i, v := range all {
		if v.Value == nil {
			return invalid(codeInvalid, field+"["+number(i)+"].value", "is missing")
		}
	}
	return nil
}

type timeoutBody struct {
	Limit looseText `json:"limit"`
	Unit  string    `json:"unit"`
}

// mapped returns f of every element; nil for an empty list.
func mapped[A, B any](in []A, f func(A) B) []B {
	if len(in) == 0 {
		return nil
	}
	out := make([]B, len(in))
	for i, a := range in {
		out[i] = f(a)
	}
	return out
}

// config returns the configuration that the body describes. Of the keys that SDKs cannot send in an update, those that the
// body does not have keep their value of before; an explicit null clears.
func (b jobBody) config(before build.Config) build.Config {
	c := build.Config{
		Name: b.Name, Arch: b.Arch, Flavor: string(b.Flavor), HostType: string(b.HostType), Kind: build.ConfigKind(b.BuildConfigType),
		EnvironmentType: string(b.EnvironmentType), AutoUpdateSubmodules: string(b.AutoUpdateSubMod),
		Parameters: mapped(b.Parameters, parameterBody.domain),
		Sources:    mapped(b.Sources, sourceBody.domain),
		Steps:      mapped(b.Steps, stepBody.domain),
		GroupID:    before.GroupID, BuildOnPush: before.BuildOnPush, Triggers: before.Triggers, Timeout: before.Timeout,
	}
	if b.given["group_id"] {
		c.GroupID = ""
		if b.GroupID != nil {
			c.GroupID = string(*b.GroupID)
		}
	}
	if b.given["build_if_code_updated"] {
		c.BuildOnPush = nil
		if b.BuildIfCodeUpdated != nil {
			c.BuildOnPush = b.BuildIfCodeUpdated.value
		}
	}
	if b.given["triggers"] {
		c.Triggers = nil
		if b.Triggers != nil {
			c.Triggers = mapped(*b.Triggers, triggerBody.domain)
		}
	}
	if b.given["timeout"] {
		c.Timeout = nil
		if b.Timeout != nil && *b.Timeout != (timeoutBody{}) {
			c.Timeout = &build.Timeout{Limit: string(b.Timeout.Limit), Unit: b.Timeout.Unit}
		}
	}
	return c
}

func (p parameterBody) domain() build.Parameter {
	return build.Parameter{Definition: p.Name, Properties: mapped(p.Params, func(q propertyBody) build.Property {
		return build.Property{Name: q.Name, Value: string(q.Value), Choices: mapped(q.Limits, func(c choiceBody) build.Choice {
			return build.Choice{Name: c.Name, DisplayName: c.DisplayName, Disabled: string(c.Disable)}
		})}
	})}
}

func (s sourceBody) domain() build.Source {
	endpoint := s.EndpointID
	if endpoint == "" {
		endpoint = s.EndPointID
	}
	return build.Source{
		URL: s.URL, Kind: s.SCMType, Branch: s.Branch, RefKind: build.RefKind(s.BuildType), Depth: string(s.Depth), IsAutoBuild: s.IsAutoBuild.value,
		LFS: s.EnableGitLFS.value, RepoID: string(s.RepoID), RepoName: s.RepoName, GroupName: s.GroupName, WebURL: s.WebURL, EndpointID: endpoint, Origin: string(s.Source),
	}
}

func (s stepBody) domain() build.ActionStep {
	return build.ActionStep{ModuleID: s.ModuleID, Name: s.Name, Version: string(s.Version), Enable: s.Enable.value, Properties: s.Properties}
}

func (t triggerBody) domain() build.TriggerConfig {
	return build.TriggerConfig{Name: t.Name, Parameters: mapped(t.Parameters, nameValueBody.domain)}
}

// domain is for values that [checkValues] has seen.
func (v nameValueBody) domain() build.NameValue {
	return build.NameValue{Name: v.Name, Value: string(*v.Value)}
}

// The configuration of a task as clients read it back.
type (
	jobConfigAnswer struct {
		JobID              build.JobID       `json:"job_id"`
		Arch               text              `json:"arch"`
		AutoUpdateSubMod   text              `json:"auto_update_sub_module"`
		BuildConfigType    text              `json:"build_config_type"`
		EnvironmentType    text              `json:"build_environment_type"`
		BuildIfCodeUpdated *bool             `json:"build_if_code_updated"`
		Flavor             text              `json:"flavor"`
		GroupID            text              `json:"group_id"`
		HostType           text              `json:"host_type"`
		Name               string            `json:"job_name"`
		Parameters         []parameterAnswer `json:"parameters"`
		ProjectID          build.ProjectID   `json:"project_id"`
		Sources            []sourceAnswer    `json:"scms"`
		Steps              []stepAnswer      `json:"steps"`
		Timeout            *timeoutAnswer    `json:"timeout"`
		Triggers           []triggerAnswer   `json:"triggers"`
	}
	parameterAnswer struct {
		Name   string           `json:"name"`
		Params []propertyAnswer `json:"params"`
	}
	propertyAnswer struct {
		Limits []choiceAnswer `json:"limits" doc:",null"`
		Name   string         `json:"name"`
		Value  string         `json:"value"`
	}
	choiceAnswer struct {
		Disable     text `json:"disable"`
		DisplayName text `json:"display_name"`
		Name        text `json:"name"`
	}
	sourceAnswer struct {
		Branch       text  `json:"branch"`
		BuildType    text  `json:"build_type"`
		Depth        text  `json:"depth"`
		EnableGitLFS *bool `json:"enable_git_lfs"`
		EndPointID   text  `json:"end_point_id"`
		EndpointID   text  `json:"endpoint_id"`
		GroupName    text  `json:"group_name"`
		IsAutoBuild  *bool `json:"is_auto_build"`
		RepoID       text  `json:"repo_id"`
		RepoName     text  `json:"repo_name"`
		SCMType      text  `json:"scm_type"`
		Source       text  `json:"source"`
		URL          text  `json:"url"`
		WebURL       text  `json:"web_url"`
	}
	stepAnswer struct {
		Enable     *bool          `json:"enable"`
		ModuleID   string         `json:"module_id"`
		Name       string         `json:"name"`
		Properties map[string]any `json:"properties"`
		Version    text           `json:"version"`
	}
	triggerAnswer struct {
		Name       string            `json:"name"`
		Parameters []nameValueAnswer `json:"parameters"`
	}
	nameValueAnswer struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	timeoutAnswer struct {
		Limit string `json:"limit"`
		Unit  string `json:"unit"`
	}
)

// list returns the elements for the wire, where an empty list is [] and not null.
func list[A, B any](in []A, f func(A) B) []B {
	out := make([]B, len(in))
	for i, a := range in {
		out[i] = f(a)
	}
	return out
}

func presentConfig(job build.Job) jobConfigAnswer {
	c := job.Config
	answer := jobConfigAnswer{
		JobID: job.ID, Arch: text(c.Arch), AutoUpdateSubMod: text(c.AutoUpdateSubmodules), BuildConfigType: text(c.Kind),
		EnvironmentType: text(c.EnvironmentType), BuildIfCodeUpdated: c.BuildOnPush, Flavor: text(c.Flavor), GroupID: text(c.GroupID),
		HostType: text(c.HostType), Name: c.Name, ProjectID: job.ProjectID,
		Parameters: list(c.Parameters, presentParameter), Sources: list(c.Sources, presentSource), Steps: list(c.Steps, presentStep),
		Triggers: list(c.Triggers, presentTrigger),
	}
	if c.Timeout != nil {
		answer.Timeout = &timeoutAnswer{c.Timeout.Limit, c.Timeout.Unit}
	}
	return answer
}

func presentParameter(p build.Parameter) parameterAnswer {
	return parameterAnswer{Name: p.Definition, Params: list(p.Properties, func(q build.Property) propertyAnswer {
		answer := propertyAnswer{Name: q.Name, Value: q.Value, Limits: mapped(q.Choices, func(c build.Choice) choiceAnswer {
			return choiceAnswer{Disable: text(c.Disabled), DisplayName: text(c.DisplayName), Name: text(c.Name)}
		})}
		if q.Sealed {
			answer.Value = build.Mask
		}
		return answer
	})}
}

func presentSource(s build.Source) sourceAnswer {
	return sourceAnswer{
		Branch: text(s.Branch), BuildType: text(s.RefKind), Depth: text(s.Depth), EnableGitLFS: s.LFS, EndPointID: text(s.EndpointID), EndpointID: text(s.EndpointID),
		GroupName: text(s.GroupName), IsAutoBuild: s.IsAutoBuild, RepoID: text(s.RepoID), RepoName: text(s.RepoName), SCMType: text(s.Kind), Source: text(s.Origin),
		URL: text(s.URL), WebURL: text(s.WebURL),
	}
}

func presentStep(s build.ActionStep) stepAnswer {
	return stepAnswer{Enable: s.Enable, ModuleID: s.ModuleID, Name: s.Name, Properties: s.Properties, Version: text(s.Version)}
}

func presentTrigger(t build.TriggerConfig) triggerAnswer {
	return triggerAnswer{Name: t.Name, Parameters: list(t.Parameters, func(v build.NameValue) nameValueAnswer { return nameValueAnswer(v) })}
}
