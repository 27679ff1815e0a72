// Package artifact is the release repository: files that builds upload, kept in a bucket, with an index in the database.
//
// The bucket holds the content of each upload under a key of its own, and is written before the index names it. So a reader sees
// the whole of one upload or of another, and one that failed is seen by nobody.
//
// Nothing is removed for want of a name in the index, which may be that of another installation, or a backup that is older than
// the bucket. What goes was written down before: by the index, that it is needed no more, or in the bucket, that an upload has
// begun. The mark of the latter is an empty blob beside the content, see sweep.go.
package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/gcerrors"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// Index knows which upload stands at an address. The store implements it.
type Index interface {
	// PublishArtifact makes an upload what its address stands for, and returns the id of the one that it replaces, if any. To do so
	// again changes nothing. The error is [build.ErrLeaseLost] when the fence of its build is old or the build does not run.
	// It is a fault.Limit when the upload passes a limit.
	PublishArtifact(ctx context.Context, a build.Artifact, fence int64, limits build.ArtifactLimits) (replaced string, err error)
	// ArtifactUsage returns how much the project and the build of an upload take, without what it will replace.
	ArtifactUsage(ctx context.Context, a build.Artifact) (build.ArtifactUsage, error)
	// Artifact returns what stands at an address. The error is a fault.NotFound when nothing does.
	Artifact(ctx context.Context, project build.ProjectID, version, name string) (build.Artifact, error)
	// ArtifactsOf returns what a build and its children have uploaded, in that order, also what others have replaced since.
	ArtifactsOf(ctx context.Context, id build.RecordID) ([]build.Artifact, error)
	// ArtifactIDs returns the keys of all content that is needed: the ids of the uploads that stand at an address, and of archives.
	ArtifactIDs(ctx context.Context) ([]string, error)
	// ContentNeeded reports whether ArtifactIDs has a key.
	ContentNeeded(ctx context.Context, key string) (bool, error)
	// RemovedContents returns the keys of the content that was needed and is not any more, since a moment or later.
	RemovedContents(ctx context.Context, since time.Time) ([]string, error)
	// ForgetRemovedContents forgets the keys of content that was removed before a moment.
	ForgetRemovedContents(ctx context.Context, before time.Time) error
}

// Store is the release repository. It may be used by many goroutines, and several servers may share bucket and index.
type Store struct {
	bucket *blob.Bucket
	index  Index
	now    func() time.Time
	config Config
	quota  quota

	sweeping sync.Mutex
	since    time.Time // from where on Sweep reads what the index says was removed
}

// Config is what a [Store] may be told.
type Config struct {
	Limits build.ArtifactLimits
	Room   func(bytes int64) error // is asked before so much is written; nil where there is always room
}

// New returns the repository in a bucket, which belongs to it alone.
func New(bucket *blob.Bucket, index Index, config Config) *Store {
	if config.Room == nil {
		config.Room = func(int64) error { return nil }
	}
	return &Store{bucket: bucket, index: index, now: time.Now, config: config}
}

// OpenDir returns a bucket in a directory, which is made when it is not there, and which nobody else may use. What uploads of an
// earlier life had written when it was killed is removed.
func OpenDir(dir string) (*blob.Bucket, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of artifacts: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open the directory of artifacts: %w", err)
	}
	there := make(map[string]bool, len(entries))
	for _, entry := range entries {
		there[entry.Name()] = true
	}
	for name := range there {
		key, marked := strings.CutSuffix(name, unfinishedSuffix)
		if !strings.HasSuffix(name, ".tmp") && (!marked || there[key]) { // as the library calls what is not whole
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return nil, fmt.Errorf("remove an upload that was cut off: %w", err)
		}
	}
	// Temporary files elsewhere could not be renamed to their place. The index has all that there is to say about a file.
	bucket, err := fileblob.OpenBucket(dir, &fileblob.Options{NoTempDir: true, Metadata: fileblob.MetadataDontWrite})
	if err != nil {
		return nil, fmt.Errorf("open the directory of artifacts: %w", err)
	}
	return bucket, nil
}

// Close closes the bucket.
func (s *Store) Close() error { return s.bucket.Close() }

// Write stores the content of an upload, and returns it with all that is known then. Nobody sees it before [Store.Publish]. The error
// is that of content, or of the bucket, or a fault.Limit: then nothing of it is left.
func (s *Store) Write(ctx context.Context, a build.Artifact, content io.Reader) (build.Artifact, error) {
	a.ID = build.NewArtifactID()
	used, err := s.index.ArtifactUsage(ctx, a)
	if err != nil {
		return build.Artifact{}, fmt.Errorf("ask how much artifacts take: %w", err)
	}
	counted := &counter{store: s, artifact: a, used: used, r: content}
	defer counted.done()
	if a.Size, a.SHA256, err = s.write(ctx, a.ID, counted); err != nil {
		return build.Artifact{}, err
	}
	a.CreatedAt = s.now().UTC().Truncate(time.Millisecond)
	return a, nil
}

