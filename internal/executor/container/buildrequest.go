package container

import (
	"cmp"
	"context"
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

	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

// imageRequest is the wish for an image.
type imageRequest struct {
	executor.ImagesOf
	name   string // to find it by
	spec   plan.DockerBuild
	logins logins
}

// request sends a context to the engine and follows the build. The engine's client has no word for layers, without which Podman leaves
// an image of every step behind.
func (b *Builder) request(ctx context.Context, want imageRequest, content io.Reader, show func(jsonstream.Message) string, out io.Writer) error {
	query, err := b.query(want)
	if err != nil {
		return err
	}
	auth, err := want.logins.all(b.config.RegistryConfig)
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
	return follow(answer.Body, out, show)
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
func (b *Builder) query(want imageRequest) (url.Values, error) {
	size, ok := b.classes[cmp.Or(want.Class, defaultClass)]
	if !ok {
		return nil, fmt.Errorf("there is no class %q", want.Class)
	}
	labels := map[string]string{labelRecord: want.Record}
	for name, value := range want.spec.Labels {
		if name != labelRecord { // by which others are found
			labels[name] = value
		}
	}
	encoded, err := json.Marshal(labels)
	if err != nil {
		return nil, err
	}
	args, err := json.Marshal(want.spec.Args)
	if err != nil {
		return nil, err
	}
	memory := strconv.FormatInt(size.memory, 10)
	query := url.Values{
		"version": {"1"}, "t": {want.name}, "dockerfile": {want.spec.Dockerfile}, "labels": {string(encoded)}, "target": {want.spec.Target}, "platform": {want.spec.Platform},
		"rm": {"1"}, "forcerm": {"1"}, "networkmode": {cmp.Or(b.config.Network, "bridge")},
		"memory": {memory}, "memswap": {memory}, "cpuperiod": {"100000"}, "cpuquota": {strconv.Itoa(min(size.cpus, b.cpus) * 100000)},
	}
	if len(want.spec.Args) > 0 {
		query.Set("buildargs", string(args))
	}
	if want.spec.Pull {
		query.Set("pull", "1")
	}
	if want.spec.NoCache {
		query.Set("nocache", "1")
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
