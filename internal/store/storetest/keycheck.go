package storetest

import (
	"errors"
	"testing"
)

func testKeyCheck(t *testing.T, open Opener) {
	s := open(t)
	failed := errors.New("no key")
	if _, err := s.KeyCheck(t.Context(), func() (string, error) { return "", failed }); !errors.Is(err, failed) {
		t.Error(err)
	}
	for _, own := range []string{"first", "second"} {
		if got, err := s.KeyCheck(t.Context(), func() (string, error) { return own, nil }); err != nil || got != "first" {
			t.Errorf("%q, %v", got, err)
		}
	}
}
