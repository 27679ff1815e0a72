package container

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"golang.org/x/sys/unix"

	"atelier/internal/fault"
)

// class is what a step may take of the machine.
type class struct {
	name   string
	cpus   int
	memory int64 // bytes
}

const (
	gibibyte     = 1 << 30
	defaultClass = "2U8G"
)

// classes are those of the vendor's service.
var classes = map[string]class{
	"2U8G":   {"2U8G", 2, 8 * gibibyte},
	"4U8G":   {"4U8G", 4, 8 * gibibyte},
	"8U16G":  {"8U16G", 8, 16 * gibibyte},
	"16U32G": {"16U32G", 16, 32 * gibibyte},
	"16U64G": {"16U64G", 16, 64 * gibibyte},
}

// class returns the class with a name, or the default one. Its processors are no more than the machine's, since some engines
// refuse containers that may have more.
func (e *Executor) class(name string) (class, error) {
	c, ok := e.classes[cmp.Or(name, defaultClass)]
	if !ok {
		return class{}, fault.New(fault.Invalid, "There is no class %q of build environments; there are %s.", name, known(e.classes))
	}
	c.cpus = min(c.cpus, e.cpus)
	return c, nil
}

// known lists the names in a map.
func known[V any](m map[string]V) string { return strings.Join(slices.Sorted(maps.Keys(m)), ", ") }

func (c class) String() string {
	return fmt.Sprintf("%s (%.4g GiB)", c.name, float64(c.memory)/gibibyte)
}

// maxProcesses is how many processes and threads a step may have: enough for large builds, and too few to harm the machine.
const maxProcesses = 16384

// limits are those of the kernel on the processes of a step: no more than the server's own. The defaults of engines may be more than
// they are allowed to give.
func limits() ([]*container.Ulimit, error) {
	var all []*container.Ulimit
	for _, limit := range []struct {
		name     string
		resource int
		most     uint64
	}{{"nofile", unix.RLIMIT_NOFILE, 1 << 20}, {"nproc", unix.RLIMIT_NPROC, maxProcesses}} {
		var own unix.Rlimit
		if err := unix.Getrlimit(limit.resource, &own); err != nil {
			return nil, fmt.Errorf("ask for the limit %s: %w", limit.name, err)
		}
		most := int64(min(own.Max, limit.most))
		all = append(all, &container.Ulimit{Name: limit.name, Soft: most, Hard: most})
	}
	return all, nil
}
