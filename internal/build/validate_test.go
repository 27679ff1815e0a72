package build

import (
	"slices"
	"strings"
	"testing"
	"time"

	"atelier/internal/fault"
)

// permissive lets every source and step pass but those that say no.
type permissive struct{}

func no(s string) error {
	if strings.Contains(s, "bad") {
		return fault.New(fault.Invalid, "is refused")
	}
	return nil
}

func (permissive) CheckURL(s string) error            { return no(s) }
func (permissive) CheckRef(s string) error            { return no(s) }
func (permissive) CheckCommit(s string) error         { return no(s) }
func (permissive) CheckStep(step ActionStep) error    { return no(step.ModuleID) }
func (permissive) CheckTrigger(t TriggerConfig) error { return no(t.Name) }

func TestValidate(t *testing.T) {
	good := func() Config {
		return Config{
			Name: "构建-app_1", Arch: "x86-64", Flavor: "4u8g", Kind: YAML, AutoUpdateSubmodules: "true",
			Sources:    []Source{{URL: "https://git.example.org/a.git", Kind: "codehub", Branch: "main", RefKind: ByTag, Depth: "5"}},
			Parameters: []Parameter{param("name=codeBranch", "type=normalparam")},
			Triggers:   []TriggerConfig{{Name: "hudson.triggers.TimerTrigger", Parameters: []NameValue{{"spec", "0 1 * * *"}}}},
			Timeout:    &Timeout{Limit: "4", Unit: "Hour"},
		}
	}
	choice := param("name=c", "type=customizeparam", "defaultValue=x")
	tests := []struct {
		name string
		edit func(*Config)
		want string // empty: no error
	}{
		{"good", func(*Config) {}, ""},
		{"no name", func(c *Config) { c.Name = "" }, "job_name: must be 1 to 115"},
		{"long name", func(c *Config) { c.Name = strings.Repeat("a", 116) }, "job_name: must be 1 to 115"},
		{"blank in the name", func(c *Config) { c.Name = "a b" }, `found "a b"`},
		{"architecture", func(c *Config) { c.Arch = "mips" }, `arch: must be x86-64 or arm, found "mips"`},
		{"class", func(c *Config) { c.Flavor = "3u7g" }, `flavor: must be DEFAULT or one of 2U8G, 4U8G, 8U16G, 16U32G, 16U64G, found "3u7g"`},
		{"default class", func(c *Config) { c.Flavor = "default" }, ""},
		{"kind", func(c *Config) { c.Kind = "JSON" }, `build_config_type: must be YAML or ACTION, found "JSON"`},
		{"a YAML task without a repository", func(c *Config) { c.Sources = nil }, "scms: is empty"},
		{"two repositories", func(c *Config) { c.Sources = append(c.Sources, c.Sources[0]) }, "scms: has 2 entries, one is allowed"},
		{"address", func(c *Config) { c.Sources[0].URL = "bad" }, "scms[0].url: is refused"},
		{"branch", func(c *Config) { c.Sources[0].Branch = "bad" }, "scms[0].branch: is refused"},
		{"scm type", func(c *Config) { c.Sources[0].Kind = "" }, "scms[0].scm_type: must be"},
		{"reference", func(c *Config) { c.Sources[0].RefKind = "head" }, `scms[0].build_type: must be branch, tag or commitId, found "head"`},
		{"depth", func(c *Config) { c.Sources[0].Depth = "0" }, `scms[0].depth: must be a whole number of 1 or more, found "0"`},
		{"submodules", func(c *Config) { c.AutoUpdateSubmodules = "yes" }, "auto_update_sub_module"},
		{"host type", func(c *Config) { c.HostType = strings.Repeat("x", 65) }, "host_type: has 65 characters, at most 64"},
		{"group", func(c *Config) { c.GroupID = "g" }, "group_id: must be 32"},
		{"too many steps", func(c *Config) { c.Steps = make([]ActionStep, 51) }, "steps: has 51 entries, at most 50"},
		{"step name", func(c *Config) { c.Steps = []ActionStep{{Name: "a\nb"}} }, "steps[0].name: must be 1 to 128"},
		{"step module", func(c *Config) { c.Steps = []ActionStep{{Name: "a", ModuleID: "bad"}} }, "steps[0]: is refused"},
		{"definition", func(c *Config) { c.Parameters[0].Definition = "x" }, "parameters[0].name: must be " + StringDefinition},
		{"parameter name", func(c *Config) { c.Parameters[0] = param("name=PATH") }, "is reserved"},
		{"system parameter", func(c *Config) { c.Parameters[0] = param("name=COMMIT_ID") }, "is set by the service"},
		{"parameter twice", func(c *Config) { c.Parameters = append(c.Parameters, c.Parameters[0]) }, `parameters[1].params.name: "codeBranch" is defined twice`},
		{"parameter type", func(c *Config) { c.Parameters[0] = param("name=a", "type=x") }, "parameters[0].params.type: must be normalparam"},
		{"default is no choice", func(c *Config) { c.Parameters[0] = choice }, `parameters[0].params.defaultValue: found "x", allowed are: `},
		{"long default", func(c *Config) { c.Parameters[0] = param("name=a", "defaultValue="+strings.Repeat("x", 8193)) }, "has 8193 characters"},
		{"private branch", func(c *Config) { c.Parameters[0] = param("name=codeBranch", "sensitiveVar=true") }, "codeBranch cannot be private"},
		{"private counter", func(c *Config) { c.Parameters[0] = param("name=a", "type=autoincrementparam", "sensitiveVar=true") }, "parameters[0].params.sensitiveVar: a cannot be private"},
		{"private default is no choice", func(c *Config) {
			private := choice
			private.Properties = append(slices.Clone(choice.Properties), Property{Name: "sensitiveVar", Value: "true"})
			c.Parameters[0] = private
		}, "parameters[0].params.defaultValue: is not one of the values"},
		{"short secret", func(c *Config) { c.Parameters[0] = param("name=a", "defaultValue=abc", "sensitiveVar=true") }, "cannot be hidden in a log"},
		{"trigger", func(c *Config) { c.Triggers[0].Name = "bad" }, "triggers[0]: is refused"},
		{"timeout", func(c *Config) { c.Timeout.Limit = "0" }, "timeout: limit: must be a whole number"},
		{"timeout unit", func(c *Config) { c.Timeout.Unit = "day" }, `timeout: unit: must be minute or hour, found "day"`},
		{"long timeout", func(c *Config) { c.Timeout.Limit = "25" }, "timeout: is 25h0m0s, at most 24h0m0s is allowed"},
	}
	r := rules{sources: permissive{}, steps: permissive{}, triggers: permissive{}, maxTimeout: 24 * time.Hour, maxSteps: MaxSteps, maxValue: MaxParameterValue}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := good()
			tt.edit(&c)
			err := r.validate("eeb08ff821434781ac86211e640c50b2", c)
			switch text, _ := fault.Public(err); {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(text, tt.want)):
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
	if err := r.validate("P1", good()); err == nil || !strings.Contains(err.Error(), "project_id: must be 32") {
		t.Errorf("project: %v", err)
	}
	bad := good()
	bad.Arch, bad.Flavor = "x", "x"
	if err := r.validate("eeb08ff821434781ac86211e640c50b2", bad); err == nil || strings.Count(err.Error(), "; ") != 1 {
		t.Errorf("all problems are told at once: %v", err)
	}
}
