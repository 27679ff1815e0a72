package build_test

import (
	"strings"
	"testing"

	"atelier/internal/build"
)

func TestWait(t *testing.T) {
	t.Parallel()
	here := build.Offer{Owner: "e1", Arch: "X86", Classes: []string{"2U8G", "4U8G"}, Slots: 2}
	big := build.Offer{Owner: "e2", Arch: "ARM", Classes: []string{"16U64G"}, Slots: 1}
	for _, tt := range []struct {
		name     string
		standing build.Standing
		limits   build.Limits
		want     build.WaitFor
		words    []string
	}{
		{"no engine", build.Standing{}, build.Limits{}, build.WaitForEngine, []string{"No server", "when one is started"}},
		{
			"architecture",
			build.Standing{Needs: build.Needs{Arch: "ARM"}, Engines: []build.Offer{here, here}},
			build.Limits{},
			build.WaitForEngine,
			[]string{"No executor offers the architecture ARM; there is X86 with 2U8G, 4U8G. ", "when one that does is connected"},
		},
		{
			"class of another architecture",
			build.Standing{Needs: build.Needs{Arch: "X86", Class: "16U64G"}, Engines: []build.Offer{here, big}},
			build.Limits{},
			build.WaitForEngine,
			[]string{"the architecture X86 and the class 16U64G", "ARM with 16U64G; X86 with 2U8G, 4U8G"},
		},
		{
			"task",
			build.Standing{Engines: []build.Offer{here}, TaskActive: 1, TenantActive: 1, Busy: map[string]int{"e1": 2}},
			build.Limits{Task: 1, Tenant: 1},
			build.WaitForTask,
			[]string{"1 build of the task runs, the most that may at a time", "when one of them ends"},
		},
		{
			"tenant",
			build.Standing{Engines: []build.Offer{here}, TaskActive: 1, TenantActive: 2},
			build.Limits{Task: 2, Tenant: 2},
			build.WaitForTenant,
			[]string{"2 builds of the tenant run, "},
		},
		{"slots", build.Standing{Engines: []build.Offer{here, big}, Busy: map[string]int{"e1": 2, "e2": 1}, Ahead: 7}, build.Limits{}, build.WaitForSlot, []string{"3 of 3", "now 7"}},
		{
			"only slots that fit count",
			build.Standing{Needs: build.Needs{Arch: "ARM"}, Engines: []build.Offer{here, big}, Busy: map[string]int{"e2": 1}},
			build.Limits{},
			build.WaitForSlot,
			[]string{"1 of 1"},
		},
		{
			"only builds on those count",
			build.Standing{Needs: build.Needs{Arch: "ARM"}, Engines: []build.Offer{here, big}, Busy: map[string]int{"e1": 2, "gone": 1}},
			build.Limits{},
			build.WaitForTurn,
			nil,
		},
		{"nothing", build.Standing{Engines: []build.Offer{here}, Busy: map[string]int{"e1": 1}}, build.Limits{Task: 1}, build.WaitForTurn, []string{"in a moment"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := tt.standing.Wait(tt.limits)
			if got.For != tt.want {
				t.Errorf("waits for %q, want %q", got.For, tt.want)
			}
			for _, words := range tt.words {
				if !strings.Contains(got.Text, words) {
					t.Errorf("%q is not in %q", words, got.Text)
				}
			}
		})
	}
}