// Keep stores content that no address stands for, such as an archive, and returns its key. If the index does not come to need
// it within a day, Sweep removes it.
func (s *Store) Keep(ctx context.Context, content io.Reader) (key string, err error) {
	key = build.NewArtifactID()
	_, _, err = s.write(ctx, key, roomy{s.config.Room, content})
	return key, err
}

// Kept opens what was kept under a key, and says how many bytes it has.
func (s *Store) Kept(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	r, err := s.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return nil, 0, s.gone(err, fmt.Sprintf("the archive %s", key))
	}
	return r, r.Size(), nil
}

// Publish makes an upload that was written what its address stands for; what stood there before is gone. After an error it may be
// called again. If it is not, Sweep removes the content, unless the upload was published in spite of the error. The error is
// [build.ErrLeaseLost] when the fence is old or the build is over: what a build has uploaded does not change after its end.
func (s *Store) Publish(ctx context.Context, a build.Artifact, fence int64) error {
	replaced, err := s.index.PublishArtifact(ctx, a, fence, s.config.Limits)
	if fault.Is(err, fault.Limit) {
		_ = errors.Join(s.remove(ctx, a.ID), s.finish(ctx, a.ID)) // or Sweep does it
		return err
	}
	if err != nil {
		return fmt.Errorf("publish an upload: %w", err)
	}
	_ = s.finish(ctx, a.ID) // or Sweep does it
	if replaced != "" {
		_ = s.bucket.Delete(ctx, replaced) // or Sweep does it
	}
	return nil
}

// write stores content under a key, and returns when it is there to stay.
func (s *Store) write(ctx context.Context, key string, content io.Reader) (size int64, sum string, err error) {
	if err := s.begin(ctx, key); err != nil {
		return 0, "", err
	}
	defer func() {
		if err != nil {
			_ = s.finish(context.WithoutCancel(ctx), key) // or Sweep does it
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var file *os.File // in a bucket that is a directory
	w, err := s.bucket.NewWriter(ctx, key, &blob.WriterOptions{
		ContentType: "application/octet-stream", // otherwise the first bytes are kept back to guess it
		BeforeWrite: func(as func(any) bool) error { as(&file); return nil },
	})
	if err != nil {
		return 0, "", fmt.Errorf("begin an upload: %w", err)
	}
	hash := sha256.New()
	size, err = copySparse(w, file, hash, untilDone{ctx, content})
	if err == nil && file != nil {
		err = file.Sync()
	}
	if err != nil {
		cancel() // so that closing leaves nothing
		_ = w.Close()
		return 0, "", err
	}
	if err := w.Close(); err != nil {
		return 0, "", fmt.Errorf("complete an upload: %w", err)
	}
	if file != nil {
		err = syncDir(filepath.Dir(file.Name()))
	}
	return size, hex.EncodeToString(hash.Sum(nil)), err
}

// syncDir brings the names in a directory to the disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// untilDone reads until a context ends.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(p)
}

// Of returns what a build has uploaded.
func (s *Store) Of(ctx context.Context, id build.RecordID) ([]build.Artifact, error) {
	return s.index.ArtifactsOf(ctx, id)
}

// gone returns the error of content that could not be opened. Content that is not there is said to be gone, since the index names it.
func (s *Store) gone(err error, what string) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		return fault.Wrap(err, fault.NotFound, "the content of %s is gone: it is not on the disk of this server, which has either lost it or not run the build", what)
	}
	return fmt.Errorf("open %s: %w", what, err)
}

// Open opens the file at an address. The error is a fault.NotFound when there is none, or when its content is gone.
func (s *Store) Open(ctx context.Context, project build.ProjectID, version, name string) (*File, error) {
	for seen := ""; ; {
		a, err := s.index.Artifact(ctx, project, version, name)
		if err != nil {
			return nil, err
		}
		r, err := s.bucket.NewReader(ctx, a.ID, nil)
		if err == nil {
			return newFile(a, r), nil
		}
		if gcerrors.Code(err) != gcerrors.NotFound || a.ID == seen {
			return nil, s.gone(err, fmt.Sprintf("the file %s/%s", version, name))
		}
		seen = a.ID // it was replaced just now, or its content is lost
	}
}
