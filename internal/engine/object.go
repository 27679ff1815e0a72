package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"

	"atelier/internal/build"
	"atelier/internal/executor"
	"atelier/internal/fault"
	"atelier/internal/glob"
	"atelier/internal/plan"
)

// uploadObjects puts the files that a pattern matches into a bucket. What is there is stored at once, since others can already see it.
func (r *run) uploadObjects(files executor.Files, u plan.ObjectUpload, out io.Writer) error {
	if r.Objects == nil {
		return fault.New(fault.Invalid, "there is no object store here; whoever runs the service sets --object-store and --object-store-credentials")
	}
	uploads, err := r.toStore(files, u)
	if err != nil {
		return err
	}
	headers := make(http.Header)
	for _, h := range u.Headers {
		headers.Set(h.Name, h.Value)
	}
	for _, file := range uploads {
		key := path.Join(u.Directory, file.name)
		digest, size, err := r.putObject(files, file.path, u.Bucket, key, headers)
		if err != nil {
			return err
		}
		reference := r.mask("obs://" + u.Bucket + "/" + strings.ToValidUTF8(key, "\ufffd"))
		if err := r.reportOutput(build.Output{Kind: build.ObjectOutput, Reference: reference, Digest: "sha256:" + digest}); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "Uploaded %s: %d bytes, SHA-256 %s, to %s\n", printable(file.path), size, digest, printable(reference)); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) putObject(files executor.Files, file, bucket, key string, headers http.Header) (digest string, size int64, err error) {
	content, err := files.ReadFile(file)
	if err != nil {
		return "", 0, err
	}
	defer content.Close()
	info, err := content.Stat()
	if err != nil {
		return "", 0, fmt.Errorf("find the size of a file of the workspace: %w", err)
	}
	sum := sha256.New()
	if err := r.Objects.Put(r.ctx, bucket, key, headers, io.TeeReader(content, sum), info.Size()); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(sum.Sum(nil)), info.Size(), nil
}

// toStore finds the files to upload, with their names below the directory of the bucket. Of several with one name the last stays.
func (r *run) toStore(files executor.Files, u plan.ObjectUpload) (uploads []upload, err error) {
	if !u.Tree {
		return r.toUpload(files, plan.Upload{Pattern: u.Pattern, Name: u.Name}, func(name string) string { return name })
	}
	pattern, err := glob.Parse(u.Pattern)
	if err != nil {
		return nil, err
	}
	err = files.Walk(r.ctx, func(file string) error {
		for name := file; name != "."; name = path.Dir(name) {
			if pattern.Match(name) {
				uploads = append(uploads, upload{path: file, name: file})
				break
			}
		}
		return nil
	})
	if err == nil && len(uploads) == 0 {
		err = fault.New(fault.Invalid, "no file of the workspace matches the pattern %s, and no directory that has files", u.Pattern)
	}
	return uploads, err
}
