package container

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/orphan"
	"atelier/internal/plan"
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

// Build builds an image from a directory of a workspace and pushes it. What the engine prints goes to out. When ctx ends, so does the build, and its cause is returned. Nothing of the image is left in the engine. Errors that who wrote
// the step can do something about are faults.
func (b *Builder) Build(ctx context.Context, files executor.Files, want executor.ImageBuild, out io.Writer) (err error) {
	targets, err := b.targets(want.Spec)
	if err != nil {
		return err
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		left := errors.Join(b.end(last, want.Record), b.remove(last, want.Record))
		if err == nil {
			err = lost(left)
		}
	}()
	if err := b.build(ctx, files, want, out); err != nil {
		return b.explain(ctx, "build the image", err)
	}
	for _, target := range targets {
		digest, err := b.push(ctx, want.Record, target, out)
		if err != nil {
			return b.explain(ctx, "push the image "+target.String(), err)
		}
		if _, err := fmt.Fprintf(out, "Pushed %s, digest %s\n", target, digest); err != nil {
			return err
		}
		if err := want.Pushed(target.String(), digest); err != nil {
			return err
		}
	}
	return nil
}

// explain returns an error in words for who wrote the step.
func (b *Builder) explain(ctx context.Context, what string, err error) error {
	why, said := errors.AsType[*jsonstream.Error](err)
	_, known := fault.Public(err)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case said:
		return fault.New(fault.Invalid, "the container engine could not %s: %s", what, short(why.Message))
	case known:
		return err
	default:
		return lost(fmt.Errorf("%s: %w", what, err))
	}
}

// targets returns where an image goes.
func (b *Builder) targets(spec plan.ImageBuild) (targets []reference.NamedTagged, err error) {
	regions := spec.Regions
	if len(regions) == 0 {
		regions = []string{b.config.Region}
	}
	for _, region := range regions {
		registry, ok := b.config.Registries[region]
		if !ok {
			return nil, fault.New(fault.Invalid, "no registry is set for the region %q; there are registries for %s (--image-registries)", region, known(b.config.Registries))
		}
		named, err := reference.ParseNamed(registry + "/" + spec.Organization + "/" + spec.Name)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%s/%s/%s cannot be the address of an image: %v", registry, spec.Organization, spec.Name, err)
		}
		target, err := reference.WithTag(named, spec.Tag)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%q cannot be the tag of an image: %v", spec.Tag, err)
		}
		targets = append(targets, target)
	}
	return targets, nil
}

// CheckRegistry reports what is wrong with the address of a registry, which may have a path.
func CheckRegistry(address string) error {
	named, err := reference.ParseNamed(address + "/organization/name")
	if err == nil && reference.Domain(named)+"/"+reference.Path(named) != address+"/organization/name" {
		err = errors.New("it must begin with a host")
	}
	return err
}

// temporary is the name of an image before it is pushed. By it the image is found in any case.
func (b *Builder) temporary(record string) string { return "localhost/" + b.name + ":" + record }

// group is the control group of what runs for the images of a build, or the beginning of all of this builder's.
func (b *Builder) group(record string) string { return "/" + b.name + "-" + record }

// build has the engine build an image.
func (b *Builder) build(ctx context.Context, files executor.Files, want executor.ImageBuild, out io.Writer) error {
	left, err := ignored(files, want.Spec)
	if err != nil {
		return err
	}
	content, w := io.Pipe()
	packed := make(chan struct{})
	go func() {
		defer close(packed)
		w.CloseWithError(files.Pack(ctx, want.Spec.Context, left, w))
	}()
	defer func() {
		_ = content.Close()
		<-packed // nothing reads the workspace any more
	}()
	return b.request(ctx, want, content, out)
}

