package host

import (
	"fmt"
	"runtime"
)

// limits are what the processes of a build may take of the machine together.
type limits struct {
	processors int
	memory     int64 // bytes
	processes  int   // and threads
}

// processesEach is how many processes a build may have for each processor of its class: enough for large builds, and too few to
// harm the machine.
const processesEach = 4096

// limitsOf returns the limits of a class such as 2U8G, which is the default: processors, not more than the machine has, and GiB of memory.
func limitsOf(class string) limits {
	var l limits
	if n, err := fmt.Sscanf(class, "%dU%dG", &l.processors, &l.memory); n != 2 || err != nil || l.processors < 1 || l.memory < 1 {
		l.processors, l.memory = 2, 8
	}
	l.processes = l.processors * processesEach
	l.processors = min(l.processors, runtime.NumCPU())
	l.memory <<= 30
	return l
}
