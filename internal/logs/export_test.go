package logs

// What Compress does step by step.
var (
	CompressOne = (*Store).compress
	Sweep       = (*Store).sweep
)
