// Bench measures the performance bars of Atelier (docs/performance.md). Each figure is a ratio within one run, so that a noisy
// machine does not matter: the rate of an answer against that of a bare handler which writes the same bytes, the time of a build
// against that of a shell.
//
//	go run ./bench              all bars
//	go run ./bench -only record only those whose name contains "record"
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

// bar is one thing that is measured. It prints its figures and returns whether they reach the bar.
type bar struct {
	name string
	run  func(ctx context.Context, b *bench) error
}

var bars = []bar{
	{"record", benchRecord},
	{"noop", benchNoop},
	{"many", benchMany},
	{"log", benchLog},
	{"start", benchStart},
	{"cache", benchCache},
}

// bench is what the bars share.
type bench struct {
	dir      string // for everything
	binary   string // the program under test
	rounds   int
	duration time.Duration // of one measurement of a rate
	records  int           // in the large database
}

func main() {
	var b bench
	only := flag.String("only", "", "measure only the bars whose name contains this")
	flag.IntVar(&b.rounds, "rounds", 5, "measurements of each rate; the median counts")
	flag.DurationVar(&b.duration, "duration", 3*time.Second, "length of one measurement of a rate")
	flag.IntVar(&b.records, "records", 1_000_000, "records in the large database")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, &b, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, b *bench, only string) (err error) {
	if b.dir, err = os.MkdirTemp("", "atelier-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.build(ctx); err != nil {
		return err
	}
	for _, bar := range bars {
		if !strings.Contains(bar.name, only) {
			continue
		}
		if err := bar.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", bar.name, err)
		}
	}
	return nil
}

// report prints one figure beside its bar.
func report(what string, got float64, relation string, want float64, unit string) {
	ok := "ok"
	if (relation == "≥" && got < want) || (relation == "≤" && got > want) {
		ok = "MISSED"
	}
	fmt.Printf("  %-62s %9.3f%s  %s %g%s  %s\n", what, got, unit, relation, want, unit, ok)
}
