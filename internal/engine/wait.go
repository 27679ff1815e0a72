package engine

import (
	"context"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// offer is what this engine can run.
func (e *Engine) offer() build.Offer {
	return build.Offer{Owner: e.Owner, Arch: e.Arch, Classes: e.Classes, Slots: e.Slots}
}

// announce says that this engine is alive.
func (e *Engine) announce() {
	e.failing("announce the engine", e.Queue.Announce(e.base, e.offer(), e.Now().Add(e.LeaseTime)))
}

// maxNotes is how many builds are looked at in a round. In a longer queue, the others are told when those are gone.
const maxNotes = 100

// noteWaits tells the builds that have waited for a while, in their logs, what they wait for.
func (e *Engine) noteWaits() {
	waiting, err := e.Queue.Waiting(e.base, e.Now().Add(-e.PollTime), maxNotes)
	for _, w := range waiting {
		if err == nil {
			err = e.noteWait(e.base, w)
		}
	}
	e.failing("note what builds wait for", err)
}

// noteWait writes what a build waits for to its log, when that is not what the log said last.
func (e *Engine) noteWait(ctx context.Context, w build.Waiting) error {
	e.leasing.Lock() // so that nobody here takes the build, and writes to its log, meanwhile
	defer e.leasing.Unlock()
	standing, err := e.Queue.Standing(ctx, w.ID, e.Now())
	if fault.Is(err, fault.NotFound) {
		return nil // it has begun
	}
	if err != nil {
		return err
	}
	wait := standing.Wait(e.Limits)
	if wait.For == w.For || wait.For == build.WaitForTurn {
		return nil
	}
	noted, err := e.Queue.NoteWait(ctx, w.ID, wait.For)
	if err != nil || !noted {
		return err
	}
	log, err := e.Logs.Append(w.ID)
	if err != nil {
		return err
	}
	_ = log.Info("%s", wait.Text) // the error comes again
	return log.Close()
}
