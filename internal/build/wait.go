package build

import (
	"fmt"
	"slices"
	"strings"
)

// Needs is what a build asks of the engine that is to run it. An empty field asks for nothing.
type Needs struct {
	Arch  string // X86 or ARM
	Class string // such as 2U8G
}

// Offer is what an engine can run.
type Offer struct {
	Owner   string // of the engine's leases
	Arch    string
	Classes []string
	Slots   int // builds at a time
}

// Fits reports whether an engine with this offer can run a build with these needs.
func (o Offer) Fits(n Needs) bool {
	return (n.Arch == "" || n.Arch == o.Arch) && (n.Class == "" || slices.Contains(o.Classes, n.Class))
}

// Limits is how many builds may run at a time. Zero stands for no limit.
type Limits struct {
	Task   int // of one task
	Tenant int // of all tasks of one tenant
}

// Standing is where a build stands that has not begun: everything that decides when its turn comes.
type Standing struct {
	Held         bool // a server has taken it, and its executor does not answer
	Needs        Needs
	Ahead        int            // builds that were queued before it
	TaskActive   int            // builds of its task that have begun
	TenantActive int            // builds of its tenant that have begun
	Engines      []Offer        // those that are alive
	Busy         map[string]int // the slots of engines that are taken, by their owners
}

// Wait says what a build waits for that has not begun.
type Wait struct {
	For  WaitFor
	Text string // for people: what it waits for, and what would make it run
}

// WaitFor is the kind of thing that a build waits for.
type WaitFor string

// What builds wait for, in the order in which it is looked at.
const (
	WaitForAnswer WaitFor = "answer" // of the executor of the server that has taken it
	WaitForEngine WaitFor = "engine" // one that can run it
	WaitForTask   WaitFor = "task"   // the limit of its task
	WaitForTenant WaitFor = "tenant" // the limit of its tenant
	WaitForSlot   WaitFor = "slot"   // all are taken
	WaitForTurn   WaitFor = "turn"   // nothing stands in its way
)

// Wait says what the build waits for under the given limits.
func (s Standing) Wait(limits Limits) Wait {
	slots, taken := 0, 0
	for _, e := range s.Engines {
		if e.Fits(s.Needs) {
			slots += e.Slots
			taken += s.Busy[e.Owner]
		}
	}
	switch {
	case s.Held:
		return Wait{WaitForAnswer, "The container engine of the server that has taken the build does not answer. The build begins when it does."}
	case len(s.Engines) == 0:
		return Wait{WaitForEngine, "No server runs builds at present. The build begins when one is started."}
	case slots == 0:
		return Wait{WaitForEngine, fmt.Sprintf("No executor offers %s; there is %s. The build begins when one that does is connected. "+
			"To build elsewhere, stop it and change env.resource of the build file or the task's environment.", s.Needs, offers(s.Engines))}
	case limits.Task > 0 && s.TaskActive >= limits.Task:
		return Wait{WaitForTask, fmt.Sprintf("%s of the task %s, the most that may at a time. The build begins when one of them ends.", count(s.TaskActive), run(s.TaskActive))}
	case limits.Tenant > 0 && s.TenantActive >= limits.Tenant:
		return Wait{WaitForTenant, fmt.Sprintf("%s of the tenant %s, the most that may at a time. The build begins when one of them ends.",
			count(s.TenantActive), run(s.TenantActive))}
	case taken >= slots:
		return Wait{WaitForSlot, fmt.Sprintf("Every slot of the executors is taken, %d of %d. The build begins when a build ends and those before it in the queue, now %d, have begun.",
			taken, slots, s.Ahead)}
	default:
		return Wait{WaitForTurn, fmt.Sprintf("A slot is free, or only has to be cleaned up. The build begins in a moment; %d wait before it.", s.Ahead)}
	}
}

// String names the needs for people.
func (n Needs) String() string {
	var parts []string
	if n.Arch != "" {
		parts = append(parts, "the architecture "+n.Arch)
	}
	if n.Class != "" {
		parts = append(parts, "the class "+n.Class)
	}
	return strings.Join(parts, " and ")
}

// offers names what there is, each kind once.
func offers(engines []Offer) string {
	var kinds []string
	for _, e := range engines {
		kinds = append(kinds, fmt.Sprintf("%s with %s", e.Arch, strings.Join(e.Classes, ", ")))
	}
	slices.Sort(kinds)
	return strings.Join(slices.Compact(kinds), "; ")
}

func count(builds int) string {
	if builds == 1 {
		return "1 build"
	}
	return fmt.Sprintf("%d builds", builds)
}

func run(builds int) string {
	if builds == 1 {
		return "runs"
	}
	return "run"
}

// Waiting is a queued build, with what its log says that it waits for.
type Waiting struct {
	ID  RecordID
	For WaitFor // empty when the log says nothing yet
}
