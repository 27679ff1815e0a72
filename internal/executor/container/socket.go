package container

import "os"

// UsualSocket returns where Docker or Podman is expected.
func UsualSocket() string {
	const docker, podman = "/var/run/docker.sock", "/run/podman/podman.sock"
	if address := os.Getenv("DOCKER_HOST"); address != "" {
		return address
	}
	if _, err := os.Stat(docker); err == nil {
		return docker
	}
	return podman
}
