package container

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/client"

	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

// Docker implements [executor.Images].
func (i *images) Docker(ctx context.Context, files executor.Files, c plan.DockerCommand, out io.Writer) error {
	if _, err := fmt.Fprintf(out, "$ %s\n", c.Text); err != nil {
		return err
	}
	switch {
	case c.Build != nil:
		return i.dockerBuild(ctx, files, *c.Build, out)
	case c.Tag != nil:
		name, err := i.find(c.Tag.Image)
		if err == nil {
			i.names[c.Tag.Name.String()] = name
		}
		return err
	case c.Push != nil:
		name, err := i.find(c.Push)
		if err != nil {
			return err
		}
		return i.push(ctx, name, c.Push, out)
	case c.Pull != nil:
		return i.pull(ctx, c.Pull, out)
	case c.Login != nil:
		return i.login(ctx, *c.Login, out)
	case c.Save != nil:
		return i.save(ctx, files, *c.Save)
	default:
		delete(i.log, c.Logout)
		return nil
	}
}

func (i *images) dockerBuild(ctx context.Context, files executor.Files, spec plan.DockerBuild, out io.Writer) error {
	if spec.Quiet {
		out = io.Discard
	}
	_, err := i.build(ctx, files, spec, out)
	return err
}

// pull fetches an image, and gives it a private name. Its own name stays only where the engine knew it before: nobody else would ever remove it.
func (i *images) pull(ctx context.Context, image reference.Named, out io.Writer) error {
	if i.config.Pull == PullNever {
		return fault.New(fault.Invalid, "this service is set to pull no images")
	}
	if err := i.reach().check(ctx, reference.Domain(image)); err != nil {
		return err
	}
	auth, err := i.log.credentials(i.config.RegistryConfig, image)
	if err != nil {
		return err
	}
	leave, err := i.turn(ctx, image)
	if err != nil {
		return err
	}
	defer leave()
	_, unknown := i.engine.ImageInspect(ctx, image.String())
	pulling, err := i.engine.ImagePull(ctx, image.String(), client.ImagePullOptions{RegistryAuth: auth})
	if err == nil {
		defer pulling.Close()
		err = follow(pulling, out, buildOutput)
	} else {
		err = refused(err)
	}
	name := i.private()
	if err == nil {
		_, err = i.engine.ImageTag(ctx, client.ImageTagOptions{Source: image.String(), Target: name})
	}
	if err == nil && errdefs.IsNotFound(unknown) {
		_, err = i.engine.ImageRemove(ctx, image.String(), client.ImageRemoveOptions{})
	}
	if err != nil {
		return i.explain(ctx, "pull the image "+image.String(), err)
	}
	i.names[image.String()] = name
	return nil
}

// login has the engine try the credentials, and keeps them for the commands after it.
func (i *images) login(ctx context.Context, l plan.DockerLogin, out io.Writer) error {
	if err := i.reach().check(ctx, l.Registry); err != nil {
		return err
	}
	said := "Login succeeded."
	_, err := i.engine.RegistryLogin(ctx, client.RegistryLoginOptions{Username: l.User, Password: l.Password, ServerAddress: l.Registry})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errdefs.IsUnauthorized(err), err != nil && strings.Contains(err.Error(), "401 Unauthorized"): // so says Podman
		return fault.New(fault.Invalid, "the registry %s does not know the user with this password", l.Registry)
	case client.IsErrConnectionFailed(err):
		return i.explain(ctx, "log in to "+l.Registry, err)
	case err != nil: // Podman asks in its own way, without the settings that it pulls and pushes with
		said = fmt.Sprintf("The registry %s could not be asked (%s). It is used with this user and password as they are.", l.Registry, short(err.Error()))
	}
	i.log[l.Registry] = l
	_, err = fmt.Fprintln(out, said)
	return err
}

// save writes images to a file of the workspace, in the form that docker load reads.
func (i *images) save(ctx context.Context, files executor.Files, s plan.DockerSave) error {
	var private []string
	called := make(map[string][]string)
	for _, image := range s.Images {
		name, err := i.find(image)
		if err != nil {
			return err
		}
		if called[name] == nil {
			private = append(private, name)
		}
		called[name] = append(called[name], reference.FamiliarString(image))
	}
	saving, err := i.engine.ImageSave(ctx, private)
	if err != nil {
		return i.explain(ctx, "save the images", refused(err))
	}
	defer saving.Close()
	content, w := io.Pipe()
	renamed := make(chan struct{})
	go func() {
		defer close(renamed)
		w.CloseWithError(rename(saving, called, w))
	}()
	err = files.WriteFile(ctx, s.File, content)
	_ = content.Close()
	<-renamed
	return i.explain(ctx, "save the images", err)
}

// rename passes on an archive of images, in which they get the names that the build calls them by.
func rename(archive io.Reader, called map[string][]string, out io.Writer) error {
	from, to := tar.NewReader(archive), tar.NewWriter(out)
	for {
		header, err := from.Next()
		if errors.Is(err, io.EOF) {
			return to.Close()
		}
		if err != nil {
			return fmt.Errorf("read what the engine saves: %w", err)
		}
		var content io.Reader = from
		switch header.Name {
		case "repositories": // which no engine of the last ten years reads
			continue
		case "manifest.json", "index.json":
			data, err := io.ReadAll(io.LimitReader(from, maxIndex))
			if err != nil {
				return fmt.Errorf("read what the engine saves: %w", err)
			}
			data = withNames(data, called, header.Name == "manifest.json")
			header.Size, content = int64(len(data)), bytes.NewReader(data)
		}
		if err := to.WriteHeader(header); err != nil {
			return err
		}
		if _, err := io.Copy(to, content); err != nil {
			return err
		}
	}
}

// maxIndex is more than an archive says about its images.
const maxIndex = 16 << 20

// withNames puts names in the place of private ones. Where they stand in lists, there may be several.
func withNames(data []byte, called map[string][]string, lists bool) []byte {
	for private, names := range called {
		var all []byte
		for n, name := range names {
			if n > 0 && lists {
				all = append(all, ',')
			}
			if n == 0 || lists {
				all = fmt.Appendf(all, "%q", name)
			}
		}
		data = bytes.ReplaceAll(data, fmt.Appendf(nil, "%q", private), all)
	}
	return data
}
