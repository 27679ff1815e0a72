package logs

import "atelier/internal/build"

// Watch returns a channel that has a token whenever something was written to the log since the last token was taken, or the
// build has ended, by this process. Who reads after having called Watch, and after each token, misses nothing. The log needs not exist yet. A watcher
// that is slow or gone costs the writer nothing; cancel ends the watch.
func (s *Store) Watch(id build.RecordID) (written <-chan struct{}, cancel func()) {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers[id] == nil {
		s.watchers[id] = make(map[chan struct{}]struct{})
	}
	s.watchers[id][c] = struct{}{}
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers[id], c)
		if len(s.watchers[id]) == 0 {
			delete(s.watchers, id)
		}
	}
}

// wake gives a token to everybody who watches a log.
func (s *Store) wake(id build.RecordID) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for c := range s.watchers[id] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
