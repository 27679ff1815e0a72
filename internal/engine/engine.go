// Package engine runs builds. It takes them from the queue under a lease, makes a plan of each, has an executor run it step by
// step, and reports every transition before anyone is told of it.
//
// The parts, one file each: dispatch.go takes builds; run.go takes one from its lease to its end, with prepare.go, which makes its
// plan, and endpoint.go, which finds what opens repositories; steps.go, which runs its steps, with artifact.go, image.go and object.go for those that the service does itself, cache.go, which keeps what they have
// downloaded, and report.go for what tests leave; flow.go, which follows the
// children of a flow; and end.go, which decides how it ends. lease.go keeps leases alive, lost.go ends the builds that were lost,
// and wait.go tells the builds that wait what they wait for.
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"time"

	"atelier/internal/artifact"
	"atelier/internal/build"
	"atelier/internal/executor"
	"atelier/internal/keystore"
	"atelier/internal/logs"
	"atelier/internal/plan"
	"atelier/internal/source"
)

// Peers are the other engines that work with the same queue, on other servers.
type Peers interface {
	// Tell tells them something. It does not wait, and what it says may get lost.
	Tell(n build.News)
	// Run calls hear with what they tell, until ctx ends.
	Run(ctx context.Context, hear func(build.News))
}

// Sources reads repositories.
type Sources interface {
	Resolve(ctx context.Context, url string, ref source.Ref) (source.Commit, error)
	ReadFile(ctx context.Context, url, commit, path string, limit int) ([]byte, error)
}

// Endpoints are the service endpoints of projects.
type Endpoints interface {
	// Credential returns what the endpoint that a task names opens a repository with. Errors that a user can do something about are faults.
	Credential(ctx context.Context, project build.ProjectID, id, repository string) (source.Credential, error)
	// Dependencies returns what a private repository of dependencies is opened with, in the same way.
	Dependencies(ctx context.Context, project build.ProjectID, repository string) (source.Credential, error)
	// Sources returns what reads repositories with a credential.
	Sources(c source.Credential) Sources
}

// Artifacts is the release repository.
type Artifacts interface {
	// Write stores the content of an upload, and returns it with all that is known then.
	Write(ctx context.Context, a build.Artifact, content io.Reader) (build.Artifact, error)
	// Publish makes what was written visible, in place of what stood at its address. It may be repeated. The error is
	// [build.ErrLeaseLost] when the fence is old or the build is over.
	Publish(ctx context.Context, a build.Artifact, fence int64) error
	// Keep stores content that belongs to no address, and returns its key. Without a report that names the key it is removed one day.
	Keep(ctx context.Context, content io.Reader) (key string, err error)
	// Open opens the file at an address. The error is a fault.NotFound when there is none.
	Open(ctx context.Context, project build.ProjectID, version, name string) (*artifact.File, error)
}

// Images has places for the images of builds, in a container engine.
type Images interface {
	// Recover ends and removes what an earlier life left behind. It is called once, before the first build.
	Recover(ctx context.Context) error
	// Open returns the place of a build.
	Open(of executor.ImagesOf) executor.Images
}

// Disk is where workspaces, logs and all else of builds are.
type Disk interface {
	// Full reports whether there is no room for anything that can wait.
	Full() bool
	// Critical reports whether there is hardly room for the database any more.
	Critical() bool
}

// Objects is a store of objects, in buckets, outside of the service.
type Objects interface {
	// Put makes an object, or replaces one; until all of content is there, nothing has changed. Errors that a user can do something about
	// are faults.
	Put(ctx context.Context, bucket, key string, headers http.Header, content io.Reader, size int64) error
}

// Files are the small files that the users of a tenant keep for builds.
type Files interface {
	// ContentNamed returns a file that the actor may use, and what is in it. Errors that a user can do something about are faults.
	ContentNamed(ctx context.Context, actor build.Actor, name string) (keystore.File, []byte, error)
}

