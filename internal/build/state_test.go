package build

import "testing"

func TestFinalStatesNeverChange(t *testing.T) {
	all := []State{Queued, Scheduled, Running, Succeeded, Failed, Unschedulable, Aborted, TimedOut}
	for _, from := range all {
		ways := 0
		for _, to := range all {
			if from.CanBecome(to) {
				ways++
			}
		}
		if from.Final() != (ways == 0) {
			t.Errorf("%s is final: %v, but can become %d states", from, from.Final(), ways)
		}
	}
}

func TestEveryStateHasAStatus(t *testing.T) {
	for state, want := range map[State]JobStatus{
		Queued: StatusBuilding, Scheduled: StatusBuilding, Running: StatusBuilding, Succeeded: StatusBlue, Failed: StatusRed,
		Unschedulable: StatusRed, Aborted: StatusAborted, TimedOut: StatusTimeout,
	} {
		if got := (JobSummary{Last: &Record{State: state}}).Status(); got != want {
			t.Errorf("status of %s = %s, want %s", state, got, want)
		}
	}
	if got := (JobSummary{}).Status(); got != StatusNone {
		t.Errorf("status without a build = %s", got)
	}
}
