package artifact_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/uuid"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
	"golang.org/x/sys/unix"

	"atelier/internal/artifact"
	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/store"
)

const project build.ProjectID = "p1"

// bundle is a repository with a build that uploads.
type bundle struct {
	*artifact.Store
	bucket *blob.Bucket
	index  *store.Store
	record build.RecordID
	fence  int64
}

// each runs a test with a bucket in a directory, and with one whose blobs cannot be read once they are gone, as on a server.
func each(t *testing.T, test func(t *testing.T, b *bundle)) {
	for name, open := range map[string]func() (*blob.Bucket, error){
		"directory": func() (*blob.Bucket, error) { return artifact.OpenDir(filepath.Join(t.TempDir(), "artifacts")) },
		"memory":    func() (*blob.Bucket, error) { return memblob.OpenBucket(nil), nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bucket, err := open()
			if err != nil {
				t.Fatal(err)
			}
			test(t, newBundle(t, bucket))
		})
	}
}

func newBundle(t *testing.T, bucket *blob.Bucket) *bundle {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "atelier.db"))
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{Store: artifact.New(bucket, db, artifact.Config{}), bucket: bucket, index: db, record: build.RecordID(uuid.NewString())}
	t.Cleanup(func() {
		if err := errors.Join(b.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := db.CreateJob(t.Context(), build.Job{ID: "j1", BuildProjectID: "b1", ProjectID: project, Config: build.Config{Name: "app"}}); err != nil {
		t.Fatal(err)
	}
	_, err = db.StartBuild(t.Context(), "j1", "20220909", func(job *build.Job, n int) (build.Record, error) {
		return build.Record{ID: b.record, JobID: job.ID, Number: job.LastNumber, State: build.Queued}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	lease, ok, err := db.Lease(t.Context(), build.Claim{Offer: build.Offer{Owner: "e1"}, Now: time.Now(), Until: time.Now().Add(time.Hour)})
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := db.Report(t.Context(), b.record, lease.Fence, build.Progress{Begin: &build.Begin{At: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	b.fence = lease.Fence
	return b
}

func (b *bundle) upload(ctx context.Context, name string, content io.Reader) (build.Artifact, error) {
	a, err := b.Write(ctx, build.Artifact{ProjectID: project, Version: "1.0", Name: name, Path: "out/" + name, RecordID: b.record}, content)
	if err != nil {
		return build.Artifact{}, err
	}
	return a, b.Publish(ctx, a, b.fence)
}

func (b *bundle) must(t *testing.T, name, content string) build.Artifact {
	t.Helper()
	a, err := b.upload(t.Context(), name, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (b *bundle) open(t *testing.T, name string) *artifact.File {
	t.Helper()
	f, err := b.Open(t.Context(), project, "1.0", name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// keys returns what is in the bucket, with everything that lies in its directory.
func (b *bundle) keys(t *testing.T) []string {
	t.Helper()
	var keys []string
	for all := b.bucket.List(nil); ; {
		object, err := all.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return keys
		}
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, object.Key)
	}
}

func TestUpload(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		for _, content := range []string{"first", "", "<html>" + strings.Repeat("x", 3<<20)} {
			a := b.must(t, "app", content)
			sum := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
			if a.ID == "" || a.Size != int64(len(content)) || a.SHA256 != sum || a.CreatedAt.IsZero() || a.Path != "out/app" {
				t.Errorf("%+v", a)
			}
			f := b.open(t, "app")
			got, err := io.ReadAll(f.Checked())
			if err != nil || string(got) != content || f.Artifact != a {
				t.Errorf("%d bytes of %d, %v, %+v", len(got), len(content), err, f.Artifact)
			}
			if keys := b.keys(t); !slices.Equal(keys, []string{a.ID}) {
				t.Errorf("in the bucket are %v, want only %s", keys, a.ID)
			}
			if of, err := b.Of(t.Context(), b.record); err != nil || !slices.Equal(of, []build.Artifact{a}) {
				t.Errorf("of the build are %v, %v", of, err)
			}
		}
		if _, err := b.Open(t.Context(), project, "1.0", "other"); !fault.Is(err, fault.NotFound) {
			t.Error(err)
		}
	})
}

func TestFailedUpload(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		old := b.must(t, "app", "old")
		sorry := errors.New("sorry")
		half := io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)), iotest.ErrReader(sorry))
		if _, err := b.upload(t.Context(), "app", half); !errors.Is(err, sorry) {
			t.Error(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		endless := readerFunc(func(p []byte) (int, error) {
			cancel(sorry) // while it goes on
			return len(p), nil
		})
		if _, err := b.upload(ctx, "app", endless); !errors.Is(err, sorry) {
			t.Error(err)
		}
		if keys := b.keys(t); !slices.Equal(keys, []string{old.ID}) {
			t.Errorf("in the bucket are %v, want only %s", keys, old.ID)
		}
		if got, err := io.ReadAll(b.open(t, "app").Checked()); string(got) != "old" || err != nil {
			t.Error(string(got), err)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestPublish(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		old := b.must(t, "app", "old")
		a := old
		a, err := b.Write(t.Context(), a, strings.NewReader("new"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(b.open(t, "app")); string(got) != "old" || err != nil {
			t.Errorf("before it was published there is %q, %v", got, err)
		}
		if err := b.Publish(t.Context(), a, b.fence-1); !errors.Is(err, build.ErrLeaseLost) {
			t.Errorf("with an old fence: %v", err)
		}
		for range 2 {
			if err := b.Publish(t.Context(), a, b.fence); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(b.open(t, "app")); string(got) != "new" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		}
	})
}

// TestReadWhileReplaced: a reader has the whole of one upload, however many come meanwhile.
func TestReadWhileReplaced(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		content := func(i int) string { return strings.Repeat(fmt.Sprintf("%08d", i), 64<<10) }
		b.must(t, "app", content(0))
		done := make(chan struct{})
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					f, err := b.Open(t.Context(), project, "1.0", "app")
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := io.Copy(io.Discard, f.Checked()); err != nil {
						t.Error(err)
					}
					_ = f.Close()
				}
			})
		}
		for i := range 30 {
			b.must(t, "app", content(i))
		}
		close(done)
		all.Wait()
	})
}

// TestSeekWhileReplaced: on this machine, also parts can be read of what was replaced.
func TestSeekWhileReplaced(t *testing.T) {
	t.Parallel()
	bucket, err := artifact.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := newBundle(t, bucket)
	b.must(t, "app", "0123456789")
	f := b.open(t, "app")
	b.must(t, "app", "abcdefghij")
	if _, err := f.Seek(4, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(f); string(got) != "456789" || err != nil {
		t.Error(string(got), err)
	}
}

func TestDamage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		a := b.must(t, "app", "content")
		if err := b.bucket.WriteAll(t.Context(), a.ID, []byte("c0ntent"), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(b.open(t, "app").Checked()); !errors.Is(err, artifact.ErrDamaged) {
			t.Errorf("a changed file: %v", err)
		}
		if err := b.bucket.Delete(t.Context(), a.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Open(t.Context(), project, "1.0", "app"); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "is gone") {
			t.Errorf("a lost file: %v", err)
		}
	})
}

// TestCutOffUpload opens a directory in which the server was killed while it wrote.
func TestCutOffUpload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bucket, err := artifact.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	w, err := bucket.NewWriter(t.Context(), "key", &blob.WriterOptions{ContentType: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.WriteAll(t.Context(), "whole", nil, nil); err != nil {
		t.Fatal(err)
	}
	names := func() (names []string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	if got := names(); len(got) != 2 {
		t.Errorf("while it is written there are %v", got)
	}
	again, err := artifact.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := names(); !slices.Equal(got, []string{"whole"}) {
		t.Errorf("afterwards there are %v", got)
	}
	_ = w.Close()
}

// TestSweep removes what was written down as unfinished or as removed. What the index does not know, for whatever reason, stays.
func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bucket, err := artifact.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	b := newBundle(t, bucket)
	a, young := b.must(t, "app", "content"), build.NewArtifactID()
	replaced, err := b.Keep(t.Context(), strings.NewReader("an archive"))
	if err != nil {
		t.Fatal(err)
	}
	yesterday := time.Now().Add(-25 * time.Hour)
	for name, at := range map[string]time.Time{
		a.ID: yesterday, a.ID + ".unfinished": yesterday, // the server was killed after it was published
		young: yesterday, young + ".unfinished": time.Now(),
		replaced: yesterday, replaced + ".unfinished": yesterday,
		"unknown": yesterday,
	} {
		file := filepath.Join(dir, name)
		if _, err := os.Stat(file); err != nil {
			if err := os.WriteFile(file, []byte("rest"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := b.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{a.ID, young, young + ".unfinished", "unknown"}
		slices.Sort(want)
		if keys := b.keys(t); !slices.Equal(keys, want) {
			t.Errorf("left are %v, want %v", keys, want)
		}
		if files, bytes, err := b.Unnamed(t.Context()); files != 1 || bytes != 4 || err != nil {
			t.Errorf("unnamed are %d files of %d bytes, %v", files, bytes, err)
		}
	}
	if got, err := io.ReadAll(b.open(t, "app")); !bytes.Equal(got, []byte("content")) || err != nil {
		t.Error(string(got), err)
	}
}

// TestSweepReplaced removes content that was replaced when the server that did so could not remove it.
func TestSweepReplaced(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		old := b.must(t, "app", "old")
		newer := b.must(t, "app", "new")
		if err := b.bucket.WriteAll(t.Context(), old.ID, []byte("old"), nil); err != nil {
			t.Fatal(err)
		}
		if err := b.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if keys := b.keys(t); !slices.Equal(keys, []string{newer.ID}) {
			t.Errorf("left are %v, want %s", keys, newer.ID)
		}
	})
}

// TestSweepOtherDatabase opens the bucket with a database that knows nothing of it: everything stays.
func TestSweepOtherDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func() *bundle {
		bucket, err := artifact.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return newBundle(t, bucket)
	}
	a := open().must(t, "app", "content")
	yesterday := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, a.ID), yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	other := open()
	if err := other.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if keys := other.keys(t); !slices.Equal(keys, []string{a.ID}) {
		t.Errorf("left are %v, want %s", keys, a.ID)
	}
}

// TestLimits: a limit holds while the content is read, for all that are uploaded at the same time together, and leaves nothing.
func TestLimits(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	for limit, limits := range map[string]build.ArtifactLimits{
		"file": {File: size - 1}, "build": {Build: 2*size - 1}, "project": {Project: 2*size - 1},
	} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			bucket, err := artifact.OpenDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			b := newBundle(t, bucket)
			b.Store = artifact.New(bucket, b.index, artifact.Config{Limits: limits})
			var uploads sync.WaitGroup
			var kept atomic.Pointer[string]
			var n atomic.Int32
			for i := range 8 {
				uploads.Go(func() {
					name := fmt.Sprint(i)
					_, err := b.upload(t.Context(), name, bytes.NewReader(make([]byte, size)))
					switch {
					case err == nil:
						n.Add(1)
						kept.Store(&name)
					case !fault.Is(err, fault.Limit) || !strings.Contains(err.Error(), "--artifact-"+limit+"-limit"):
						t.Errorf("upload %d: %v", i, err)
					}
				})
			}
			uploads.Wait()
			if n := int(n.Load()); n > 1 || len(b.keys(t)) != n {
				t.Errorf("%d uploads were kept, and there are %v", n, b.keys(t))
			}
			again, want := "0", limit != "file"
			if name := kept.Load(); name != nil {
				again = *name // the new one takes the place of the old one
			}
			if _, err := b.upload(t.Context(), again, bytes.NewReader(make([]byte, size))); (err == nil) != want {
				t.Errorf("alone: %v", err)
			}
		})
	}
}

