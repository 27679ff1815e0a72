// Package disk keeps room on the disk with the data for what must go on when the disk is full: the database, sign-in, stopping
// builds, and starting the server.
//
// What can wait, or can fail alone, asks before it takes space, and gets none of the reserve. That does not keep other programs,
// and the steps of builds, from filling the disk. So a part of the reserve is a file, which is given up when it is needed, and
// made again when there is room.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"atelier/internal/fault"
)

// ErrFull is the error of what would have taken space of the reserve.
var ErrFull = fault.New(fault.Limit, "The server's disk is full.")

// IsFull reports whether an error says that a disk is full.
func IsFull(err error) bool {
	return errors.Is(err, ErrFull) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

const (
	share       = 20       // the reserve is this part of the disk,
	most        = 2 << 30  // but not more,
	least       = 16 << 20 // and not less than the database takes for its log,
	mostShare   = 4        // unless that is more than this part
	maxBallast  = 16 << 20 // of the reserve, the part that is a file
	freshness   = time.Second / 10
	watchPeriod = time.Second / 4
)

// Guard watches the disk that a directory is on. It may be used by many goroutines. A nil one guards nothing.
type Guard struct {
	dir     string
	reserve int64
	ballast int64

	mu      sync.Mutex
	room    int64     // that may be taken before the disk is asked again
	checked time.Time // when that was
	held    bool      // the file is there
}

// Open guards the disk that a directory is on. The reserve is in bytes; 0 is a twentieth of the disk, between 16 MiB and 2 GiB.
// When the disk is as good as full the file is given up at once, so that the server can start.
func Open(dir string, reserve int64) (*Guard, error) {
	free, size, err := space(dir)
	if err != nil {
		return nil, fmt.Errorf("look at the disk of %s: %w", dir, err)
	}
	if reserve == 0 {
		reserve = min(max(min(size/share, most), least), size/mostShare)
	}
	g := &Guard{dir: dir, reserve: reserve, ballast: min(reserve/2, maxBallast)}
	_, err = os.Stat(g.file())
	if g.held = err == nil; free < g.ballast/2 {
		g.GiveUp()
	}
	return g, nil
}

// space returns how much of the disk of a directory is free for us, and how large it is.
func space(dir string) (free, size int64, err error) {
	var s unix.Statfs_t
	for {
		if err = unix.Statfs(dir, &s); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	return int64(s.Bavail) * int64(s.Bsize), int64(s.Blocks) * int64(s.Bsize), err //nolint:unconvert // types differ between systems
}

func (g *Guard) file() string { return filepath.Join(g.dir, "reserve") }

// Take says that n bytes are about to be written. The error is [ErrFull] when they would be taken from the reserve. What the file
// holds counts for the reserve.
func (g *Guard) Take(n int64) error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); g.room < n || now.Sub(g.checked) > freshness {
		free, _, err := space(g.dir)
		if err != nil {
			return nil //nolint:nilerr // whoever writes sees what is wrong
		}
		g.room, g.checked = free-g.floor(), now
	}
	if g.room < n {
		return ErrFull
	}
	g.room -= n
	return nil
}

// floor is how much must stay free beside the file.
func (g *Guard) floor() int64 {
	if g.held {
		return g.reserve - g.ballast
	}
	return g.reserve
}

// Full reports whether the reserve is touched, or would be by whatever comes next.
func (g *Guard) Full() bool { return errors.Is(g.Take(1), ErrFull) }

// Critical reports whether less than half of the reserve is left, with the file.
func (g *Guard) Critical() bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	free, _, err := space(g.dir)
	if g.held {
		free += g.ballast
	}
	return err == nil && free < g.reserve/2
}

// GiveUp removes the file, so that the database can go on. It reports whether there was one.
func (g *Guard) GiveUp() bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	had := g.held
	g.held, g.checked = false, time.Time{}
	err := os.Remove(g.file())
	return had && err == nil
}

// Run gives the file up when the disk is as good as full, and makes it again when there is room, until ctx ends.
func (g *Guard) Run(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(watchPeriod)
	defer ticker.Stop()
	for full := false; ; {
		if now := g.look(log); now != full {
			if full = now; full {
				log.Error("the disk is full: no builds begin, and those that print or upload end", "dir", g.dir, "reserve", g.reserve)
			} else {
				log.Info("the disk has room again", "dir", g.dir)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// look does what [Guard.Run] does once, and reports whether the disk is full.
func (g *Guard) look(log *slog.Logger) bool {
	free, _, err := space(g.dir)
	if err != nil {
		return false
	}
	g.mu.Lock()
	held := g.held
	g.mu.Unlock()
	switch {
	case held && free < g.ballast/2:
		g.GiveUp()
	case !held && free > g.reserve:
		if err := g.hold(); err != nil && !IsFull(err) {
			log.Warn("the reserve cannot be made", "file", g.file(), "error", err)
		}
	}
	return g.Full()
}

// hold makes the file.
func (g *Guard) hold() error {
	f, err := os.OpenFile(g.file(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err = errors.Join(allocate(f, g.ballast), f.Close()); err != nil {
		if e := os.Remove(g.file()); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held, g.checked = true, time.Time{}
	return nil
}
