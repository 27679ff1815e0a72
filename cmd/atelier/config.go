package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"
)

// configFile holds the values of a configuration file: a map from names of flags, without the dashes before them.
type configFile map[string]any

// readConfig is the loader that kong calls.
func readConfig(r io.Reader) (kong.Resolver, error) {
	data, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil {
		return nil, err
	}
	values := configFile{}
	if err := yaml.Unmarshal(data, &values); err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	return values, nil
}

// Validate implements [kong.Resolver]: a key that is no flag is a mistake.
func (c configFile) Validate(app *kong.Application) error {
	known := make(map[string]bool)
	var visit func(*kong.Node)
	visit = func(n *kong.Node) {
		for _, f := range n.Flags {
			known[f.Name] = true
		}
		for _, child := range n.Children {
			visit(child)
		}
	}
	visit(app.Node)
	for key := range c {
		if !known[key] || key == "help" || key == "config" || key == "version" {
			names := make([]string, 0, len(known))
			for name := range known {
				names = append(names, name)
			}
			slices.Sort(names)
			return fmt.Errorf("configuration file: there is no setting %q; known are: %s", key, strings.Join(names, ", "))
		}
	}
	return nil
}

// Resolve implements [kong.Resolver]. The environment wins over the file.
func (c configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if os.Getenv(name) != "" {
			return nil, nil
		}
	}
	switch v := c[flag.Name].(type) {
	case []any: // as on the command line, where a list is given with commas
		parts := make([]string, len(v))
		for i, part := range v {
			parts[i] = fmt.Sprint(part)
		}
		return strings.Join(parts, ","), nil
	case nil:
		return nil, nil
	case bool:
		return v, nil
	default:
		return fmt.Sprint(v), nil
	}
}
