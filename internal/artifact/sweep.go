package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// unfinishedSuffix ends the key of the mark that an upload has begun. It stands behind the key of the content.
const unfinishedSuffix = ".unfinished"

const (
	// sweepAge is how old the mark of an upload is that nobody works on any more.
	sweepAge = 24 * time.Hour
	// overlap is how much the clocks of servers may differ, and how long a transaction may take.
	overlap = time.Hour
	// memory is how long a server may be off and still find out which content it has to remove.
	memory = 90 * 24 * time.Hour
)

// begin marks the content of a key as that of an upload that has begun.
func (s *Store) begin(ctx context.Context, key string) error {
	if err := s.bucket.WriteAll(ctx, key+unfinishedSuffix, nil, nil); err != nil {
		return fmt.Errorf("mark an upload that begins: %w", err)
	}
	return nil
}

// finish removes the mark: the index names the content, or there is none.
func (s *Store) finish(ctx context.Context, key string) error {
	return s.remove(ctx, key+unfinishedSuffix)
}

// remove removes a blob. It is no error when there is none.
func (s *Store) remove(ctx context.Context, key string) error {
	if err := s.bucket.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("remove %s from the bucket: %w", key, err)
	}
	return nil
}

// Sweep removes the content that the index says is needed no more, and that of uploads which began a day ago or longer and which
// the index does not name. Everything else stays, see [Store.Unnamed].
func (s *Store) Sweep(ctx context.Context) error {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	return errors.Join(s.sweepRemoved(ctx), s.sweepUnfinished(ctx))
}

func (s *Store) sweepRemoved(ctx context.Context) error {
	now := s.now()
	keys, err := s.index.RemovedContents(ctx, s.since)
	if err != nil {
		return fmt.Errorf("list the removed artifacts: %w", err)
	}
	for _, key := range keys {
		if err := s.remove(ctx, key); err != nil {
			return err
		}
	}
	s.since = now.Add(-overlap)
	if err := s.index.ForgetRemovedContents(ctx, now.Add(-memory)); err != nil {
		return fmt.Errorf("forget the removed artifacts: %w", err)
	}
	return nil
}

func (s *Store) sweepUnfinished(ctx context.Context) error {
	var failed error
	err := s.each(ctx, func(o *blob.ListObject) {
		if key, marked := strings.CutSuffix(o.Key, unfinishedSuffix); marked && s.now().Sub(o.ModTime) >= sweepAge {
			failed = errors.Join(failed, s.removeUnfinished(ctx, key))
		}
	})
	return errors.Join(failed, err)
}

// removeUnfinished removes the mark of an upload, and before that its content unless the index names it.
func (s *Store) removeUnfinished(ctx context.Context, key string) error {
	needed, err := s.index.ContentNeeded(ctx, key)
	if err != nil {
		return fmt.Errorf("look for an artifact: %w", err)
	}
	if !needed {
		if err := s.remove(ctx, key); err != nil {
			return err
		}
	}
	return s.finish(ctx, key)
}

// Unnamed counts the content that the index does not name and that is not of an upload under way, and says how many bytes it
// has. There is none unless the database is older than the bucket, or not the one that belongs to it. It is never removed.
func (s *Store) Unnamed(ctx context.Context) (files int, bytes int64, err error) {
	marked := make(map[string]bool)
	sizes := make(map[string]int64)
	if err := s.each(ctx, func(o *blob.ListObject) {
		if key, mark := strings.CutSuffix(o.Key, unfinishedSuffix); mark {
			marked[key] = true
		} else {
			sizes[key] = o.Size
		}
	}); err != nil {
		return 0, 0, err
	}
	ids, err := s.index.ArtifactIDs(ctx) // after the bucket was read: what was published meanwhile is named
	if err != nil {
		return 0, 0, fmt.Errorf("list the artifacts: %w", err)
	}
	for _, id := range ids {
		delete(sizes, id)
	}
	for key, size := range sizes {
		if !marked[key] {
			files, bytes = files+1, bytes+size
		}
	}
	return files, bytes, nil
}

// each calls do for every blob.
func (s *Store) each(ctx context.Context, do func(*blob.ListObject)) error {
	for all := s.bucket.List(nil); ; {
		object, err := all.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list the bucket: %w", err)
		}
		do(object)
	}
}
