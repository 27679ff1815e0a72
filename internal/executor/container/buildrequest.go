package container

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"

	"atelier/internal/executor"
	"atelier/internal/fault"
)

// request sends a context to the engine and follows the build. The engine's client has no word for layers, without which Podman leaves
// an image of every step behind.
func (b *Builder) request(ctx context.Context, want executor.ImageBuild, content io.Reader, out io.Writer) error {
	query, err := b.query(want)
	if err != nil {
		return err
	}
	auth, err := allCredentials(b.config.RegistryConfig)
	if err != nil {
		return err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return b.engine.Dialer()(ctx) }}
	defer transport.CloseIdleConnections()
	asked, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	request, err := http.NewRequestWithContext(asked, http.MethodPost, "http://engine/v"+b.engine.ClientVersion()+"/build?"+query.Encode(), content)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-tar")
	request.Header.Set("X-Registry-Config", auth)
	over := make(chan struct{})
	var stopping sync.WaitGroup
	stopping.Go(func() { b.stopWith(ctx, want.Record, over, cancel) })
	defer stopping.Wait()
	defer close(over)
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		if why, ok := fault.Public(err); ok { // of who packs the workspace
			return fault.Wrap(err, fault.Invalid, "%s", why)
		}
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return refusal(answer)
	}
	return follow(answer.Body, out, buildOutput)
}

// stopWith ends the build when ctx ends, and returns when it is over. What runs is ended first: then Podman ends the build, and tells so.
func (b *Builder) stopWith(ctx context.Context, record string, over <-chan struct{}, hangUp func()) {
	select {
	case <-over:
		return
	case <-ctx.Done():
	}
	if b.podman {
		_ = b.end(context.WithoutCancel(ctx), record)
		select {
		case <-over:
			return
		case <-time.After(stopTime):
		}
	}
	hangUp()
	<-over
}

// query says how an image is to be built.
func (b *Builder) query(want executor.ImageBuild) (url.Values, error) {
	size, ok := b.classes[cmp.Or(want.Class, defaultClass)]
	if !ok {
		return nil, fmt.Errorf("there is no class %q", want.Class)
	}
	labels := map[string]string{labelRecord: want.Record}
	for name, value := range want.Labels {
		labels[name] = value
	}
	encoded, err := json.Marshal(labels)
	if err != nil {
		return nil, err
	}
	memory := strconv.FormatInt(size.memory, 10)
	query := url.Values{
		"version": {"1"}, "t": {b.temporary(want.Record)}, "dockerfile": {want.Spec.Dockerfile}, "labels": {string(encoded)},
		"rm": {"1"}, "forcerm": {"1"}, "networkmode": {cmp.Or(b.config.Network, "bridge")},
		"memory": {memory}, "memswap": {memory}, "cpuperiod": {"100000"}, "cpuquota": {strconv.Itoa(min(size.cpus, b.cpus) * 100000)},
	}
	if b.config.Pull == PullAlways {
		query.Set("pull", "1")
	}
	if b.podman {
		query.Set("layers", "0")
		query.Set("cgroupparent", b.group(want.Record))
	}
	return query, nil
}

// refusal is the error of a build that the engine did not begin.
func refusal(answer *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	var said struct{ Message, Cause string }
	if err == nil && json.Unmarshal(data, &said) == nil && said.Message != "" {
		return &jsonstream.Error{Code: answer.StatusCode, Message: said.Message}
	}
	return errors.Join(fmt.Errorf("the engine answers %s: %s", answer.Status, strings.TrimSpace(string(data))), err)
}

// allCredentials returns what the file has for all registries, in the form in which builds get it: a Dockerfile may begin with an image
// of each.
func allCredentials(path string) (string, error) {
	all := make(map[string]registry.AuthConfig)
	if path != "" {
		config, err := readRegistryConfig(path)
		if err != nil {
			return "", err
		}
		for name, entry := range config.Auths {
			auth, err := splitAuth(entry.Auth)
			if err != nil {
				return "", fmt.Errorf("%s: auths: %s: %w", path, name, err)
			}
			auth.IdentityToken, auth.ServerAddress = entry.IdentityToken, name
			all[name] = auth
		}
	}
	data, err := json.Marshal(all)
	return base64.URLEncoding.EncodeToString(data), err
}
