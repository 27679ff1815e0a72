package build

import (
	"strconv"
	"time"
)

// Day returns the day that at falls on in the given zone, as it stands in daily numbers: yyyyMMdd.
func Day(at time.Time, zone *time.Location) string {
	return at.In(zone).Format("20060102")
}

// DailyNumber returns the daily number of the nth build of a job on a day, such as 20200825.1.
func DailyNumber(day string, n int) string {
	return day + "." + strconv.Itoa(n)
}
