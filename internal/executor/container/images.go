package container

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/client"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

// images is the place of one build's images. In the engine they have private names; what the build calls them is known here alone, so
// that no build gets an image of another's.
type images struct {
	*Builder
	executor.ImagesOf
	log   logins
	count int               // of private names
	names map[string]string // the private name of each name that the build knows, as it is in full
}

// Close implements [executor.Images]. It waits for an engine that is being started again.
func (i *images) Close(ctx context.Context) error {
	if i.count == 0 {
		return nil // the engine was given nothing
	}
	for {
		err := errors.Join(i.end(ctx, i.Record), i.remove(ctx, i.Record))
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond): // that it answers again is no event
		}
	}
}

// Build implements [executor.Images].
func (i *images) Build(ctx context.Context, files executor.Files, spec plan.ImageBuild, labels map[string]string, out io.Writer) error {
	targets, err := i.targets(spec)
	if err != nil {
		return err
	}
	name, err := i.build(ctx, files, plan.DockerBuild{Context: spec.Context, Dockerfile: spec.Dockerfile, Names: targets, Labels: labels}, out)
	if err != nil {
		return err
	}
	for _, target := range targets {
		if err := i.push(ctx, name, target, out); err != nil {
			return err
		}
	}
	return nil
}

// targets returns where an image goes.
func (b *Builder) targets(spec plan.ImageBuild) (targets []reference.NamedTagged, err error) {
	regions := spec.Regions
	if len(regions) == 0 {
		regions = []string{b.config.Region}
	}
	if len(b.config.Registries) == 0 {
		return nil, fault.New(fault.Invalid, "this service has no registry for images; whoever runs it sets --image-registries")
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

// private returns a name for another image of the build.
func (i *images) private() string {
	i.count++
	return fmt.Sprintf("%s-%d", i.Builder.private(i.Record), i.count)
}

// build has the engine build an image, and returns its private name.
func (i *images) build(ctx context.Context, files executor.Files, spec plan.DockerBuild, out io.Writer) (name string, err error) {
	name = i.private()
	text, changed, err := i.dockerfile(ctx, files, spec)
	if err != nil {
		return "", err
	}
	left, err := ignored(files, spec)
	if err != nil {
		return "", err
	}
	spec.Pull = (spec.Pull || i.config.Pull == PullAlways) && !changed // no registry has an image of the build's own
	content, w := io.Pipe()
	packed := make(chan struct{})
	go func() {
		defer close(packed)
		w.CloseWithError(pack(ctx, files, spec, text, left, w))
	}()
	defer func() {
		_ = content.Close()
		<-packed // nothing reads the workspace any more
	}()
	err = i.request(ctx, imageRequest{i.ImagesOf, name, spec, i.log}, content, func(m jsonstream.Message) string {
		return i.public(name, spec.Names).Replace(buildOutput(m))
	}, out)
	if err != nil {
		return "", i.explain(ctx, "build the image", err)
	}
	for _, called := range spec.Names {
		i.names[called.String()] = name
	}
	return name, nil
}

// public puts names that the build knows in the place of private ones. One image is not known yet by the names that it will have.
func (i *images) public(name string, names []reference.NamedTagged) *strings.Replacer {
	known := map[string]string{name: "the image"}
	if len(names) > 0 {
		known[name] = reference.FamiliarString(names[0])
	}
	for _, called := range slices.Sorted(maps.Keys(i.names)) {
		known[i.names[called]] = familiar(called)
	}
	var pairs []string
	for _, private := range slices.Backward(slices.Sorted(maps.Keys(known))) { // of two with one beginning, the longer first
		pairs = append(pairs, private, known[private])
	}
	return strings.NewReplacer(pairs...)
}

// familiar is the name of an image as people write it.
func familiar(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, "docker.io/library/"), "docker.io/")
}

