package main

import (
	"cmp"
	"strings"

	"atelier/internal/executor/container"
	"atelier/internal/fault"
)

// containerFlags say where the steps of builds run.
type containerFlags struct {
	Executor         string   `help:"Where steps run: ${enum}. A container executor gives each step a container of its own." enum:"host,container" default:"host"`
	ContainerSocket  string   `help:"Socket of Docker or Podman (default: DOCKER_HOST, else /var/run/docker.sock, else /run/podman/podman.sock). Given by itself, docker steps work with the host executor too." placeholder:"PATH"`
	ContainerNetwork string   `help:"Network of the containers: bridge, none, host, or the name of one that was made before." default:"bridge"`
	Images           string   `help:"YAML file that says which image a step gets (default: one of public images)." placeholder:"FILE"`
	PullPolicy       string   `help:"When images are pulled: ${enum}." enum:"missing,always,never" default:"missing"`
	ImageRegistries  []string `help:"Registries that build_image steps push to, as REGION=ADDRESS; no such step works without." placeholder:"REGION=ADDRESS"`
	RegistryConfig   string   `help:"File with the registries' credentials, in the form of Docker's config.json." placeholder:"FILE"`
}

// config checks the flags and returns what they say; nil when there are no containers.
func (f containerFlags) config() (*container.Config, []error) {
	if f.Executor != "container" {
		return nil, nil
	}
	var errs []error
	images := container.DefaultCatalogue()
	if f.Images != "" {
		var err error
		if images, err = container.ReadCatalogue(f.Images); err != nil {
			errs = append(errs, fault.Field("--images", "%v", err))
		}
	}
	if f.RegistryConfig != "" {
		if err := container.CheckRegistryConfig(f.RegistryConfig); err != nil {
			errs = append(errs, fault.Field("--registry-config", "%v", err))
		}
	}
	return &container.Config{
		Socket: cmp.Or(f.ContainerSocket, container.UsualSocket()), Network: f.ContainerNetwork, Images: images,
		Pull: container.PullPolicy(f.PullPolicy), RegistryConfig: f.RegistryConfig,
	}, errs
}

// builder checks the flags and returns what they say of the building of images; nil when none are built.
func (f containerFlags) builder() (*container.BuilderConfig, []error) {
	if len(f.ImageRegistries) == 0 && f.ContainerSocket == "" && f.Executor != "container" {
		return nil, nil
	}
	var errs []error
	registries := make(map[string]string)
	for _, pair := range f.ImageRegistries {
		region, address, ok := strings.Cut(pair, "=")
		if !ok || region == "" {
			errs = append(errs, fault.Field("--image-registries", "must be REGION=ADDRESS such as cn-north-4=registry.example.org, found %q", pair))
		} else if err := container.CheckRegistry(address); err != nil {
			errs = append(errs, fault.Field("--image-registries", "%q is not the address of a registry: %v", address, err))
		}
		registries[region] = address
	}
	if f.Executor != "container" && f.RegistryConfig != "" { // otherwise it is checked with the executor
		if err := container.CheckRegistryConfig(f.RegistryConfig); err != nil {
			errs = append(errs, fault.Field("--registry-config", "%v", err))
		}
	}
	return &container.BuilderConfig{
		Registries: registries, Socket: cmp.Or(f.ContainerSocket, container.UsualSocket()), Network: f.ContainerNetwork,
		Pull: container.PullPolicy(f.PullPolicy), RegistryConfig: f.RegistryConfig,
	}, errs
}
