package logs

import (
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

func TestStamp(t *testing.T) {
	t.Parallel()
	winter := time.Date(2023, 12, 21, 7, 44, 18, 743_999_999, time.UTC)
	summer := time.Date(2024, 7, 1, 23, 59, 59, 5_000_000, time.UTC)
	tests := []struct {
		zone string
		t    time.Time
		want string
	}{
		{"Asia/Shanghai", winter, "[2023/12/21 15:44:18.743 GMT+08:00] "},
		{"Asia/Shanghai", summer, "[2024/07/02 07:59:59.005 GMT+08:00] "},
		{"UTC", winter, "[2023/12/21 07:44:18.743 GMT+00:00] "},
		{"Asia/Kolkata", winter, "[2023/12/21 13:14:18.743 GMT+05:30] "},
		{"Asia/Kathmandu", winter, "[2023/12/21 13:29:18.743 GMT+05:45] "},
		{"America/St_Johns", winter, "[2023/12/21 04:14:18.743 GMT-03:30] "},
		{"America/St_Johns", summer, "[2024/07/01 21:29:59.005 GMT-02:30] "},
		{"America/New_York", winter, "[2023/12/21 02:44:18.743 GMT-05:00] "},
		{"America/New_York", summer, "[2024/07/01 19:59:59.005 GMT-04:00] "},
	}
	for _, tt := range tests {
		zone, err := time.LoadLocation(tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		s := stamp{zone: zone}
		if got := string(s.at(tt.t)); got != tt.want || len(got) != stampLen {
			t.Errorf("%s: %q, want %q", tt.zone, got, tt.want)
		}
	}
}

// What is kept from one stamp to the next never shows: the clock may stand, go on or back, and summer may begin.
func TestStampIsKeptForASecondOnly(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2024, 3, 31, 0, 59, 59, 998e6, time.UTC) // a moment before 02:00 becomes 03:00
	kept := stamp{zone: zone}
	for _, millis := range []int{0, 0, 1, 2, 3, 900, 1003, 1002, 0, -5000, 3_600_000} {
		now := begin.Add(time.Duration(millis) * time.Millisecond)
		fresh := stamp{zone: zone}
		if got, want := string(kept.at(now)), string(fresh.at(now)); got != want {
			t.Errorf("after %d ms: %q, want %q", millis, got, want)
		}
	}
}

func BenchmarkStamp(b *testing.B) {
	s := stamp{zone: time.FixedZone("", 8*3600)}
	now := time.Now()
	for b.Loop() {
		now = now.Add(time.Microsecond)
		s.at(now)
	}
}

// However a log is cut into pieces, what comes is the log without its stamps.
func TestWithoutStamps(t *testing.T) {
	t.Parallel()
	s := stamp{zone: time.UTC}
	var log, want strings.Builder
	for _, line := range []string{"[INFO] begins\n", "\n", "[2024/01/01] no stamp\n", "é\r\n", "no end"} {
		log.Write(s.at(time.Unix(1, 0)))
		log.WriteString(line)
		want.WriteString(line)
	}
	for size := 1; size <= log.Len(); size++ {
		var got strings.Builder
		w := WithoutStamps(&got)
		for piece := range slices.Chunk([]byte(log.String()), size) {
			if n, err := w.Write(piece); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
		}
		if got.String() != want.String() {
			t.Errorf("in pieces of %d: %q, want %q", size, got.String(), want.String())
		}
	}
}
