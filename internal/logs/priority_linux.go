package logs

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// lowerPriority has the calling goroutine run only when nothing else wants the processor, as long as it lives.
func lowerPriority() {
	runtime.LockOSThread() // whose priority it is; the thread ends with the goroutine
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 19)
}
