package plan

import (
	"fmt"
	"slices"
	"strings"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// The stages of a build file, in the order in which they run.
const (
	stagePrepare = "PRE_BUILD"
	stageBuild   = "BUILD"
)

// action is one thing that a step can do: a keyword of build files, and a module of ACTION jobs.
type action struct {
	keyword string
	module  string   // the number in the vendor's id; empty when no public material has it
	stages  []string // of a build file that it may stand in; BUILD when empty
	inputs  []input
	others  bool // takes inputs that are described nowhere
	nested  bool // no step: a map among the inputs of one
	plain   bool // properties of tasks are its inputs, under the names of [input.property]
	service bool // the service carries it out, so it needs no image

	caches     []string // the tools whose caches steps of it use
	cacheAsked bool     // they do so only when they say so
}

// input is one key below a step's inputs.
type input struct {
	name     string
	kind     inputKind
	required bool
	fields   []input // of a mapping
	idle     bool    // understood and checked, but without an effect in this version
	vendors  string  // name of the property in the vendor's tasks, where it is not the name in camelCase
}

type inputKind int

const (
	text     inputKind = iota
	commands           // of a shell; see rewriteCommand
	flag
	number // whole, 1 or more
	texts
	mapping
)

// ignoreFail is an input of every step.
const ignoreFail = "ignore_fail"

var (
	command      = input{name: "command", kind: commands, required: true}
	script       = []input{command, unitTest}
	cachedScript = []input{command, cacheSwitch, unitTest}
	gradle       = input{name: "gradle", required: true, idle: true}
	jdk          = input{name: "jdk", required: true, idle: true}
)

// actions is the registry: everything that the build files and ACTION jobs of the vendor's service know.
var actions = []action{
	{keyword: "checkout", service: true, stages: []string{stagePrepare}, inputs: []input{
		{name: "scm"},
		{name: "url"},
		{name: "branch"},
		{name: "commit"},
		{name: "tag"},
		{name: "path"},
		{name: "depth", kind: number},
		{name: "submodule", kind: flag},
		{name: "lfs", kind: flag},
		{name: "endpoint_id"},
	}},
	{keyword: "manifest_checkout", service: true, plain: true, stages: []string{stagePrepare}, inputs: []input{
		{name: "manifest_url", required: true},
		{name: "manifest_branch"},
		{name: "manifest_file"},
		{name: "path"},
		{name: "repo_url", idle: true}, // the service reads manifests by itself
		{name: "repo_branch", idle: true},
		{name: "lfs", kind: flag},
		{name: "username"},
		{name: "password"},
	}},
	{keyword: "sh", module: "20017", stages: []string{stagePrepare, stageBuild}, inputs: script},

	{keyword: "ant", inputs: script},
	{keyword: "cmake", module: "20005", inputs: script},
	{keyword: "gnu_arm", inputs: script},
	{keyword: "go", caches: []string{"go"}, inputs: cachedScript},
	{keyword: "grunt", caches: []string{"npm", "yarn"}, inputs: cachedScript},
	{keyword: "gulp", caches: []string{"npm", "yarn"}, inputs: cachedScript},
	{keyword: "harmonyos", inputs: script},
	{keyword: "mono", inputs: script},
	{keyword: "npm", module: "20014", caches: []string{"npm", "yarn"}, inputs: cachedScript},
	{keyword: "php", inputs: script},
	{keyword: "python", caches: []string{"pip"}, inputs: cachedScript},
	{keyword: "yarn", caches: []string{"npm", "yarn"}, inputs: cachedScript},

	{keyword: "ark", inputs: script, others: true},
	{keyword: "bazel", inputs: script, others: true},
	{keyword: "flutter", inputs: script, others: true},
	{keyword: "fortran", inputs: script, others: true},
	{keyword: "grails", inputs: script, others: true},
	{keyword: "ionic_android_app", inputs: script, others: true},
	{keyword: "quick_app", inputs: script, others: true},
	{keyword: "sbt", inputs: script, others: true},

	{keyword: "maven", module: "20043", caches: []string{"maven"}, cacheAsked: true, inputs: []input{
		command,
		mavenSettings,
		cacheSwitch,
		unitTest,
		{name: "check", kind: mapping, idle: true, fields: []input{{name: "project_dir"}, {name: "settings"}, {name: "param"}}},
	}},
	{keyword: "gradle", caches: []string{"gradle"}, inputs: []input{command, cacheSwitch, unitTest, gradle, jdk}},
	{keyword: "android", caches: []string{"gradle"}, inputs: []input{command, cacheSwitch, unitTest, gradle, jdk, {name: "ndk", required: true, idle: true}}},
	{keyword: "android_sign", plain: true, inputs: []input{
		{name: "file_path", required: true},
		{name: "keystore_file", required: true},
		{name: "keystore_password"},
		{name: "alias", required: true},
		{name: "key_password"},
		{name: "apksigner_commond", kind: commands, required: true}, // spelled so by the vendor
	}},
	{keyword: "swr", module: "20028", inputs: script},
	{keyword: "build_image", service: true, module: "20004", plain: true, inputs: []input{
		{name: "organization", required: true},
		{name: "image_name"},
		{name: "image_tag"},
		{name: "dockerfile_path"},
		{name: "regions", kind: texts},
		{name: "context_path"},
		{name: "set_meta_data", kind: flag},
	}},
	{keyword: "docker", service: true, module: "20035", inputs: []input{command}},
	{keyword: "upload_artifact", service: true, module: "20018", inputs: []input{{name: "path", required: true}, {name: "version"}, {name: "name"}}},
	{keyword: "download_artifact", service: true, inputs: []input{{name: "url", required: true}}},
	{keyword: "download_file", service: true, module: "20061", inputs: []input{{name: "name", required: true}}},
	{keyword: "upload_obs", service: true, module: "20057", plain: true, inputs: []input{
		{name: "artifact_path", vendors: "artifactSourcePath"},
		{name: "bucket_name", required: true, vendors: "backetName"}, // spelled so by the vendor
		{name: "obs_directory", vendors: "objectKey"},
		{name: "artifact_dest_name"},
		{name: "upload_directory", kind: flag},
		{name: "headers", kind: mapping, vendors: "obsHeaders"},
	}},
}

// input returns the description of an input; false when the action has none of that name.
func (a action) input(name string) (input, bool) {
	if name == ignoreFail && !a.nested {
		return input{name: ignoreFail, kind: flag}, true
	}
	for _, in := range a.inputs {
		if in.name == name {
			return in, true
		}
	}
	return input{name: name}, a.others
}

// inputNames returns the names of all inputs.
func (a action) inputNames() []string {
	var names []string
	if !a.nested {
		names = append(names, ignoreFail)
	}
	for _, in := range a.inputs {
		names = append(names, in.name)
	}
	return names
}

// actionOf returns the action of a keyword.
func actionOf(keyword string) (action, bool) {
	i := slices.IndexFunc(actions, func(a action) bool { return a.keyword == keyword })
	if i < 0 {
		return action{}, false
	}
	return actions[i], true
}

// keywords returns those of all actions.
func keywords() []string {
	words := make([]string, len(actions))
	for i, a := range actions {
		words[i] = a.keyword
	}
	return words
}

// Steps knows which steps an ACTION job may have. It implements build.Steps.
type Steps struct{ Modules Modules }

// CheckStep returns a fault.Invalid error when no action has the step's module id, or a property has the wrong type.
func (s Steps) CheckStep(step build.ActionStep) error {
	act, ok := s.Modules.action(step.ModuleID)
	if !ok || !slices.Contains(taskKeywords(), act.keyword) {
		return fault.Field("module_id", "found %s; known are the vendor's published ids, and local.codeci_action_<keyword>.action with one of %s",
			shown(step.ModuleID), strings.Join(slices.Sorted(slices.Values(taskKeywords())), ", "))
	}
	texts := []string{"command", "image"}
	switch act.keyword {
	case "upload_artifact":
		texts = append(texts, "file", "name", "buildVersion", "customUploadPath")
	case "download_artifact":
		texts = append(texts, "url")
	case "download_file":
		texts = append(texts, "name")
	default:
		if act.plain {
			return checkPlain(act, step)
		}
		if step.Properties["deal"] != nil {
			texts = append(texts, "deal", "file", "coverageReportPath")
		}
	}
	if act.caches != nil {
		texts = append(texts, cacheOption)
	}
	for _, name := range texts {
		if _, _, err := textProperty(step, name); err != nil {
			return err
		}
	}
	return nil
}

// checkPlain checks the types of a step's properties that are inputs.
func checkPlain(act action, step build.ActionStep) (err error) {
	first := func(key, message string) {
		if err == nil {
			err = fault.New(fault.Invalid, "%s", strings.TrimPrefix(strings.TrimPrefix(key+": "+message, ": "), "."))
		}
	}
	if _, _, err := textProperty(step, "image"); err != nil {
		return err
	}
	(&scope{}).settings(act, step, first)
	return err
}

// textProperty returns a property that is a text, and whether it is there.
func textProperty(step build.ActionStep, name string) (string, bool, error) {
	value, ok := step.Properties[name]
	if !ok || value == nil {
		return "", false, nil
	}
	s, ok := value.(string)
	if !ok {
		return "", false, fault.Field("properties."+name, "must be a text, found %s", shown(fmt.Sprint(value)))
	}
	return s, true, nil
}
