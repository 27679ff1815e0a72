package engine

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"atelier/internal/artifact"
	"atelier/internal/build"
	"atelier/internal/crash"
	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/glob"
	"atelier/internal/plan"
)

// upload puts the files that a pattern matches into the release repository, all into one directory.
func (r *run) upload(files executor.Files, u plan.Upload, out io.Writer) error {
	uploads, err := r.toUpload(files, u, r.mask)
	if err != nil {
		return err
	}
	version := cmp.Or(u.Version, r.record.DailyNumber)
	for _, file := range uploads {
		a, err := r.uploadFile(files, file.path, build.Artifact{
			ProjectID: r.record.ProjectID, Version: r.mask(version), Name: file.name,
			Path: r.mask(strings.ToValidUTF8(file.path, "\ufffd")), RecordID: r.record.ID,
		})
		if err != nil {
			return err
		}
		if a.Version != version || a.Name != cmp.Or(u.Name, path.Base(file.path)) {
			r.note(r.log.Warn, "Version or name of the file hold the value of a private parameter, which is masked there.")
		}
		if _, err := fmt.Fprintf(out, "Uploaded %s: %d bytes, SHA-256 %s, to %s\n", printable(file.path), a.Size, a.SHA256, artifact.Path(a)); err != nil {
			return err
		}
	}
	return nil
}

// upload is a file of the workspace with its name where it goes.
type upload struct{ path, name string }

// toUpload finds the files to upload, whose names there are made of those that they have or shall have. Of several with one name the
// last is what would stay, so the others are left out.
func (r *run) toUpload(files executor.Files, u plan.Upload, nameOf func(string) string) ([]upload, error) {
	pattern, err := glob.Parse(u.Pattern)
	if err != nil {
		return nil, err
	}
	var uploads []upload
	at := make(map[string]int) // of each name
	err = files.Walk(r.ctx, func(file string) error {
		if !pattern.Match(file) {
			return nil
		}
		next := upload{path: file, name: nameOf(cmp.Or(u.Name, path.Base(file)))}
		if why := build.CheckArtifactName(next.name); why != "" {
			return fault.New(fault.Invalid, "the file %q cannot be uploaded under its name, which %s", file, why)
		}
		if i, taken := at[next.name]; taken {
			r.note(r.log.Warn, "%s is not uploaded: %s gets the same name, %s.",
				printable(uploads[i].path), printable(next.path), next.name)
			uploads[i] = next
			return nil
		}
		at[next.name] = len(uploads)
		uploads = append(uploads, next)
		return nil
	})
	if err == nil && len(uploads) == 0 {
		err = fault.New(fault.Invalid, "no file of the workspace matches the pattern %s", u.Pattern)
	}
	return uploads, err
}

func (r *run) uploadFile(files executor.Files, file string, a build.Artifact) (build.Artifact, error) {
	content, err := files.ReadFile(file)
	if err != nil {
		return build.Artifact{}, err
	}
	defer content.Close()
	if a, err = r.Artifacts.Write(r.ctx, a, content); err != nil {
		return build.Artifact{}, err
	}
	crash.At(crash.ArtifactWritten)
	if err := r.retry(r.ctx, func(ctx context.Context) error { return r.Artifacts.Publish(ctx, a, r.lease.Fence) }); err != nil {
		return build.Artifact{}, err
	}
	crash.At(crash.ArtifactPublished)
	return a, nil
}

// download puts a file of the release repository into the workspace.
func (r *run) download(files executor.Files, d plan.Download, out io.Writer) error {
	version, name, ok := addressIn(r.record.ProjectID, d.URL)
	if !ok {
		return fault.New(fault.Invalid, "the address is none of this project's release repository, which end in /%s/<version>/<name>; an sh step can download other files",
			r.record.ProjectID)
	}
	if err := r.checkArtifacts(); err != nil {
		return err
	}
	f, done, err := r.openArtifact(r.mask(version), r.mask(name))
	defer done()
	if err != nil {
		return err
	}
	defer f.Close()
	err = files.WriteFile(r.ctx, name, f.Checked())
	if errors.Is(err, artifact.ErrDamaged) {
		r.server.Error("download an artifact", "artifact", f.ID, "error", err)
		return fault.Wrap(err, fault.Invalid, "the file %s/%s is damaged in the release repository; upload it again", version, name)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "Downloaded %s: %d bytes, SHA-256 %s, from %s\n", name, f.Size, f.SHA256, artifact.Path(f.Artifact))
	return err
}

// openArtifact opens a file of the release repository. Its content may be read until done is called, which must be.
func (r *run) openArtifact(version, name string) (f *artifact.File, done func(), err error) {
	ctx, done := context.WithCancel(r.ctx)
	err = r.retry(r.ctx, func(try context.Context) (err error) {
		attempt, giveUp := context.WithCancel(ctx) // which the content outlives, unlike try
		stop := context.AfterFunc(try, giveUp)
		f, err = r.Artifacts.Open(attempt, r.record.ProjectID, version, name)
		if !stop() && err == nil {
			err = errors.Join(try.Err(), f.Close())
		}
		if err != nil {
			giveUp()
		}
		return err
	})
	return f, done, err
}

// fetch puts a file of the tenant's file management into the workspace.
func (r *run) fetch(files executor.Files, f plan.Fetch, out io.Writer) error {
	if r.Files == nil {
		return fault.New(fault.Invalid, "there is no file management here, only at a server")
	}
	content, err := r.file(f.Name)
	if err != nil {
		return err
	}
	if err := files.WriteFile(r.ctx, f.Name, bytes.NewReader(content)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "Downloaded %s: %d bytes, from file management\n", printable(f.Name), len(content))
	return err
}

// addressIn returns version and name of the file in a project's release repository that an address means. What stands before the
// project's id does not matter: build files were written for other hosts.
func addressIn(project build.ProjectID, address string) (version, name string, ok bool) {
	u, err := url.Parse(address)
	if err != nil {
		return "", "", false
	}
	segments := strings.Split(u.Path, "/")
	at := slices.Index(segments, string(project))
	if at < 0 || len(segments)-at < 3 {
		return "", "", false
	}
	version, name = strings.Join(segments[at+1:len(segments)-1], "/"), segments[len(segments)-1]
	return version, name, build.CheckArtifactVersion(version) == "" && build.CheckArtifactName(name) == ""
}

// printable returns the name of a file as it is, or in quotes when it would break the line.
func printable(name string) string {
	if strings.ContainsFunc(name, unicode.IsControl) {
		return strconv.Quote(name)
	}
	return name
}
