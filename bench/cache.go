package main

import (
	"context"
	"fmt"
	"time"
)

// cacheCommand compiles a program of its own with a good part of Go's library, as the build of a small service does.
const cacheCommand = `cat > main.go <<'END'
package main

import "net/http"

func main() { _ = http.ListenAndServe("127.0.0.1:0", nil) }
END
printf 'module app\n' > go.mod
CGO_ENABLED=0 GOFLAGS=-mod=mod GOTOOLCHAIN=local go build -trimpath -o app .`

// benchCache measures the second build of a Go program, which has a cache, against the first, whose cache is empty.
func benchCache(ctx context.Context, b *bench) error {
	s, err := b.serve(ctx, "cache")
	if err != nil {
		return err
	}
	defer s.stop()
	job, err := s.makeTaskOf(ctx, "go", "cache", cacheCommand)
	if err != nil {
		return err
	}
	first, err := s.runBuild(ctx, job)
	if err != nil {
		return err
	}
	times := make([]time.Duration, b.rounds)
	for i := range times {
		if times[i], err = s.runBuild(ctx, job); err != nil {
			return err
		}
	}
	second := percentile(times, 0.5)
	fmt.Printf("a Go program with net/http: the first build takes %.2f s, later ones %.2f s\n", first.Seconds(), second.Seconds())
	report("a later build against the first", second.Seconds()/first.Seconds(), "≤", 0.5, "")
	return nil
}
