package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"atelier/internal/build"
	"atelier/internal/crash"
)

// What stands behind the name of a log that is compressed, of one that is being, and of one that is being expanded.
const (
	compressedSuffix = ".zst"
	halfSuffix       = ".zst.tmp"
	expandingSuffix  = ".tmp"
)

// minCompressed is how large a log must be for it to be worth the while.
const minCompressed = 64 << 10

// Finished says that nothing will be written to a log any more, after the final state of its build was stored. It wakes those
// who watch. The log is compressed when there is time: see [Store.Compress].
func (s *Store) Finished(id build.RecordID) {
	s.wake(id)
	s.mu.Lock()
	s.finished = append(s.finished, id)
	s.mu.Unlock()
	select {
	case s.wakeCompress <- struct{}{}:
	default:
	}
}

// Compress compresses finished logs, one at a time and at the lowest priority, until ctx ends. First it puts in order what an
// earlier process left half done, and looks for logs that it did not come to; isFinal says whether a build is over. What goes
// wrong with a log leaves it as it is, and is passed to failed. Meanwhile it makes what the logs of the next builds need.
func (s *Store) Compress(ctx context.Context, isFinal func(context.Context, build.RecordID) (bool, error), failed func(build.RecordID, error)) {
	lowerPriority()
	s.makeDirs()
	s.makeSpare()
	s.sweep(ctx, isFinal, failed)
	for {
		s.makeSpare()
		for _, id := range s.takeFinished() {
			if err := s.compress(ctx, id); err != nil && ctx.Err() == nil {
				failed(id, err)
			}
		}
		select {
		case <-s.wakeCompress:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Store) sweep(ctx context.Context, isFinal func(context.Context, build.RecordID) (bool, error), failed func(build.RecordID, error)) {
	s.eachPlain(ctx, func(id build.RecordID) {
		final, err := isFinal(ctx, id)
		if err == nil && final {
			err = s.compress(ctx, id)
		}
		if err != nil && ctx.Err() == nil {
			failed(id, err)
		}
	})
}

func (s *Store) takeFinished() []build.RecordID {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := s.finished
	s.finished = nil
	return ids
}

// eachPlain calls do for every log that is large enough and not compressed, and for those that have both forms. It removes files
// that are half written.
func (s *Store) eachPlain(ctx context.Context, do func(build.RecordID)) {
	_ = filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return ctx.Err() // what cannot be read is not compressed
		}
		if strings.HasSuffix(path, ".log"+halfSuffix) || strings.HasSuffix(path, ".log"+expandingSuffix) {
			os.Remove(path)
		}
		if id, ok := strings.CutSuffix(entry.Name(), ".log"); ok && isUUID(id) {
			if info, err := entry.Info(); err == nil && info.Size() >= minCompressed {
				do(build.RecordID(id))
			}
		}
		return ctx.Err()
	})
}

// compress puts the compressed form of a log in its place, if it is large enough. Readers that have the log open go on with
// what they have. At any moment there is one whole form at least, and while there are two the plain one is read: so a
// compressed form beside a plain one is made again.
func (s *Store) compress(ctx context.Context, id build.RecordID) error {
	path, err := s.path(id)
	if err != nil {
		return err
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open a log to compress it: %w", err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Size() < minCompressed {
		return err
	}
	log := newSection(file, 0, math.MaxInt64)
	if err := s.writeCompressed(ctx, path, log); err != nil {
		return errors.Join(fmt.Errorf("compress a log: %w", err), os.Remove(path+halfSuffix))
	}
	if err := s.swap(id, path, log.at); err != nil {
		return fmt.Errorf("replace a log by its compressed form: %w", err)
	}
	return nil
}

// writeCompressed writes the compressed form, and waits until it is on the disk.
func (s *Store) writeCompressed(ctx context.Context, path string, log *section) error {
	half, err := os.OpenFile(path+halfSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer half.Close()
	if err := writeFrames(ctx, half, log); err != nil {
		return err
	}
	return half.Sync()
}

// swap removes the plain form, whose size is given, after the compressed one has its name for certain. A log that was removed
// meanwhile stays so, and one that somebody writes to after all stays as it is.
func (s *Store) swap(id build.RecordID, path string, size int64) error {
	s.forms.Lock()
	defer s.forms.Unlock()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return os.Remove(path + halfSuffix)
	}
	if err := os.Rename(path+halfSuffix, path+compressedSuffix); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	crash.At(crash.LogCompressed)
	s.mu.Lock() // nobody opens the log for writing now
	defer s.mu.Unlock()
	if info, err := os.Stat(path); err != nil || info.Size() != size || s.writing[id] > 0 {
		return errors.Join(err, os.Remove(path+compressedSuffix))
	}
	return os.Remove(path) // at once: the file is open, and the space is freed later
}

// expand makes the plain form of a compressed log again, for a build that writes to its log after it was over. Such a build is
// one of a database that was restored from a backup. The error is [fs.ErrNotExist] when there is no compressed form.
func (s *Store) expand(path string) (err error) {
	compressed, err := os.Open(path + compressedSuffix)
	if err != nil {
		return err
	}
	defer compressed.Close()
	s.forms.Lock()
	defer s.forms.Unlock()
	log, size, err := openFrames(compressed)
	if err != nil {
		return err
	}
	plain, err := os.OpenFile(path+expandingSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(plain, io.NewSectionReader(log, 0, size))
	if err = errors.Join(err, plain.Sync(), plain.Close()); err != nil {
		return errors.Join(err, os.Remove(path+expandingSuffix))
	}
	if err := os.Rename(path+expandingSuffix, path); err != nil {
		return err
	}
	return errors.Join(syncDir(filepath.Dir(path)), os.Remove(path+compressedSuffix))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