// Parts are what an [Engine] is made of. All are required, except where it says otherwise.
type Parts struct {
	Owner     string // names this engine in leases; the same after a restart
	Queue     Queue
	Executor  executor.Executor
	Sources   Sources
	Artifacts Artifacts
	Rights    Rights    // nil where everybody may do everything
	Files     Files     // nil where there are none
	Endpoints Endpoints // nil where there are none: then repositories are opened by what the server has
	Images    Images    // nil where none are built
	Objects   Objects   // nil where there are none
	Caches    Caches    // nil for none
	Disk      Disk      // nil where there is always room
	Peers     Peers     // nil where there can be none
	Sealer    build.Sealer
	Logs      *logs.Store
	Log       *slog.Logger
	Audit     *slog.Logger // gets a line for every report that a build has left; nil for none

	Slots          int            // builds at a time; default twice the number of processors
	Arch           string         // of the executor, X86 or ARM; default this machine's
	Classes        []string       // of builds that the executor runs; default all
	Modules        plan.Modules   // of the operator
	MaxSteps       int            // of a build file; default [build.MaxSteps]
	Limits         build.Limits   // on builds at a time, over all engines
	Timeout        time.Duration  // of a build whose job has none; default 4 h
	QueueTimeout   time.Duration  // of a build that no executor takes; default 24 h
	PrepareTimeout time.Duration  // for finding out what to build; default 10 min
	LeaseTime      time.Duration  // default 45 s; see lease.go for what follows from it
	PollTime       time.Duration  // between looks at the queue when nobody wakes the engine; default 5 s
	Zone           *time.Location // of the time that builds are told; default local
	Now            func() time.Time

	// Sole says that no other engine can take builds from the queue as long as this process lives. Then no lease runs out: however
	// long the database is away, nobody else has the builds.
	Sole bool
}

// Engine runs builds until it is stopped.
type Engine struct {
	Parts
	slots chan struct{} // one token for each build that runs
	wake  chan struct{} // a build was queued
	quit  chan struct{} // closed when no more builds are to be taken

	base   context.Context // of everything; ends last, when nothing more can be stored
	finish context.CancelFunc
	work   context.Context // of the builds; ends when they must
	kill   context.CancelCauseFunc
	runs   sync.WaitGroup // the builds, and the dispatcher that begins them
	loops  sync.WaitGroup

	// leasing is held from before a build is leased until it is in active. Who holds it knows that any other build which the
	// database says is this engine's has been forgotten. It is locked before mu.
	leasing channelLock

	mu        sync.Mutex
	active    map[build.RecordID]*run
	followers map[build.RecordID]chan<- struct{} // flows that want to know when a child has ended
	stops     map[build.RecordID]bool            // asked to stop while a build was being leased, which may be it; nil at other times
	failures  map[string]time.Time               // what fails at present, and since when; see failing
}

// Why a build ends early, as the cause of its context.
var (
	errStopped   = errors.New("somebody stopped the build")
	errTimeout   = errors.New("the build ran too long")
	errShutdown  = errors.New("the server was shut down")
	errLeaseLost = errors.New("another server has the build")
	errDiskFull  = errors.New("the disk is full")
	errExpired   = errors.New("the build's lease ran out")
)

// DefaultSlots is how many builds run at a time where nobody says.
func DefaultSlots() int { return 2 * runtime.GOMAXPROCS(0) }

// New returns an engine. It does nothing before [Engine.Start].
func New(parts Parts) *Engine {
	or := func(d *time.Duration, standard time.Duration) {
		if *d == 0 {
			*d = standard
		}
	}
	or(&parts.Timeout, 4*time.Hour)
	or(&parts.QueueTimeout, 24*time.Hour)
	or(&parts.PrepareTimeout, 10*time.Minute)
	or(&parts.LeaseTime, 45*time.Second)
	or(&parts.PollTime, 5*time.Second)
	if parts.Slots == 0 {
		parts.Slots = DefaultSlots()
	}
	parts.Arch = cmp.Or(parts.Arch, hostArch)
	if len(parts.Classes) == 0 {
		parts.Classes = build.Classes
	}
	if parts.Zone == nil {
		parts.Zone = time.Local
	}
	if parts.Now == nil {
		parts.Now = time.Now
	}
	e := &Engine{
		Parts:     parts,
		leasing:   make(channelLock, 1),
		slots:     make(chan struct{}, parts.Slots),
		wake:      make(chan struct{}, 1),
		quit:      make(chan struct{}),
		active:    make(map[build.RecordID]*run),
		followers: make(map[build.RecordID]chan<- struct{}),
		failures:  make(map[string]time.Time),
	}
	e.Queue = boundedQueue{parts.Queue, e.renewTimeout(), e.storeTimeout()}
	e.base, e.finish = context.WithCancel(context.Background())
	e.work, e.kill = context.WithCancelCause(e.base)
	return e
}

