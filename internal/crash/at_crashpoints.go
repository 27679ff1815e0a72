//go:build crashpoints

package crash

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var (
	armed, passes = read(os.Getenv(Variable))
	reached       atomic.Int64
)

// At kills the process if it is to end at this point. Nothing comes after it.
func At(p Point) {
	if p == armed && reached.Add(1) == passes {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// read reads the variable. What cannot be read must not pass for a server that was not to be killed.
func read(value string) (Point, int64) {
	if value == "" {
		return "", 0
	}
	name, times, _ := strings.Cut(value, ":")
	n, err := strconv.ParseInt(times, 10, 64)
	if err != nil || n < 1 || !slices.Contains(Points, Point(name)) {
		panic(fmt.Sprintf("%s: found %q, want the name of a point and a number from 1, such as step-stored:2", Variable, value))
	}
	return Point(name), n
}
