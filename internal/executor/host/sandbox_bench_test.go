package host

import "testing"

// BenchmarkSandbox makes a sandbox and ends it.
func BenchmarkSandbox(b *testing.B) {
	e := newIsolated(b, b.TempDir())
	for b.Loop() {
		s, err := e.makeSandbox()
		if err != nil {
			b.Fatal(err)
		}
		if err := s.close(); err != nil {
			b.Fatal(err)
		}
	}
}
