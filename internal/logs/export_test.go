package logs

// What Compress does step by step.
var (
	CompressOne = (*Store).compress
	Sweep       = (*Store).sweep
)

// GiveSpare gives a spare file a name.
func (s *Store) GiveSpare(path string) error { return giveName(<-s.spare, path) }
