package store

import "atelier/internal/build"

// The stored form of a job's configuration. It is spelled out, and apart from the domain's and the wire's, so that neither
// can change what is in databases by accident. A field may be added; one that exists keeps its name and meaning for ever.
type (
	storedConfig struct {
		Name                 string            `json:"name"`
		Arch                 string            `json:"arch,omitempty"`
		Flavor               string            `json:"flavor,omitempty"`
		HostType             string            `json:"host_type,omitempty"`
		GroupID              string            `json:"group_id,omitempty"`
		Kind                 string            `json:"kind,omitempty"`
		EnvironmentType      string            `json:"environment_type,omitempty"`
		AutoUpdateSubmodules string            `json:"auto_update_submodules,omitempty"`
		BuildOnPush          *bool             `json:"build_on_push,omitempty"`
		Parameters           []storedParameter `json:"parameters,omitempty"`
		Sources              []storedSource    `json:"sources,omitempty"`
		Steps                []storedStep      `json:"steps,omitempty"`
		Triggers             []storedTrigger   `json:"triggers,omitempty"`
		Timeout              *storedTimeout    `json:"timeout,omitempty"`
	}
	storedParameter struct {
		Definition string           `json:"definition"`
		Properties []storedProperty `json:"properties"`
	}
	storedProperty struct {
		Name    string         `json:"name"`
		Value   string         `json:"value"`
		Sealed  bool           `json:"sealed,omitempty"`
		Choices []storedChoice `json:"choices,omitempty"`
	}
	storedChoice struct {
		Name        string `json:"name"`
		DisplayName string `json:"display_name,omitempty"`
		Disabled    string `json:"disabled,omitempty"`
	}
	storedSource struct {
		URL         string `json:"url"`
		Kind        string `json:"kind"`
		Branch      string `json:"branch,omitempty"`
		RefKind     string `json:"ref_kind,omitempty"`
		Depth       string `json:"depth,omitempty"`
		IsAutoBuild *bool  `json:"is_auto_build,omitempty"`
		LFS         *bool  `json:"lfs,omitempty"`
		RepoID      string `json:"repo_id,omitempty"`
		RepoName    string `json:"repo_name,omitempty"`
		GroupName   string `json:"group_name,omitempty"`
		WebURL      string `json:"web_url,omitempty"`
		EndpointID  string `json:"endpoint_id,omitempty"`
		Origin      string `json:"origin,omitempty"`
	}
	storedStep struct {
		ModuleID   string         `json:"module_id"`
		Name       string         `json:"name"`
		Version    string         `json:"version,omitempty"`
		Enable     *bool          `json:"enable,omitempty"`
		Properties map[string]any `json:"properties,omitempty"`
	}
	storedTrigger struct {
		Name       string            `json:"name"`
		Parameters []storedNameValue `json:"parameters,omitempty"`
	}
	storedNameValue struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	storedTimeout struct {
		Limit string `json:"limit"`
		Unit  string `json:"unit"`
	}
)

// each returns f of every element, and nil for an empty list.
func each[A, B any](in []A, f func(A) B) []B {
	if len(in) == 0 {
		return nil
	}
	out := make([]B, len(in))
	for i, a := range in {
		out[i] = f(a)
	}
	return out
}

func encodeConfig(c build.Config) string {
	return asJSON(storedConfig{
		Name: c.Name, Arch: c.Arch, Flavor: c.Flavor, HostType: c.HostType, GroupID: c.GroupID, Kind: string(c.Kind),
		EnvironmentType: c.EnvironmentType, AutoUpdateSubmodules: c.AutoUpdateSubmodules, BuildOnPush: c.BuildOnPush,
		Parameters: each(c.Parameters, func(p build.Parameter) storedParameter {
			return storedParameter{p.Definition, each(p.Properties, func(q build.Property) storedProperty {
				return storedProperty{q.Name, q.Value, q.Sealed, each(q.Choices, func(c build.Choice) storedChoice { return storedChoice(c) })}
			})}
		}),
		Sources: each(c.Sources, func(s build.Source) storedSource {
			return storedSource{
				URL: s.URL, Kind: s.Kind, Branch: s.Branch, RefKind: string(s.RefKind), Depth: s.Depth, IsAutoBuild: s.IsAutoBuild,
				LFS: s.LFS, RepoID: s.RepoID, RepoName: s.RepoName, GroupName: s.GroupName, WebURL: s.WebURL,
				EndpointID: s.EndpointID, Origin: s.Origin,
			}
		}),
		Steps: each(c.Steps, func(s build.ActionStep) storedStep { return storedStep(s) }),
		Triggers: each(c.Triggers, func(t build.TriggerConfig) storedTrigger {
			return storedTrigger{t.Name, each(t.Parameters, func(v build.NameValue) storedNameValue { return storedNameValue(v) })}
		}),
		Timeout: (*storedTimeout)(c.Timeout),
	})
}

func decodeConfig(text string) (build.Config, error) {
	var c storedConfig
	if err := fromJSON(text, &c); err != nil {
		return build.Config{}, err
	}
	return build.Config{
		Name: c.Name, Arch: c.Arch, Flavor: c.Flavor, HostType: c.HostType, GroupID: c.GroupID, Kind: build.ConfigKind(c.Kind),
		EnvironmentType: c.EnvironmentType, AutoUpdateSubmodules: c.AutoUpdateSubmodules, BuildOnPush: c.BuildOnPush,
		Parameters: each(c.Parameters, func(p storedParameter) build.Parameter {
			return build.Parameter{Definition: p.Definition, Properties: each(p.Properties, func(q storedProperty) build.Property {
				return build.Property{
					Name: q.Name, Value: q.Value, Sealed: q.Sealed,
					Choices: each(q.Choices, func(c storedChoice) build.Choice { return build.Choice(c) }),
				}
			})}
		}),
		Sources: each(c.Sources, func(s storedSource) build.Source {
			return build.Source{
				URL: s.URL, Kind: s.Kind, Branch: s.Branch, RefKind: build.RefKind(s.RefKind), Depth: s.Depth, IsAutoBuild: s.IsAutoBuild,
				LFS: s.LFS, RepoID: s.RepoID, RepoName: s.RepoName, GroupName: s.GroupName, WebURL: s.WebURL,
				EndpointID: s.EndpointID, Origin: s.Origin,
			}
		}),
		Steps: each(c.Steps, func(s storedStep) build.ActionStep { return build.ActionStep(s) }),
		Triggers: each(c.Triggers, func(t storedTrigger) build.TriggerConfig {
			return build.TriggerConfig{Name: t.Name, Parameters: each(t.Parameters, func(v storedNameValue) build.NameValue { return build.NameValue(v) })}
		}),
		Timeout: (*build.Timeout)(c.Timeout),
	}, nil
}