// Start ends what an earlier life of this engine left behind, and begins to take builds.
func (e *Engine) Start(ctx context.Context) error {
	if err := e.Executor.Recover(ctx); err != nil {
		return err
	}
	if e.Caches != nil {
		if err := e.Caches.Recover(); err != nil { // builds run without what it is about
			e.Log.Warn("what builds left of their caches cannot be removed; it is tried again at the next start", "error", err)
		}
	}
	if e.Images != nil {
		if err := e.Images.Recover(ctx); err != nil {
			return err
		}
	}
	if err := e.reclaim(ctx); err != nil {
		return err
	}
	if err := e.Queue.Announce(ctx, e.offer(), e.Now().Add(e.LeaseTime)); err != nil {
		return fmt.Errorf("announce the engine: %w", err)
	}
	e.runs.Go(e.dispatch)
	e.every(e.renewInterval(), "renew leases", e.renew)
	e.every(e.sweepInterval(), "announce the engine", e.announce)
	e.every(e.sweepInterval(), "look for lost builds", e.lookForLost)
	e.every(e.LeaseTime/3, "end builds that have waited too long", e.endOverdue)
	e.every(e.PollTime, "note what builds wait for", e.noteWaits)
	if e.Disk != nil {
		e.every(diskPeriod, "look at the disk", e.endForRoom)
	}
	if e.Peers != nil {
		e.loops.Go(func() { e.Peers.Run(e.base, e.hear) })
	}
	return nil
}

// closingTime is how long builds that must end have to do so and to store how.
const closingTime = executor.Grace + 20*time.Second

// Stop takes no more builds, waits for those that run until ctx ends, then ends them, and returns when all is over.
// It must be called once, after Start.
func (e *Engine) Stop(ctx context.Context) {
	close(e.quit)
	ended := make(chan struct{})
	go func() {
		e.runs.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		e.kill(errShutdown)
		giveUp := time.AfterFunc(closingTime, e.finish)
		defer giveUp.Stop()
		<-ended
	}
	e.finish()
	e.loops.Wait()
}

// every calls do now and then, in a goroutine of its own, until the engine ends.
func (e *Engine) every(pause time.Duration, what string, do func()) {
	e.loops.Go(func() {
		ticker := time.NewTicker(pause)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				e.guarded(what, do)
			case <-e.base.Done():
				return
			}
		}
	})
}

// Wake implements [build.Engine].
func (e *Engine) Wake() {
	e.look()
	e.tellPeers(build.News{Of: build.NewsOfQueue})
}

// look has the dispatcher look at the queue.
func (e *Engine) look() {
	select {
	case e.wake <- struct{}{}:
	default: // it is about to look anyway
	}
}

// StopBuild implements [build.Engine].
func (e *Engine) StopBuild(id build.RecordID) {
	if !e.stopHere(id) {
		e.tellPeers(build.News{Of: build.NewsOfStop, Record: id})
	}
}

// stopHere stops a build if this engine runs it, or is about to.
func (e *Engine) stopHere(id build.RecordID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.active[id]
	if ok {
		r.cancel(errStopped)
	} else if e.stops != nil {
		e.stops[id] = true
	}
	return ok
}

func (e *Engine) tellPeers(n build.News) {
	if e.Peers != nil {
		e.Peers.Tell(n)
	}
}

// hear heeds what another engine tells.
func (e *Engine) hear(n build.News) {
	switch n.Of {
	case build.NewsOfQueue:
		e.look()
	case build.NewsOfStop:
		e.stopHere(n.Record)
	case build.NewsOfChild:
		e.tellFlow(n.Record)
	}
}
