// Package trigger starts builds that nobody asks for at that moment.
package trigger

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/hook"
)

// Timer is what the vendor calls the trigger that a clock sets off.
const Timer = "hudson.triggers.TimerTrigger"

// Schedule says when a task is to be built.
type Schedule struct {
	times    cron.Schedule
	zone     *time.Location
	standard bool // the zone's standard time counts all year round
	Changed  bool // only when the branch has a commit that was not built yet
}

// ParseSchedule reads a timer. Times without a zone are in the given one. An error is a fault.Invalid that names the parameter.
func ParseSchedule(t build.TriggerConfig, zone *time.Location) (Schedule, error) {
	s := Schedule{zone: zone}
	given := make(map[string]bool)
	for _, p := range t.Parameters {
		if given[p.Name] {
			return Schedule{}, fault.Field(p.Name, "is given twice")
		}
		given[p.Name] = true
		if err := s.parameter(p.Name, p.Value); err != nil {
			return Schedule{}, err
		}
	}
	if s.times == nil {
		return Schedule{}, fault.Field("spec", "is missing; it has five fields, such as 30 1 * * 1-5")
	}
	if s.Next(time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() { // the five years that are searched have a leap day
		return Schedule{}, fault.Field("spec", "never comes: no month has that day")
	}
	return s, nil
}

func (s *Schedule) parameter(name, value string) (err error) {
	switch name {
	case "spec":
		s.times, err = parseTimes(value)
	case "timeZoneId":
		if value == "" || value == "Local" {
			return fault.Field(name, "must be a name such as Asia/Shanghai or UTC, found %q", value)
		}
		if s.zone, err = time.LoadLocation(value); err != nil {
			return fault.Field(name, "must be a name such as Asia/Shanghai or UTC, found %q", value)
		}
	case "isDST":
		dst, err := boolean(name, value)
		s.standard = value != "" && !dst
		return err
	case "isCodeUpdated":
		s.Changed, err = boolean(name, value)
	}
	return err // others, such as timeZone, say nothing that these do not
}

func boolean(name, value string) (bool, error) {
	switch strings.ToLower(value) {
	case "true":
		return true, nil
	case "false", "":
		return false, nil
	default:
		return false, fault.Field(name, "must be true or false, found %q", value)
	}
}

var fields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// parseTimes reads five fields: minute, hour, day of the month, month, day of the week.
func parseTimes(spec string) (cron.Schedule, error) {
	words := strings.Fields(spec)
	if len(words) != 5 || len(spec) > 256 || strings.ContainsAny(spec, "=@?") {
		return nil, fault.Field("spec", "must have five fields: minute, hour, day of the month, month, day of the week; found %q", shorten(spec))
	}
	words[4] = sundayIsZero(words[4])
	times, err := fields.Parse(strings.Join(words, " "))
	if err != nil {
		return nil, fault.Field("spec", "must have numbers, lists such as 1,2, ranges such as 1-5, or * with a step such as */15 in each field; found %q", shorten(spec))
	}
	return times, nil
}

// sundayIsZero writes a day of the week without 7, which stands for Sunday as 0 does. What is no list of days stays as it is.
func sundayIsZero(field string) string {
	if !strings.Contains(field, "7") {
		return field
	}
	var days []string
	for part := range strings.SplitSeq(field, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		from, to, ranged := strings.Cut(span, "-")
		if !ranged {
			to = from
		}
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		step, err3 := 1, error(nil)
		if stepped {
			step, err3 = strconv.Atoi(stepText)
		}
		if err1 != nil || err2 != nil || err3 != nil || first < 0 || last > 7 || first > last || step < 1 || stepped && !ranged {
			return field
		}
		for day := first; day <= last; day += step {
			days = append(days, strconv.Itoa(day%7))
		}
	}
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(days))), ",")
}

func shorten(s string) string {
	const longest = 60
	if r := []rune(s); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return s
}

// Next returns the first moment of the schedule after the given one; the zero time when there is none in the next years. A time
// that the clock skips when summer begins does not come; one that it shows twice when summer ends counts once, the first time.
func (s Schedule) Next(after time.Time) time.Time {
	zone := s.zoneAt(after)
	for clock := shown(after.In(zone)); ; {
		if clock = s.times.Next(clock); clock.IsZero() {
			return clock
		}
		if at, ok := when(clock, zone); ok && at.After(after) {
			return at
		}
	}
}

// Due reports whether a moment, which is a whole minute, is one of the schedule.
func (s Schedule) Due(minute time.Time) bool { return s.Next(minute.Add(-time.Second)).Equal(minute) }

// zoneAt returns the zone that counts at a moment.
func (s Schedule) zoneAt(t time.Time) *time.Location {
	if !s.standard {
		return s.zone
	}
	for month := range 12 {
		if at := t.In(s.zone).AddDate(0, month, 0); !at.IsDST() {
			name, offset := at.Zone()
			return time.FixedZone(name, offset)
		}
	}
	return s.zone
}

// shown is what the clock on the wall shows, as a time of a zone without summer, in which schedules are counted.
func shown(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// when is the first moment at which the clock of a zone shows a time; false when it skips that.
func when(clock time.Time, zone *time.Location) (time.Time, bool) {
	t := time.Date(clock.Year(), clock.Month(), clock.Day(), clock.Hour(), clock.Minute(), clock.Second(), 0, zone)
	_, now := t.Zone()
	_, before := t.Add(-3 * time.Hour).Zone()
	if earlier := t.Add(time.Duration(now-before) * time.Second); before > now && shown(earlier).Equal(clock) {
		return earlier, true
	}
	return t, shown(t).Equal(clock)
}

// Schedules checks the triggers of tasks. It implements build.Triggers.
type Schedules struct {
	Zone *time.Location // of timers that name none
}

// CheckTrigger returns a fault.Invalid error when a task cannot have the trigger.
func (s Schedules) CheckTrigger(t build.TriggerConfig) error {
	switch t.Name {
	case Timer:
	case hook.Trigger:
		return hook.CheckTrigger(t)
	default:
		return fault.Field("name", "must be %s or %s, found %q", Timer, hook.Trigger, shorten(t.Name))
	}
	_, err := ParseSchedule(t, s.Zone)
	return err
}
