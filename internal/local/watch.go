package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/logs"
	"atelier/internal/store"
)

// watch is the queue of the engine, and shows what the engine reports to it. It implements [engine.Queue].
type watch struct {
	*store.Store
	logs    *logs.Store
	display Display
	root    build.RecordID // of the build that was asked for; set before the engine begins
	abandon func()         // ends the build, which cannot be shown

	ended   chan struct{} // closed when that is over
	quit    chan struct{} // closed when nothing more is shown
	readers sync.WaitGroup

	mu     sync.Mutex
	shown  map[build.RecordID]*shown
	jobs   map[build.RecordID]string // of a flow, by their builds
	result Result
	err    error // the first, of what could not be shown or stored
}

// shown is the log of a build, as far as the display has it.
type shown struct {
	id   build.RecordID
	size int64
	out  io.Writer
	flow bool // its steps are other builds
}

func newWatch(db *store.Store, output *logs.Store, display Display, abandon func()) *watch {
	return &watch{
		Store: db, logs: output, display: display, abandon: abandon, ended: make(chan struct{}), quit: make(chan struct{}),
		shown: make(map[build.RecordID]*shown), jobs: make(map[build.RecordID]string),
	}
}

// Report implements [engine.Queue].
func (w *watch) Report(ctx context.Context, id build.RecordID, fence int64, p build.Progress) error {
	err := w.Store.Report(ctx, id, fence, p)
	if fault.Is(err, fault.Unavailable) {
		return err // the engine tries again
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.show(id, p)
	}
	switch {
	case p.End == nil:
	case id == w.root:
		w.result.State, w.result.Error = p.End.State, p.End.Error
		w.end(err)
	case p.End.State == build.Unschedulable:
		w.result.BadJob = true
	}
	return err
}

// StartChild implements [engine.Queue].
func (w *watch) StartChild(ctx context.Context, flow build.Lease, child build.Record) error {
	w.mu.Lock()
	w.jobs[child.ID] = child.FlowJob
	w.mu.Unlock()
	return w.Store.StartChild(ctx, flow, child)
}

// Requeue implements [engine.Queue]. Another engine, which the build would wait for, does not exist. A build that needs none
// was interrupted.
func (w *watch) Requeue(_ context.Context, lease build.Lease, needs build.Needs) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.result = Result{State: build.Aborted, Error: build.StoppedMessage}
	if needs != (build.Needs{}) {
		w.result.State = build.Unschedulable
		w.result.Error = fmt.Sprintf("The build file asks for %s, which this machine does not have.", needs)
	}
	w.end(nil)
	return nil
}

// end notes that the build is over.
func (w *watch) end(err error) {
	w.fail(err)
	select {
	case <-w.ended:
	default:
		close(w.ended)
	}
}

func (w *watch) fail(err error) {
	if w.err == nil && err != nil {
		w.err = err
		w.abandon()
	}
}

// show brings the display to where the report is. A build that cannot begin has nothing to show but its error.
func (w *watch) show(id build.RecordID, p build.Progress) {
	if p.Begin != nil {
		w.begin(id, p.Flow != nil)
	}
	s := w.shown[id]
	if s == nil {
		return
	}
	for _, step := range p.Steps {
		if step.Sequence > 0 && !s.flow {
			w.showStep(s, step)
		}
	}
	if p.End != nil {
		w.copyTo(s, -1)
	}
}

// begin shows the log of a build from now on.
func (w *watch) begin(id build.RecordID, flow bool) {
	s := &shown{id: id, out: logs.WithoutStamps(w.display), flow: flow}
	w.shown[id] = s
	written, cancel := w.logs.Watch(id)
	w.readers.Go(func() {
		defer cancel()
		for {
			select {
			case <-written:
				w.mu.Lock()
				w.copyTo(s, -1)
				w.mu.Unlock()
			case <-w.quit:
				return
			}
		}
	})
}

// showStep shows that a step has begun or ended. The engine writes nothing of what comes after that before it has reported it.
func (w *watch) showStep(s *shown, stored build.Step) {
	step := Step{stored, w.jobs[s.id]}
	switch step.State {
	case build.StepWaiting:
	case build.StepRunning:
		w.copyTo(s, step.LogStart)
		w.display.Begin(step)
	default:
		w.copyTo(s, step.LogEnd)
		if step.State == build.StepFailed && !step.Ignored {
			w.result.ExitCode = step.ExitCode
		}
		w.fail(w.display.End(step, func(out io.Writer) error {
			_, err := w.copy(logs.WithoutStamps(out), s.id, step.LogStart, step.LogEnd)
			return err
		}))
	}
}

// copyTo shows the log up to an offset; -1 is its present end.
func (w *watch) copyTo(s *shown, end int64) {
	n, err := w.copy(s.out, s.id, s.size, end)
	s.size += n
	w.fail(err)
}

// copy copies a part of a log.
func (w *watch) copy(out io.Writer, id build.RecordID, start, end int64) (int64, error) {
	part, err := w.logs.Section(id, start, end)
	if err != nil {
		return 0, err
	}
	defer part.Close()
	return io.Copy(out, part)
}

// stop shows nothing more. The engine has stopped.
func (w *watch) stop() {
	close(w.quit)
	w.readers.Wait()
}

// outcome returns how the build ended; an empty state means that it never began.
func (w *watch) outcome() (Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(w.err, build.ErrLeaseLost) {
		return w.result, errors.New("the build was lost")
	}
	return w.result, w.err
}
