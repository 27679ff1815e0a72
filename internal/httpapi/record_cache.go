package httpapi

import (
	"context"
	"sync"

	"atelier/internal/build"
)

// finishedRecords keeps the encoded answers about builds that are over: a final state never changes. Who may see a build is
// still asked every time, and everything is forgotten when the epoch moves on, which it does when a task is deleted.
//
// There are two generations of entries. When the young one is full it becomes the old one, and what was in the old one and
// was not asked for since is gone. So the cache is bounded, and what is asked for often stays.
type finishedRecords struct {
	epoch func(context.Context) (int64, error)
	check func(context.Context, build.Actor, build.JobRef, build.Right) error

	mu         sync.RWMutex
	at         int64 // the epoch of what is kept
	young, old map[recordKey]finishedRecord
}

// maxFinished bounds a generation. An answer has about 1.5 kB, so both hold at most 12 MB.
const maxFinished = 4096

type recordKey struct {
	job    build.JobID
	number int
	sdk    bool
}

type finishedRecord struct {
	body []byte
	ref  build.JobRef
}

// info returns the answer about a build, nil when it is not kept.
func (f *finishedRecords) info(ctx context.Context, key recordKey, actor build.Actor) ([]byte, error) {
	epoch, err := f.epoch(ctx)
	if err != nil {
		return nil, err
	}
	f.mu.RLock()
	record, ok := f.young[key]
	fromOld := false
	if !ok {
		record, ok = f.old[key]
		fromOld = ok
	}
	ok = ok && f.at == epoch
	f.mu.RUnlock()
	if !ok {
		return nil, nil
	}
	if fromOld {
		f.put(key, record, epoch)
	}
	return record.body, f.check(ctx, actor, record.ref, build.View)
}

// put keeps an answer that was made from what was stored at an epoch.
func (f *finishedRecords) put(key recordKey, record finishedRecord, epoch int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if epoch != f.at {
		if epoch < f.at {
			return // made from what has changed since
		}
		f.young, f.old, f.at = nil, nil, epoch
	}
	if f.young == nil || len(f.young) >= maxFinished {
		f.young, f.old = make(map[recordKey]finishedRecord), f.young
	}
	f.young[key] = record
}