// pack writes the context of an image: what of a directory is not left out, and a Dockerfile.
func pack(ctx context.Context, files executor.Files, spec plan.DockerBuild, dockerfile []byte, leaveOut func(string) (this, below bool, err error), w io.Writer) error {
	archive := tar.NewWriter(w)
	header := tar.Header{Name: spec.Dockerfile, Mode: 0o644, Size: int64(len(dockerfile)), Typeflag: tar.TypeReg, Format: tar.FormatPAX}
	if err := archive.WriteHeader(&header); err != nil {
		return err
	}
	if _, err := archive.Write(dockerfile); err != nil {
		return err
	}
	if err := archive.Flush(); err != nil { // the end is written with the directory
		return err
	}
	return files.Pack(ctx, spec.Context, func(name string) (this, below bool, err error) {
		this, below, err = leaveOut(name)
		return this || name == spec.Dockerfile, below, err
	}, w)
}

// ignored returns what of the context is left out: what the file .dockerignore says, but neither that nor the Dockerfile, which the engine
// needs.
func ignored(files executor.Files, spec plan.DockerBuild) (func(name string) (this, below bool, err error), error) {
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

// explain returns an error in words for who wrote the step.
func (b *Builder) explain(ctx context.Context, what string, err error) error {
	why, said := errors.AsType[*jsonstream.Error](err)
	_, known := fault.Public(err)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case said:
		return fault.New(fault.Invalid, "the container engine could not %s: %s", what, short(why.Message))
	case known:
		return err
	case brokenOff(err):
		return fault.Wrap(err, fault.Unavailable, "the container engine did not answer, or broke off, when it was to %s", what)
	default:
		return lost(fmt.Errorf("%s: %w", what, err))
	}
}

// brokenOff reports whether an error is that of a connection.
func brokenOff(err error) bool {
	_, network := errors.AsType[*net.OpError](err)
	return network || client.IsErrConnectionFailed(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// refused is the error of something that the engine did not begin.
func refused(err error) error {
	if err == nil || client.IsErrConnectionFailed(err) {
		return err
	}
	return &jsonstream.Error{Message: err.Error()}
}

// turn waits until no other build gives an image that name.
func (b *Builder) turn(ctx context.Context, name reference.Named) (leave func(), err error) {
	turn := b.turns[crc32.ChecksumIEEE([]byte(name.String()))%uint32(len(b.turns))]
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// push pushes an image and reports it. What was pushed is reported at once, since others can already see it.
func (i *images) push(ctx context.Context, name string, target reference.NamedTagged, out io.Writer) error {
	if err := i.reach().check(ctx, reference.Domain(target)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "Pushing %s.\n", target); err != nil {
		return err
	}
	auth, err := i.log.credentials(i.config.RegistryConfig, target)
	if err != nil {
		return err
	}
	leave, err := i.turn(ctx, target)
	if err != nil {
		return err
	}
	digest, err := i.pushAs(ctx, name, target, auth)
	leave()
	if err != nil {
		return i.explain(ctx, "push the image "+target.String(), err)
	}
	if _, err := fmt.Fprintf(out, "Pushed %s, digest %s\n", target, digest); err != nil {
		return err
	}
	return i.Pushed(target.String(), digest)
}

var digestInStatus = regexp.MustCompile(`digest: (sha256:[0-9a-f]{64})`)

// pushAs gives an image its name in a registry, for as long as it takes to push it, and returns its digest there.
func (i *images) pushAs(ctx context.Context, name string, target reference.NamedTagged, auth string) (digest string, err error) {
	if _, err := i.engine.ImageTag(ctx, client.ImageTagOptions{Source: name, Target: target.String()}); err != nil {
		return "", err
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		if _, gone := i.engine.ImageRemove(last, target.String(), client.ImageRemoveOptions{}); err == nil {
			err = gone
		}
	}()
	pushing, err := i.engine.ImagePush(ctx, target.String(), client.ImagePushOptions{RegistryAuth: auth})
	if err != nil {
		return "", refused(err)
	}
	defer pushing.Close()
	err = follow(pushing, io.Discard, func(m jsonstream.Message) string {
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

// find returns the private name of an image that the build knows by another.
func (i *images) find(image reference.Named) (string, error) {
	if name, ok := i.names[image.String()]; ok {
		return name, nil
	}
	all := make(map[string]bool)
	for name := range i.names {
		all[familiar(name)] = true
	}
	if len(all) == 0 {
		return "", fault.New(fault.Invalid, "there is no image %s, since this build has made and pulled none", reference.FamiliarString(image))
	}
	return "", fault.New(fault.Invalid, "there is no image %s; this build has %s", reference.FamiliarString(image), known(all))
}
