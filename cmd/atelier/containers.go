package main

import (
	"cmp"
	"os"

	"atelier/internal/executor/container"
	"atelier/internal/fault"
)

// containerFlags say where the steps of builds run.
type containerFlags struct {
	Executor         string `help:"Where steps run: ${enum}. A container executor gives each step a container of its own." enum:"host,container" default:"host"`
	ContainerSocket  string `help:"Socket of Docker or Podman (default: DOCKER_HOST, else /var/run/docker.sock, else /run/podman/podman.sock)." placeholder:"PATH"`
	ContainerNetwork string `help:"Network of the containers: bridge, none, host, or the name of one that was made before." default:"bridge"`
	Images           string `help:"YAML file that says which image a step gets (default: one of public images)." placeholder:"FILE"`
	PullPolicy       string `help:"When images are pulled: ${enum}." enum:"missing,always,never" default:"missing"`
	RegistryConfig   string `help:"File with the registries' credentials, in the form of Docker's config.json." placeholder:"FILE"`
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
		Socket: cmp.Or(f.ContainerSocket, usualSocket()), Network: f.ContainerNetwork, Images: images,
		Pull: container.PullPolicy(f.PullPolicy), RegistryConfig: f.RegistryConfig,
	}, errs
}

// usualSocket returns where Docker or Podman is expected.
func usualSocket() string {
	const docker, podman = "/var/run/docker.sock", "/run/podman/podman.sock"
	if address := os.Getenv("DOCKER_HOST"); address != "" {
		return address
	}
	if _, err := os.Stat(docker); err == nil {
		return docker
	}
	return podman
}
