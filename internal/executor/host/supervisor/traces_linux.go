package supervisor

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"syscall"
)

// traces is what commands can leave behind in a sandbox, besides processes, of which none is left when a command has ended, and the
// build's own directory, which the server removes. It is about commands without privileges that are another user than the supervisor:
// whatever else there is, they can only read.
type traces struct {
	known bool // otherwise something could not be read
	found []string
}

// same reports whether nothing has come or gone, as far as that is known.
func (t traces) same(other traces) bool {
	return t.known && other.known && slices.Equal(t.found, other.found)
}

// findTraces lists the files where commands may make some, and the objects that System V's calls make, which belong to no process. Where
// private directories of the server are hidden there are names from the start, which commands cannot change.
func findTraces() traces {
	t := traces{known: true}
	for _, dir := range append(Scratch[:], Queues) {
		entries, err := os.ReadDir(dir)
		t.check(err)
		for _, entry := range entries {
			t.found = append(t.found, dir+"/"+entry.Name())
		}
	}
	for _, kind := range [...]string{"msg", "sem", "shm"} {
		list, err := os.ReadFile("/proc/sysvipc/" + kind)
		t.check(err)
		t.found = append(t.found, kind+" "+strconv.Itoa(len(list))) // a line for each
	}
	return t
}

// check takes note of what could not be read. A kernel without a kind of objects has no list of them.
func (t *traces) check(err error) {
	if err != nil && !errors.Is(err, syscall.ENOENT) {
		t.known = false
	}
}
