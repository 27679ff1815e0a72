package trigger_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/trigger"
)

// timer is a timer with the given parameters: names and values by turns.
func timer(params ...string) build.TriggerConfig {
	t := build.TriggerConfig{Name: trigger.Timer}
	for i := 0; i < len(params); i += 2 {
		t.Parameters = append(t.Parameters, build.NameValue{Name: params[i], Value: params[i+1]})
	}
	return t
}

func TestNext(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		timer build.TriggerConfig
		after string
		want  []string // in UTC
	}{
		{
			"as the vendor writes it", timer("spec", "53 15 * * 1,2,3,4,5", "timeZoneId", "Asia/Shanghai", "timeZone", "China_Standard_Time", "isDST", "false"),
			"2026-11-20T00:00:00Z",
			[]string{"2026-11-20T07:53:00Z", "2026-11-23T07:53:00Z"},
		},
		{"Sunday is 0 and 7", timer("spec", "0 0 * * 7"), "2026-11-23T00:00:00Z", []string{"2026-11-29T00:00:00Z", "2026-12-06T00:00:00Z"}},
		{"Friday to Sunday", timer("spec", "0 0 * * 5-7"), "2026-11-23T00:00:00Z", []string{"2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z", "2026-12-04T00:00:00Z"}},
		{"every other day to Sunday", timer("spec", "0 0 * * 1-7/2"), "2026-11-23T00:00:00Z", []string{"2026-11-25T00:00:00Z", "2026-11-27T00:00:00Z", "2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z"}},
		{"steps", timer("spec", "*/20 8-9 * * *"), "2026-11-23T08:30:00Z", []string{"2026-11-23T08:40:00Z", "2026-11-23T09:00:00Z"}},
		{"a leap day", timer("spec", "0 12 29 2 *"), "2026-01-01T00:00:00Z", []string{"2028-02-29T12:00:00Z"}},
		{"not at the moment itself", timer("spec", "0 12 * * *"), "2026-11-23T12:00:00Z", []string{"2026-11-24T12:00:00Z"}},

		// Berlin: at 2026-03-29 02:00 the clock shows 03:00, at 2026-10-25 03:00 it shows 02:00.
		{"summer begins", timer("spec", "30 2 * * *", "timeZoneId", "Europe/Berlin"), "2026-03-28T00:00:00Z", []string{"2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"}},
		{"beside it", timer("spec", "30 3 * * *", "timeZoneId", "Europe/Berlin"), "2026-03-28T00:00:00Z", []string{"2026-03-28T02:30:00Z", "2026-03-29T01:30:00Z"}},
		{"summer ends", timer("spec", "30 2 * * *", "timeZoneId", "Europe/Berlin"), "2026-10-24T12:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
		{
			"an hour that comes twice", timer("spec", "*/30 * * * *", "timeZoneId", "Europe/Berlin"), "2026-10-25T00:00:00Z",
			[]string{"2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z", "2026-10-25T02:30:00Z"},
		},
		{"the whole year by the same clock", timer("spec", "30 2 * * *", "timeZoneId", "Europe/Berlin", "isDST", "false"), "2026-03-28T02:00:00Z", []string{"2026-03-29T01:30:00Z", "2026-03-30T01:30:00Z"}},
		// New York: 2026-03-08 and 2026-11-01, at 02:00.
		{"summer begins elsewhere", timer("spec", "15 2 * * *", "timeZoneId", "America/New_York"), "2026-03-07T00:00:00Z", []string{"2026-03-07T07:15:00Z", "2026-03-09T06:15:00Z"}},
		{"summer ends elsewhere", timer("spec", "15 1 * * *", "timeZoneId", "America/New_York", "isDST", "true"), "2026-10-31T12:00:00Z", []string{"2026-11-01T05:15:00Z", "2026-11-02T06:15:00Z"}},
		// Lord Howe: the clock moves by half an hour.
		{"no word on summer", timer("spec", "30 2 * * *", "timeZoneId", "Europe/Berlin", "isDST", ""), "2026-07-01T00:00:00Z", []string{"2026-07-01T00:30:00Z"}},
		{"half an hour", timer("spec", "45 1 * * *", "timeZoneId", "Australia/Lord_Howe"), "2026-04-03T20:00:00Z", []string{"2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"}},
		{"later that day", timer("spec", "0 9 * * *", "timeZoneId", "Australia/Lord_Howe"), "2026-04-04T00:00:00Z", []string{"2026-04-04T22:30:00Z", "2026-04-05T22:30:00Z"}},
		{"half an hour that does not come", timer("spec", "15 2 * * *", "timeZoneId", "Australia/Lord_Howe"), "2026-10-02T15:00:00Z", []string{"2026-10-02T15:45:00Z", "2026-10-04T15:15:00Z"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := trigger.ParseSchedule(tt.timer, time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(time.RFC3339, tt.after)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for range tt.want {
				at = s.Next(at)
				got = append(got, at.UTC().Format(time.RFC3339))
				if !s.Due(at) || s.Due(at.Add(time.Minute)) && len(tt.want) == 2 {
					t.Errorf("due at %s: %v, a minute later: %v", at, s.Due(at), s.Due(at.Add(time.Minute)))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("times (-want +got):\n%s", diff)
			}
		})
	}
}

// TestClock looks at the clock of a zone every quarter of an hour, over a year: a time is due when the clock shows it, the first time that it does.
func TestClock(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Europe/Berlin", "America/New_York", "America/Havana", "Africa/Cairo", "Africa/Casablanca", "Australia/Lord_Howe"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, hour := range []int{0, 1, 2, 3, 4, 12} {
				s, err := trigger.ParseSchedule(timer("spec", fmt.Sprintf("*/15 %d * * *", hour), "timeZoneId", name), time.UTC)
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
				shown, next := make(map[string]bool), s.Next(begin.Add(-time.Second))
				for at := begin; at.Before(begin.AddDate(1, 0, 0)); at = at.Add(15 * time.Minute) {
					clock := at.In(zone)
					text := clock.Format(time.DateTime)
					if due := clock.Hour() == hour && !shown[text]; due != next.Equal(at) {
						t.Fatalf("%d o'clock: at %s (%s) due is %t, but the next time after the last one is %s", hour, at, text, due, next)
					} else if due {
						next = s.Next(at)
					}
					shown[text] = true
				}
			}
		})
	}
}

