package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"
)

// configFlag names the configuration file.
type configFlag string

// BeforeResolve is called by kong when the flag or its variable is given, before it looks for values of the other flags.
func (configFlag) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	path := string(ctx.FlagValue(trace.Flag).(configFlag))
	if path == "" {
		return nil
	}
	file, err := readConfig(path)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	ctx.AddResolver(file)
	return nil
}

// configFile holds the values of a configuration file: a map from names of settings, which are those of the flags without the
// dashes before them.
type configFile struct {
	path   string
	values map[string]yaml.Node
}

func readConfig(path string) (configFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return configFile{}, err
	}
	defer f.Close()
	const most = 1 << 20
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return configFile{}, err
	}
	c := configFile{path: path}
	var file yaml.Node
	if err := yaml.Unmarshal(data, &file); err != nil {
		return configFile{}, fmt.Errorf("%s: %w", path, err)
	}
	if len(file.Content) > 0 && file.Content[0].Kind != yaml.MappingNode {
		return configFile{}, fmt.Errorf("%s: must hold lines of the form name: value", path)
	}
	if err := file.Decode(&c.values); err != nil {
		return configFile{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Validate implements [kong.Resolver]: a key that is no setting is a mistake.
func (c configFile) Validate(app *kong.Application) error {
	known := settingNames(app.Node)
	for _, key := range slices.Sorted(maps.Keys(c.values)) {
		if !slices.Contains(known, key) {
			return fmt.Errorf("--config: %s: there is no setting %q; there are %s", c.path, key, strings.Join(known, ", "))
		}
	}
	return nil
}

// settingNames returns what a configuration file may hold: whatever has an environment variable, save the file itself.
func settingNames(node *kong.Node) []string {
	var names []string
	for _, f := range node.Flags {
		if len(f.Envs) > 0 && f.Name != "config" {
			names = append(names, f.Name)
		}
	}
	for _, child := range node.Children {
		names = append(names, settingNames(child)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Resolve implements [kong.Resolver]. It gives nothing where the environment does: that wins over the file.
func (c configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return nil, nil
		}
	}
	value, ok := c.values[flag.Name]
	switch {
	case !ok || value.Tag == "!!null":
		return nil, nil
	case value.Kind == yaml.ScalarNode:
		return value.Value, nil
	case value.Kind == yaml.SequenceNode && flag.IsSlice():
		parts := make([]string, len(value.Content))
		for i, part := range value.Content {
			parts[i] = part.Value
		}
		return kong.JoinEscaped(parts, flag.Tag.Sep), nil
	default:
		return nil, fmt.Errorf("must be a single value in %s, line %d", c.path, value.Line)
	}
}
