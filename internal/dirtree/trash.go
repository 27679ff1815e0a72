package dirtree

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Trash removes trees that strangers have made. What is to be removed gets a new name in a directory of the server's own first, so
// that its place is free at once, and nobody finds it by its path any more. What cannot be removed, or not in time, stays there: a
// warning says so, and it is tried again, by itself and by the next trash of the directory.
type Trash struct {
	dir    *Dir
	prefix string
	log    *slog.Logger

	mu      sync.Mutex
	active  map[string]bool // names that somebody is removing
	warned  map[string]bool // names that a warning was about
	trying  bool            // again, in the background
	closing context.Context // ends when the trash is closed
	stop    context.CancelFunc
	work    sync.WaitGroup
}

// OpenTrash opens a trash in a directory that no stranger can reach. In it, names with the prefix belong to the trash. It is to be closed.
func OpenTrash(dir, prefix string, log *slog.Logger) (*Trash, error) {
	d, err := Open(dir)
	if err != nil {
		return nil, err
	}
	t := &Trash{dir: d, prefix: prefix, log: log, active: make(map[string]bool), warned: make(map[string]bool)}
	t.closing, t.stop = context.WithCancel(context.Background())
	return t, nil
}

// Close ends the attempts to remove what is left. It may be called again.
func (t *Trash) Close() error {
	t.stop()
	t.work.Wait()
	if err := t.dir.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// Dir returns the directory of the trash.
func (t *Trash) Dir() *Dir { return t.dir }

// Remove removes what has a name in a directory, on the file system of the trash, with all that is in it. Nothing of the name is left when it
// returns without an error, also when ctx has ended; then the rest goes in the background. It is no error that there is nothing.
func (t *Trash) Remove(ctx context.Context, from *Dir, name string) error {
	aside, err := t.take(from, name)
	if err != nil || aside == "" {
		return err
	}
	t.remove(ctx, aside)
	return nil
}

// take moves something into the trash and returns its name there. It is none when there was nothing, or nothing is left of it already.
func (t *Trash) take(from *Dir, name string) (string, error) {
	err := unix.Unlinkat(from.fd(), name, 0)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return "", nil
	}
	if !isDirectory(err) {
		return "", from.failed("remove", name, err)
	}
	// Who is not root moves no directory that he may not write to. It is opened up for that.
	if opened, err := openForRemoval(from, name); err == nil {
		opened.Close()
	}
	aside := t.prefix + rand.Text()
	if err := from.Rename(name, t.dir, aside); err != nil {
		return "", err
	}
	return aside, nil
}

// Empty removes what is in the trash, until ctx ends; then the rest goes in the background.
func (t *Trash) Empty(ctx context.Context) error {
	_, err := t.attempt(ctx)
	return err
}

// attempt removes what is in the trash as long as some of it can be removed, and reports whether anything is left.
func (t *Trash) attempt(ctx context.Context) (left bool, err error) {
	for {
		names, err := t.names()
		if err != nil || len(names) == 0 {
			return err != nil, err
		}
		removed := 0
		for _, name := range names {
			if t.remove(ctx, name) {
				removed++
			}
		}
		if removed == 0 {
			return true, nil
		}
	}
}

// maxNames bounds how many names are held at a time of what is in the trash.
const maxNames = 10_000

// names returns what is in the trash and is not being removed, or some of it.
func (t *Trash) names() ([]string, error) {
	all, err := os.Open(t.dir.file.Name()) // which several may list at a time
	if err != nil {
		return nil, err
	}
	defer all.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	var names []string
	for {
		some, err := all.Readdirnames(batch)
		if errors.Is(err, io.EOF) || len(names) >= maxNames {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
		for _, name := range some {
			stem, _, _ := strings.Cut(name, ".")
			if strings.HasPrefix(name, t.prefix) && !t.active[name] && !t.active[stem] {
				names = append(names, name)
			}
		}
	}
}

// remove reports whether it has removed what has a name in the trash. When it has not, it is tried again later.
func (t *Trash) remove(ctx context.Context, name string) bool {
	r := removal{Trash: t, ctx: ctx, stem: t.prefix + rand.Text()}
	if !t.claim(name, r.stem) {
		return false
	}
	err := r.tree(name)
	t.release(name, r.stem)
	if err == nil {
		return true
	}
	if ctx.Err() == nil {
		t.warn(name, err)
	}
	t.tryAgain()
	return false
}

func (t *Trash) claim(name, stem string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.active[name] {
		return false
	}
	t.active[name], t.active[stem] = true, true
	return true
}

func (t *Trash) release(name, stem string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.active, name)
	delete(t.active, stem)
}

// warn says once what could not be removed.
func (t *Trash) warn(name string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if stem, _, _ := strings.Cut(name, "."); t.warned[stem] {
		return
	} else if len(t.warned) < maxWarnings {
		t.warned[stem] = true
	}
	t.log.Warn("what a build left cannot be removed; it is set aside and tried again", "path", t.dir.file.Name()+"/"+name, "error", err)
}

// maxWarnings bounds what is remembered of warnings.
const maxWarnings = 10_000

// The time between two attempts to remove what is left grows from the first to the second.
const (
	firstPause = time.Second
	lastPause  = 10 * time.Minute
)

// tryAgain starts to remove what is left in the background.
func (t *Trash) tryAgain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.trying || t.closing.Err() != nil {
		return
	}
	t.trying = true
	t.work.Go(func() {
		for pause := firstPause; t.leftAfterPause(pause); pause = min(2*pause, lastPause) {
		}
	})
}

// leftAfterPause tries again after a pause, and reports whether that has to go on.
func (t *Trash) leftAfterPause(pause time.Duration) bool {
	select {
	case <-t.closing.Done():
		return false
	case <-time.After(pause): // that something can be removed by now is no event
	}
	left, err := t.attempt(t.closing)
	if left || err != nil {
		return true
	}
	t.mu.Lock()
	t.trying = false
	t.mu.Unlock()
	if names, err := t.names(); err != nil || len(names) > 0 { // of a removal that has failed meanwhile
		t.tryAgain()
	}
	return false
}

// RemoveAll removes what has a path, as [os.RemoveAll] does. No stranger may be able to change the directory that it is in.
func RemoveAll(ctx context.Context, name string) (err error) {
	parent, err := Open(filepath.Dir(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parent.Close()) }()
	base := filepath.Base(name)
	if info, err := parent.Stat(base); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil || !info.IsDir() {
		return errors.Join(err, parent.Remove(base))
	}
	dir, err := openForRemoval(parent, base)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	r := removal{Trash: &Trash{dir: dir}, ctx: ctx, stem: rand.Text()}
	if err := r.all(); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return parent.Remove(base)
}
