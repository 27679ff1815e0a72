package iam

import "context"

// HashForTest makes the hash of a password once, so that tests need not wait for one each.
func HashForTest(password string) (string, error) {
	return (&Service{hashing: make(chan struct{}, 1)}).hashPassword(context.Background(), password)
}

// HoldHashing takes every slot for hashing passwords until release is called.
func (s *Service) HoldHashing() (release func()) {
	n := cap(s.hashing)
	for range n {
		s.hashing <- struct{}{}
	}
	return func() {
		for range n {
			<-s.hashing
		}
	}
}

// SetSourceTries changes how many logins may fail at one source before it has to wait.
func (s *Service) SetSourceTries(n int) { s.sources.free = n }
