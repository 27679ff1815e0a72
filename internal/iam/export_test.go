package iam

import "context"

// HashForTest makes the hash of a password once, so that tests need not wait for one each.
func HashForTest(password string) (string, error) {
	return (&Service{hashing: newHashQueue(1)}).hashPassword(context.Background(), password)
}

// HoldHashing takes every place for hashing passwords until release is called.
func (s *Service) HoldHashing() (release func()) {
	n := hashingSlots()
	for range n {
		_, _ = s.hashing.take(context.Background(), knownLane, "", "") // nobody else has one
	}
	return func() {
		for range n {
			s.hashing.next()
		}
	}
}

// Waiting returns how many sign-ins wait for a place.
func (s *Service) Waiting() (n int) {
	s.hashing.mu.Lock()
	defer s.hashing.mu.Unlock()
	for _, l := range s.hashing.lines {
		n += l.count
	}
	return n
}

// SetSourceTries changes how many logins may fail at one source before it has to wait.
func (s *Service) SetSourceTries(client, source int) {
	s.sources.client.free, s.sources.source.free = client, source
}