func TestBadTimers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		timer build.TriggerConfig
		want  string
	}{
		{build.TriggerConfig{Name: "cron"}, `name: must be hudson.triggers.TimerTrigger or atelier.triggers.PushTrigger, found "cron"`},
		{timer(), "spec: is missing"},
		{timer("spec", ""), `spec: must have five fields: minute, hour, day of the month, month, day of the week; found ""`},
		{timer("spec", "H 1 * * *"), `spec: must have numbers, lists such as 1,2, ranges such as 1-5, or * with a step such as */15 in each field; found "H 1 * * *"`},
		{timer("spec", "60 1 * * *"), "spec: must have numbers"},
		{timer("spec", "0 1 * * 8"), "spec: must have numbers"},
		{timer("spec", "0 1 * * 7-5"), "spec: must have numbers"},
		{timer("spec", "0 0 1 * * *"), "spec: must have five fields"},
		{timer("spec", "@daily"), "spec: must have five fields"},
		{timer("spec", "TZ=UTC 1 * * *"), "spec: must have five fields"},
		{timer("spec", strings.Repeat("1,", 200)+"1 * * * *"), "spec: must have five fields"},
		{timer("spec", "0 0 31 2 *"), "spec: never comes"},
		{timer("spec", "0 0 * * *", "spec", "0 1 * * *"), "spec: is given twice"},
		{timer("spec", "0 0 * * *", "timeZoneId", "Mars/North"), `timeZoneId: must be a name such as Asia/Shanghai or UTC, found "Mars/North"`},
		{timer("spec", "0 0 * * *", "timeZoneId", "Local"), `timeZoneId: must be a name`},
		{timer("spec", "0 0 * * *", "timeZoneId", "../../etc/passwd"), `timeZoneId: must be a name`},
		{timer("spec", "0 0 * * *", "isDST", "maybe"), `isDST: must be true or false, found "maybe"`},
		{timer("spec", "0 0 * * *", "isCodeUpdated", "1"), `isCodeUpdated: must be true or false, found "1"`},
	} {
		err := trigger.Schedules{Zone: time.UTC}.CheckTrigger(tt.timer)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v, want %s", tt.timer.Parameters, err, tt.want)
		}
	}
}

// FuzzSpec: whatever a client writes is refused, or has a next time.
func FuzzSpec(f *testing.F) {
	for _, spec := range []string{"* * * * *", "0 0 29 2 *", "1-5/2 1,2 * JAN MON-FRI", "0 0 * * 1-7/3", "*/0 * * * *"} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		s, err := trigger.ParseSchedule(timer("spec", spec, "timeZoneId", "Europe/Berlin"), time.UTC)
		if err != nil {
			return
		}
		now := time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)
		if next := s.Next(now); !next.After(now) || next.Second() != 0 {
			t.Errorf("%q: after %s comes %s", spec, now, next)
		}
	})
}
