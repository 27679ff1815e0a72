package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"atelier/internal/fault"
)

func TestPublicHidesCauses(t *testing.T) {
	cause := errors.New("dial tcp 10.0.0.1: refused")
	tests := []struct {
		name   string
		err    error
		kind   fault.Kind
		public string
		ok     bool
	}{
		{"plain errors are internal", cause, fault.Internal, "", false},
		{"an internal fault stays inside", fault.New(fault.Internal, "page 7 is torn"), fault.Internal, "", false},
		{"a field is named first", fault.Field("build_no", "found 0, must be 1 or more"), fault.Invalid, "build_no: found 0, must be 1 or more", true},
		{"a cause is not shown", fault.Wrap(cause, fault.Unavailable, "try again later"), fault.Unavailable, "try again later", true},
		{"wrapping keeps the kind", fmt.Errorf("start: %w", fault.New(fault.Disabled, "the task is disabled")), fault.Disabled, "the task is disabled", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := fault.KindOf(tt.err); got != tt.kind {
				t.Errorf("kind = %v, want %v", got, tt.kind)
			}
			public, ok := fault.Public(tt.err)
			if public != tt.public || ok != tt.ok {
				t.Errorf("public = %q, %v, want %q, %v", public, ok, tt.public, tt.ok)
			}
		})
	}
}

func TestErrorTextNamesTheCauseForTheLog(t *testing.T) {
	err := fault.Wrap(errors.New("disk full"), fault.Unavailable, "try again later")
	if got, want := err.Error(), "try again later: disk full"; got != want {
		t.Errorf("error text = %q, want %q", got, want)
	}
	if fault.Is(nil, fault.Internal) {
		t.Error("nil is no failure")
	}
}