// ignored returns what of the context is left out: what the file .dockerignore says, but neither that nor the Dockerfile, which the engine
// needs.
func ignored(files executor.Files, spec plan.ImageBuild) (func(name string) (this, below bool, err error), error) {
	dockerfile, err := files.ReadFile(path.Join(spec.Context, spec.Dockerfile))
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "there is no Dockerfile at %s in the workspace", path.Join(spec.Context, spec.Dockerfile))
	}
	_ = dockerfile.Close()
	f, err := files.ReadFile(path.Join(spec.Context, ".dockerignore"))
	if err != nil {
		return func(string) (bool, bool, error) { return false, false, nil }, nil
	}
	defer f.Close()
	patterns, err := ignorefile.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "the file .dockerignore cannot be read")
	}
	matcher, err := patternmatcher.New(append(patterns, "!.dockerignore", "!"+spec.Dockerfile))
	if err != nil {
		return nil, fault.New(fault.Invalid, "the file .dockerignore has a pattern that is none: %v", err)
	}
	exceptions := 0
	for _, p := range matcher.Patterns() {
		if p.Exclusion() {
			exceptions++
		}
	}
	return func(name string) (this, below bool, err error) {
		if this, err = matcher.MatchesOrParentMatches(name); err != nil {
			return false, false, fault.New(fault.Invalid, "the file .dockerignore cannot be applied to %q: %v", name, err)
		}
		// Only the two exceptions above are known: with others, something below may be wanted after all.
		return this, this && exceptions == 2 && !strings.HasPrefix(spec.Dockerfile, name+"/"), nil
	}, nil
}

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

var digestInStatus = regexp.MustCompile(`digest: (sha256:[0-9a-f]{64})`)

// push gives the image its name in a registry, pushes it, and returns its digest there.
func (b *Builder) push(ctx context.Context, record string, target reference.NamedTagged, out io.Writer) (digest string, err error) {
	if _, err := fmt.Fprintf(out, "Pushing %s.\n", target); err != nil {
		return "", err
	}
	auth, err := credentials(b.config.RegistryConfig, target)
	if err != nil {
		return "", err
	}
	turn := b.turns[crc32.ChecksumIEEE([]byte(target.String()))%uint32(len(b.turns))]
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if _, err := b.engine.ImageTag(ctx, client.ImageTagOptions{Source: b.temporary(record), Target: target.String()}); err != nil {
		return "", err
	}
	pushing, err := b.engine.ImagePush(ctx, target.String(), client.ImagePushOptions{RegistryAuth: auth})
	if err != nil {
		if client.IsErrConnectionFailed(err) {
			return "", err
		}
		return "", &jsonstream.Error{Message: err.Error()}
	}
	defer pushing.Close()
	err = follow(pushing, out, func(m jsonstream.Message) string {
		var aux struct{ Digest string }
		if m.Aux != nil && json.Unmarshal(*m.Aux, &aux) == nil && aux.Digest != "" {
			digest = aux.Digest
		} else if found := digestInStatus.FindStringSubmatch(m.Status); found != nil {
			digest = found[1]
		}
		return ""
	})
	if err == nil && digest == "" {
		err = errors.New("the engine does not say which digest the image has")
	}
	return digest, err
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

// remove removes the images of a build, or of all builds of this builder, with all their names. An image is found by its temporary name
// until nothing is left of it, and as it has a label with the build's id, it is nobody else's.
func (b *Builder) remove(ctx context.Context, record string) error {
	found, err := b.engine.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	var failed []error
	for _, image := range found.Items {
		for _, name := range image.RepoTags {
			if !strings.HasPrefix(name, b.temporary(record)) {
				continue
			}
			_, err := b.engine.ImageRemove(ctx, image.ID, client.ImageRemoveOptions{Force: true, PruneChildren: true})
			if err != nil && !errdefs.IsNotFound(err) {
				failed = append(failed, fmt.Errorf("remove the image %s: %w", name, err))
			}
			break
		}
	}
	return errors.Join(failed...)
}

// stopTime is how long an engine has to end a build of which nothing runs any more.
const stopTime = 5 * time.Second
