package httpapi

import (
	"fmt"

	"atelier/internal/build"
)

func (a *API) parameterOperations() []operation {
	return []operation{
		handle("ShowJobSystemParameters", "GET /v1/job/system-parameters", current, "The parameters that every build has.", a.showSystemParameters),
		handle("ShowDefaultBuildParameters", "GET /v1/job/default-parameters", current, "The parameters that an editor begins a build task with.", a.showDefaultParameters),
		handle("ShowBuildParamsList", "GET /v1/job/build-params", current, "The rules that the parameters of build tasks keep.", a.showParameterRules),
	}
}

// systemParameters says what each of build.SystemParameters holds.
var systemParameters = map[string]string{
	"BUILDNUMBER":       "The day of the build and its number on that day, such as 20200825.1",
	"TIMESTAMP":         "The time at which the build was asked for, such as 20200825181530",
	"INCREASENUM":       "The number of the build in its task, counted from 1",
	"PROJECT_ID":        "The ID of the project that the task is in",
	"WORKSPACE":         "The directory in which the steps of the build run",
	"GIT_TAG":           "The tag that is built; empty when none is",
	"COMMIT_ID":         "The ID of the commit that is built",
	"COMMIT_ID_SHORTER": "The first digits of the ID of the commit",
	"JOB_NAME":          "The name of the task",
	"EXECUTOR":          "The name of the user who has started the build",
}

type systemParameterAnswer struct {
	ID          int    `json:"id"`
	Name        string `json:"parameter_name"`
	Description string `json:"description"`
}

func (a *API) showSystemParameters(_ call, _ struct{}) (*envelope[[]systemParameterAnswer], error) {
	id := 0
	return wrap(list(build.SystemParameters, func(name string) systemParameterAnswer {
		id++
		return systemParameterAnswer{id, name, systemParameters[name]}
	})), nil
}

func (a *API) showDefaultParameters(_ call, _ struct{}) (*envelope[[]parameterAnswer], error) {
	branch := build.Parameter{Definition: build.StringDefinition, Properties: []build.Property{
		{Name: "name", Value: build.BranchParameter},
		{Name: "type", Value: build.TypeText},
		{Name: "defaultValue", Value: "master"},
		{Name: "description", Value: "The branch to build"},
		{Name: "deletion", Value: "false"},
		{Name: "defaults", Value: "true"},
	}}
	return wrap([]parameterAnswer{presentParameter(branch)}), nil
}

type (
	definitionAnswer struct {
		Name   string       `json:"name"`
		Title  string       `json:"title"`
		Params []ruleAnswer `json:"params"`
	}
	ruleAnswer struct {
		Name        string       `json:"name"`
		Title       string       `json:"title"`
		Type        string       `json:"type"`
		Required    bool         `json:"required"`
		Deletion    bool         `json:"deletion"`
		Defaults    bool         `json:"defaults"`
		Constraints []constraint `json:"constraints"`
	}
	constraint struct {
		Type    string `json:"type"`
		Value   string `json:"value"`
		Message string `json:"errormsg"`
	}
	parameterRules struct {
		Parameters []definitionAnswer `json:"build_parameters"`
	}
)

func atMost(n int) constraint {
	return constraint{"maxLen", number(n), fmt.Sprintf("At most %d characters are allowed.", n)}
}

// showParameterRules answers with the rules that tasks are checked against when they are stored.
func (a *API) showParameterRules(_ call, _ struct{}) (*envelope[parameterRules], error) {
	types := build.TypeText + "|" + build.TypeChoice + "|" + build.TypeIncrement
	rule := func(name, title string, required bool, constraints ...constraint) ruleAnswer {
		return ruleAnswer{Name: name, Title: title, Type: "text", Required: required, Constraints: append([]constraint{}, constraints...)}
	}
	return wrap(parameterRules{[]definitionAnswer{{Name: build.StringDefinition, Title: "Text parameter", Params: []ruleAnswer{
		rule("name", "Name", true, atMost(build.MaxParameterName), constraint{"minLen", "1", "At least 1 character is needed."},
			constraint{"regex", build.ParameterNamePattern, "Letters, digits and underscores are allowed."}),
		rule("type", "Type", false, constraint{"regex", "^(" + types + ")?$", "The types are " + types + "."}),
		rule("defaultValue", "Default value", false, atMost(a.Builds.MaxValue)),
		rule("description", "Description", false),
		rule("staticVar", "Can be chosen when a build is started", false),
		rule("sensitiveVar", "Private", false),
	}}}}), nil
}
