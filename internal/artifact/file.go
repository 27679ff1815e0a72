package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/url"
	"strings"

	"gocloud.dev/blob"

	"atelier/internal/build"
)

// File is an artifact that is open for reading. It stays whole when another upload takes its address.
type File struct {
	build.Artifact
	io.ReadSeeker
	blob *blob.Reader
}

func newFile(a build.Artifact, r *blob.Reader) *File {
	f := &File{Artifact: a, ReadSeeker: r, blob: r}
	// A file of this machine can be read after it was removed, but not opened again, as the library does after a seek.
	var inner io.Reader
	if r.As(&inner) {
		if seeker, ok := inner.(io.ReadSeeker); ok {
			f.ReadSeeker = seeker
		}
	}
	return f
}

// Route is where the API has the files: behind it come project id, version and name.
const Route = "/v1/artifacts/"

// Path returns the path of a file in the API, escaped.
func Path(a build.Artifact) string {
	segments := append([]string{string(a.ProjectID)}, strings.Split(a.Version+"/"+a.Name, "/")...)
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return Route + strings.Join(segments, "/")
}

// Close implements [io.Closer].
func (f *File) Close() error { return f.blob.Close() }

// ErrDamaged is the error at the end of content that is not what was uploaded.
var ErrDamaged = errors.New("the content of the artifact is not what was uploaded")

// Checked returns a reader of the whole content that ends with [ErrDamaged] when it is not what was uploaded.
func (f *File) Checked() io.Reader { return &checked{f: f, sum: sha256.New()} }

type checked struct {
	f   *File
	sum hash.Hash
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.f.Read(p)
	c.sum.Write(p[:n])
	if errors.Is(err, io.EOF) && hex.EncodeToString(c.sum.Sum(nil)) != c.f.SHA256 {
		err = ErrDamaged
	}
	return n, err
}
