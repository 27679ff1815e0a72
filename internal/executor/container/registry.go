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