// TestSparse: zeros take no space in a directory, and are there when the file is read.
func TestSparse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bucket, err := artifact.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	b := newBundle(t, bucket)
	content := make([]byte, 8<<20+5)
	copy(content[3<<20:], "in the middle")
	a, err := b.upload(t.Context(), "sparse", bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	var info unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, a.ID), &info); err != nil || info.Size != int64(len(content)) || info.Blocks*512 > 1<<20 {
		t.Errorf("the file has %d bytes in %d blocks, %v", info.Size, info.Blocks, err)
	}
	if got, err := io.ReadAll(b.open(t, "sparse").Checked()); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestNoRoom: an upload ends where there is no more room, and leaves nothing.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		full, left := errors.New("full"), int64(1<<20)
		b.Store = artifact.New(b.bucket, b.index, artifact.Config{Room: func(n int64) error {
			if left -= n; left < 0 {
				return full
			}
			return nil
		}})
		if _, err := b.upload(t.Context(), "app", bytes.NewReader(make([]byte, 2<<20))); !errors.Is(err, full) {
			t.Errorf("an upload without room: %v", err)
		}
		if _, err := b.Keep(t.Context(), strings.NewReader("archive")); !errors.Is(err, full) {
			t.Errorf("an archive without room: %v", err)
		}
		if keys := b.keys(t); len(keys) > 0 {
			t.Errorf("left are %v", keys)
		}
	})
}
