package build

// News is what an engine tells the others that work with the same queue. Any of it may get lost: each engine also looks for itself
// now and then.
type News struct {
	Of     NewsOf
	Record RecordID // empty for NewsOfQueue
}

// NewsOf is what news are about.
type NewsOf string

// What engines tell each other.
const (
	NewsOfQueue NewsOf = "queue" // a build may begin that could not before
	NewsOfStop  NewsOf = "stop"  // of a build that is to stop
	NewsOfChild NewsOf = "child" // of a flow, a child of which has ended
)
