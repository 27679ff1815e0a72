package container

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"

	"atelier/internal/dialer"
	"atelier/internal/executor"
	"atelier/internal/orphan"
)

// BuilderConfig is what a [Builder] is made of.
type BuilderConfig struct {
	Dir        string            // absolute; tells a builder from others that use the same engine
	Region     string            // whose registry gets the images of steps that name none
	Registries map[string]string // address of each region's registry, such as registry.example.org:5000/builds

	Socket         string // as in [Config], like the next three
	Network        string
	Pull           PullPolicy
	RegistryConfig string
	Dialer         *dialer.Dialer
}

// Builder builds images with a container engine and pushes them to registries. It may be used by many goroutines.
type Builder struct {
	config  BuilderConfig
	engine  *client.Client
	name    string // of what it makes in the engine
	cpus    int
	podman  bool
	classes map[string]class
	turns   [64]chan struct{} // of pushes, by a sum of the address: in the engine, an address is a name of one image at a time
}

// NewBuilder returns a builder. The engine has to answer.
func NewBuilder(ctx context.Context, config BuilderConfig) (*Builder, error) {
	e := &Executor{config: Config{Socket: config.Socket, Network: cmp.Or(config.Network, "bridge")}, classes: classes}
	err := e.connect(ctx)
	b := &Builder{
		config: config, engine: e.engine, cpus: e.cpus, classes: classes,
		name: fmt.Sprintf("atelier-%.8x", sha256.Sum256([]byte(config.Dir))),
	}
	for i := range b.turns {
		b.turns[i] = make(chan struct{}, 1)
	}
	if err == nil {
		b.podman, err = isPodman(ctx, e.engine)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the container engine at %s cannot be used: %w", config.Socket, err), b.Close())
	}
	return b, nil
}

func isPodman(ctx context.Context, engine *client.Client) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	version, err := engine.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return false, err
	}
	for _, c := range version.Components {
		if strings.HasPrefix(c.Name, "Podman") {
			return true, nil
		}
	}
	return false, nil
}

// reach judges the registries that builds name.
func (b *Builder) reach() registries {
	named := make(map[string]string)
	for region, address := range b.config.Registries {
		named[region] = address + "/name"
	}
	return registries{b.config.Dialer, b.config.RegistryConfig, registriesOf(named)}
}

// Close ends what the builder needs for itself.
func (b *Builder) Close() error {
	if b.engine == nil {
		return nil
	}
	return b.engine.Close()
}

// Recover ends and removes what an earlier life of this builder left behind. It is called once, before the first build.
func (b *Builder) Recover(ctx context.Context) error {
	if err := b.end(ctx, ""); err != nil {
		return fmt.Errorf("end the builds of images that were left behind: %w", err)
	}
	if err := b.remove(ctx, ""); err != nil {
		return fmt.Errorf("remove the images that were left behind: %w", err)
	}
	return nil
}

// Open returns the place of a build's images. It is empty.
func (b *Builder) Open(of executor.ImagesOf) executor.Images {
	return &images{
		Builder: b, ImagesOf: of, log: logins{}, names: make(map[string]string),
	}
}

// CheckRegistry reports what is wrong with the address of a registry, which may have a path.
func CheckRegistry(address string) error {
	named, err := reference.ParseNamed(address + "/organization/name")
	if err == nil && reference.Domain(named)+"/"+reference.Path(named) != address+"/organization/name" {
		err = errors.New("it must begin with a host")
	}
	return err
}

// private is the beginning of the names that a build's images have in the engine, or of all names that this builder gives. By them the
// images are found in any case.
func (b *Builder) private(record string) string { return "localhost/" + b.name + ":" + record }

// group is the control group of what runs for the images of a build, or the beginning of all of this builder's.
func (b *Builder) group(record string) string { return "/" + b.name + "-" + record }

// follow passes on what the engine prints, until that ends, and returns the error that it speaks of.
func follow(r io.Reader, out io.Writer, print func(m jsonstream.Message) string) error {
	messages := json.NewDecoder(bufio.NewReader(r))
	for {
		var m jsonstream.Message
		switch err := messages.Decode(&m); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read what the engine prints: %w", err)
		case m.Error != nil:
			return m.Error
		}
		if text := print(m); text != "" {
			if _, err := io.WriteString(out, text); err != nil {
				return fmt.Errorf("pass on the output: %w", err)
			}
		}
	}
}

// buildOutput is what is shown of a message of a build: all but the progress of downloads.
func buildOutput(m jsonstream.Message) string {
	if m.Status != "" && m.Progress == nil {
		return strings.TrimPrefix(m.ID+": ", ": ") + m.Status + "\n"
	}
	return m.Stream
}

// end ends what runs for the images of a build, or of all builds of this builder. Docker does so by itself when nobody listens any more;
// Podman goes on with the command that runs.
func (b *Builder) end(ctx context.Context, record string) error {
	if !b.podman {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, executor.Grace)
	defer cancel()
	group := b.group(record)
	return orphan.End(ctx, func(pid int) bool { return orphan.InGroup(pid, group) }, 0)
}

// remove removes the images of a build, or of all builds of this builder. Other builds may have come to use what was pushed meanwhile:
// what has another name, stays.
func (b *Builder) remove(ctx context.Context, record string) error {
	found, err := b.engine.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	var names []string
	for _, image := range found.Items {
		ours := func(name string) bool { return strings.HasPrefix(name, b.private(record)) }
		if !slices.ContainsFunc(image.RepoTags, ours) {
			continue
		}
		for _, name := range image.RepoTags {
			// After a kill, an image may still have the name under which it was pushed.
			if ours(name) || record == "" && image.Labels[labelRecord] != "" {
				names = append(names, name)
			}
		}
	}
	slices.SortFunc(names, func(a, b string) int { // the youngest first: an image may be the base of another
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(b, a))
	})
	var failed []error
	for _, name := range names {
		_, err := b.engine.ImageRemove(ctx, name, client.ImageRemoveOptions{PruneChildren: true})
		if err != nil && !errdefs.IsNotFound(err) {
			failed = append(failed, fmt.Errorf("remove the image %s: %w", name, err))
		}
	}
	return errors.Join(failed...)
}

// stopTime is how long an engine has to end a build of which nothing runs any more.
const stopTime = 5 * time.Second
