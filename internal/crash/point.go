// Package crash names the moments of a build's life at which a kill would hurt most, so that tests can have the server killed at
// exactly these. A server that is not built for such tests knows nothing of it: see at.go.
package crash

// Variable is the environment variable that says where a server built with the tag crashpoints ends: the name of a point, a colon,
// and how often the point must be reached, such as "step-stored:2".
const Variable = "ATELIER_CRASH_AT"

// Point is a moment of a build's life.
type Point string

// The points, in the order of a life; only the workspace is removed beside what follows.
const (
	BuildStored       Point = "build-stored"       // a start request is stored, and nobody has been told
	BuildLeased       Point = "build-leased"       // an engine has taken the build, and does not know it yet
	LogOpened         Point = "log-opened"         // the log has no line
	SourceResolved    Point = "source-resolved"    // the commit is known to the engine only
	WorkspaceMade     Point = "workspace-made"     // the executor has made what the build needs
	StepStored        Point = "step-stored"        // the database says that a step runs, and it does not
	StepEnded         Point = "step-ended"         // a step has ended, which the database does not know
	ArtifactWritten   Point = "artifact-written"   // the content is there, and no address leads to it
	ArtifactPublished Point = "artifact-published" // it can be seen, and the step does not know
	FlowStored        Point = "flow-stored"        // the jobs of a flow are stored, and none of them has begun
	ChildStored       Point = "child-stored"       // a job of a flow is queued, and nobody has been told
	StopStored        Point = "stop-stored"        // a build is to stop, and its engine has not heard of it
	WorkspaceRemoved  Point = "workspace-removed"  // nothing of the build is left on the executor
	LogClosed         Point = "log-closed"         // the log is whole, and the database says that the build runs
	EndStored         Point = "end-stored"         // the final state is stored, and nobody has been told
	LogCompressed     Point = "log-compressed"     // both forms of the log are there
	BuildSeized       Point = "build-seized"       // a lost build has a new owner, which has done nothing for it
	BuildRequeued     Point = "build-requeued"     // a lost build is in the queue again, and nobody has been told
)

// Points are all of them.
var Points = []Point{
	BuildStored, BuildLeased, LogOpened, SourceResolved, WorkspaceMade, StepStored, StepEnded, ArtifactWritten, ArtifactPublished,
	FlowStored, ChildStored, StopStored, WorkspaceRemoved, LogClosed, EndStored, LogCompressed, BuildSeized, BuildRequeued,
}
