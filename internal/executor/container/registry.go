package container

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"

	"atelier/internal/plan"
)

// registryConfig is the part of Docker's config.json that is understood. Programs that keep credentials are not asked.
type registryConfig struct {
	Auths map[string]struct {
		Auth          string `json:"auth"` // user:password in base64
		IdentityToken string `json:"identitytoken"`
	} `json:"auths"`
}

// CheckRegistryConfig reports what is wrong with a file of credentials.
func CheckRegistryConfig(path string) error {
	config, err := readRegistryConfig(path)
	if err != nil {
		return err
	}
	for name, entry := range config.Auths {
		if _, err := splitAuth(entry.Auth); err != nil {
			return fmt.Errorf("%s: auths: %s: %w", path, name, err)
		}
	}
	return nil
}

func readRegistryConfig(path string) (config registryConfig, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return config, fmt.Errorf("read the registries' credentials: %w", err)
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return config, fmt.Errorf("%s is not a Docker config.json: %w", path, err)
	}
	return config, nil
}

// credentials returns what the file has for the registry of an image, in the form of the API; nothing when there is nothing. The
// file is read each time, so that it can be changed.
func credentials(path string, image reference.Named) (string, error) {
	if path == "" {
		return "", nil
	}
	config, err := readRegistryConfig(path)
	if err != nil {
		return "", err
	}
	domain := reference.Domain(image)
	for name, entry := range config.Auths {
		if registryOf(name) != domain {
			continue
		}
		auth, err := splitAuth(entry.Auth)
		if err != nil {
			return "", fmt.Errorf("%s: auths: %s: %w", path, name, err)
		}
		auth.IdentityToken, auth.ServerAddress = entry.IdentityToken, name
		return authconfig.Encode(auth)
	}
	return "", nil
}

// registryOf returns the registry that a key of the file means: it may be written as an address.
func registryOf(key string) string {
	_, rest, ok := strings.Cut(key, "://")
	if !ok {
		rest = key
	}
	domain, _, _ := strings.Cut(rest, "/")
	if domain == "index.docker.io" || domain == "registry-1.docker.io" {
		return "docker.io"
	}
	return domain
}

func splitAuth(auth string) (registry.AuthConfig, error) {
	if auth == "" {
		return registry.AuthConfig{}, nil
	}
	text, err := base64.StdEncoding.DecodeString(auth)
	name, password, ok := strings.Cut(string(text), ":")
	if err != nil || !ok {
		return registry.AuthConfig{}, fmt.Errorf("auth is not USER:PASSWORD in base64")
	}
	return registry.AuthConfig{Username: name, Password: password}, nil
}

// logins are what builds say about registries themselves, by their hosts. It comes before what the service's file says.
type logins map[string]plan.DockerLogin

func (l logins) credentials(path string, image reference.Named) (string, error) {
	if own, ok := l[reference.Domain(image)]; ok {
		return authconfig.Encode(registry.AuthConfig{Username: own.User, Password: own.Password, ServerAddress: own.Registry})
	}
	return credentials(path, image)
}

// hubAddress is what engines call Docker Hub where all registries are listed.
const hubAddress = "https://index.docker.io/v1/"

// all returns what is known of all registries, in the form in which builds of images get it: a Dockerfile may begin with an image of each.
func (l logins) all(path string) (string, error) {
	all := make(map[string]registry.AuthConfig)
	if path != "" {
		config, err := readRegistryConfig(path)
		if err != nil {
			return "", err
		}
		for name, entry := range config.Auths {
			if _, ok := l[registryOf(name)]; ok {
				continue
			}
			auth, err := splitAuth(entry.Auth)
			if err != nil {
				return "", fmt.Errorf("%s: auths: %s: %w", path, name, err)
			}
			auth.IdentityToken, auth.ServerAddress = entry.IdentityToken, name
			all[name] = auth
		}
	}
	for host, own := range l {
		if host == plan.DockerHub {
			host = hubAddress
		}
		all[host] = registry.AuthConfig{Username: own.User, Password: own.Password, ServerAddress: host}
	}
	data, err := json.Marshal(all)
	return base64.URLEncoding.EncodeToString(data), err
}
