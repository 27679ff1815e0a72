// Package logs keeps the logs of builds, one file each. Bytes are only ever added, so that a reader follows a log by offset, and
// an offset is good for as long as the log is.
//
// Every line begins with a time stamp. What commands print has nothing else before it; the service's own lines have a level:
//
//	[2023/12/21 15:44:18.743 GMT+08:00] [INFO] [Unit tests] : The step begins.
//	[2023/12/21 15:44:18.971 GMT+08:00] ok  	example/internal/logs	2.055s
//
// A write is acknowledged when the file has it: it survives the death of this process, and that of the machine once the log is
// closed. Secrets never reach the file.
//
// The parts, one file each: log.go writes a log and output.go what commands print, read.go and window.go read, level.go leaves
// lines out, watch.go wakes readers, spare.go makes files before there is a log for them, compress.go makes finished logs smaller and frames.go reads them.
package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"atelier/internal/build"
	"atelier/internal/ext4"
	"atelier/internal/fault"
)

// DefaultLimit is how many bytes a log has unless the server is told otherwise.
const DefaultLimit = 100 << 20

// Config is what a [Store] may be told.
type Config struct {
	Zone  *time.Location          // of the time stamps; local by default
	Limit int64                   // bytes of a log, from where on the output of commands is dropped; 0 for no limit
	Now   func() time.Time        // the clock, by default the system's
	Room  func(bytes int64) error // is asked before the output of commands is written; by default there is always room
}

// Store is a directory of logs. It may be used by many goroutines.
type Store struct {
	dir    string
	config Config

	mu           sync.RWMutex
	watchers     map[build.RecordID]map[chan struct{}]struct{}
	writing      map[build.RecordID]int // how many have the log open for writing
	finished     []build.RecordID       // to be compressed
	wakeCompress chan struct{}

	spare chan string // empty files for logs that are still to come

	forms sync.Mutex // is held to change which files a log has
}

// Open opens the logs in dir, which is made when it does not exist.
func Open(dir string, config Config) (*Store, error) {
	if config.Zone == nil {
		config.Zone = time.Local
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Room == nil {
		config.Room = func(int64) error { return nil }
	}
	if config.Limit < 0 {
		return nil, fault.Field("log limit", "must not be negative, found %d", config.Limit)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the logs: %w", err)
	}
	ext4.Spread(dir)
	s := &Store{
		dir: dir, config: config,
		watchers:     make(map[build.RecordID]map[chan struct{}]struct{}),
		writing:      make(map[build.RecordID]int),
		wakeCompress: make(chan struct{}, 1),
		spare:        make(chan string, maxSpare),
	}
	if err := s.openSpare(); err != nil {
		return nil, fmt.Errorf("make the directory of spare logs: %w", err)
	}
	return s, nil
}

// Append opens the log of a build for writing. It begins one, or goes on behind what an earlier life of the build has written.
// One [Log] of a build is open at a time.
func (s *Store) Append(id build.RecordID) (*Log, error) {
	path, err := s.path(id)
	if err != nil {
		return nil, err
	}
	s.setWriting(id, 1) // so that the compressed form does not take the place of the log meanwhile
	l, err := s.appendTo(id, path)
	if err != nil {
		s.setWriting(id, -1)
	}
	return l, err
}

func (s *Store) setWriting(id build.RecordID, change int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing[id] += change; s.writing[id] == 0 {
		delete(s.writing, id)
	}
}

func (s *Store) appendTo(id build.RecordID, path string) (*Log, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.expand(path); errors.Is(err, fs.ErrNotExist) {
			file, err = s.create(path)
		} else if err == nil {
			file, err = os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open a log: %w", err)
	}
	l, err := newLog(s, id, file)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("continue a log: %w", err), file.Close())
	}
	return l, nil
}

// Remove removes the log of a build. It is no error when there is none.
func (s *Store) Remove(id build.RecordID) error {
	path, err := s.path(id)
	if err != nil {
		return err
	}
	s.forms.Lock()
	defer s.forms.Unlock()
	for _, form := range []string{path + compressedSuffix, path} {
		if err := os.Remove(form); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove a log: %w", err)
		}
	}
	return nil
}

// path returns where the log of a build is. Record ids begin with the time, so their ends are what spreads a million logs
// evenly over the directories.
func (s *Store) path(id build.RecordID) (string, error) {
	if !isUUID(string(id)) {
		return "", fault.Field("record_id", "must be a UUID of 32 digits 0-9 and a-f with 4 hyphens, found %.40q", string(id))
	}
	return filepath.Join(s.dir, string(id[len(id)-2:]), string(id)+".log"), nil
}

func isUUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
