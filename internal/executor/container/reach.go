package container

import (
	"context"
	"maps"
	"net"
	"slices"

	"github.com/distribution/reference"

	"atelier/internal/dialer"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

// registries judges the registries that builds name, before the engine connects to them.
type registries struct {
	dialer *dialer.Dialer // nil when all of them may be used
	config string         // file of the operator's with registries and their credentials; empty for none
	named  []string       // by the operator in other places
}

// registriesOf returns the registries of images, each of which may be named more than once.
func registriesOf(images map[string]string) (list []string) {
	for _, address := range images {
		if named, err := reference.ParseNormalizedNamed(address); err == nil {
			list = append(list, reference.Domain(named))
		}
	}
	return list
}

// check returns nil for a registry that may be used: one that the operator names, or one where the dialer goes. A name is looked up
// once more by the engine, which knows no dialer.
func (r registries) check(ctx context.Context, registry string) error {
	if r.dialer == nil || registry == plan.DockerHub || slices.Contains(r.named, registry) {
		return nil
	}
	if r.config != "" {
		config, err := readRegistryConfig(r.config)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(slices.Collect(maps.Keys(config.Auths)), func(name string) bool { return registryOf(name) == registry }) {
			return nil
		}
	}
	host, _, err := net.SplitHostPort(registry)
	if err != nil {
		host = registry // without a port
	}
	err = r.dialer.Check(ctx, host)
	if refused := dialer.Refused(err); refused != nil {
		return fault.New(fault.Invalid, "the registry %s cannot be used: %v", registry, refused)
	}
	return err
}
