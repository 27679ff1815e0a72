package main

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

func arch() string {
	if runtime.GOARCH == "arm64" {
		return "arm"
	}
	return "x86-64"
}

// runBuild starts a build, waits until it is over, and returns how long that took.
func (s *server) runBuild(ctx context.Context, job string) (time.Duration, error) {
	start := time.Now()
	_, err := s.runToEnd(ctx, job)
	return time.Since(start), err
}

// runToEnd starts a build, waits until it has succeeded, and returns its number.
func (s *server) runToEnd(ctx context.Context, job string) (number string, err error) {
	var started struct {
		Number string `json:"actual_build_number"`
	}
	if err := s.call(ctx, http.MethodPost, "/v3/jobs/build", map[string]any{"job_id": job}, &started); err != nil {
		return "", err
	}
	for {
		var info struct {
			Result struct{ Status, ErrMsg string }
		}
		if err := s.call(ctx, http.MethodGet, "/v3/jobs/"+job+"/"+started.Number+"/record-info", nil, &info); err != nil {
			return "", err
		}
		switch info.Result.Status {
		case "QUEUED", "RUNNING":
			time.Sleep(200 * time.Microsecond) // less than the time of an answer
		case "SUCCESS":
			return started.Number, nil
		default:
			return "", fmt.Errorf("build %s ended as %s: %s", started.Number, info.Result.Status, info.Result.ErrMsg)
		}
	}
}

// shell returns how long it takes to start one shell that does nothing.
func shell(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	err := exec.CommandContext(ctx, "bash", "-e", "-c", "true").Run()
	return time.Since(start), err
}

// sandboxes are the ways to run steps that are compared: the bars are about the first, the second is the default.
var sandboxes = []string{"off", "auto"}

// rest is how long a server is left alone before it counts as idle: it makes the sandbox for the next build meanwhile.
const rest = 20 * time.Millisecond

// benchNoop measures a build that does nothing on an idle server, from the request that starts it to its final state.
func benchNoop(ctx context.Context, b *bench) error {
	for _, sandbox := range sandboxes {
		if err := benchNoopIn(ctx, b, sandbox); err != nil {
			return err
		}
	}
	return nil
}

func benchNoopIn(ctx context.Context, b *bench, sandbox string) error {
	s, err := b.serve(ctx, "noop-"+sandbox, "--sandbox", sandbox)
	if err != nil {
		return err
	}
	defer s.stop()
	job, err := s.makeTask(ctx, "noop", "true")
	if err != nil {
		return err
	}
	const builds = 300
	var times, shells []time.Duration
	for i := range builds + 20 {
		took, err := s.runBuild(ctx, job)
		if err != nil {
			return err
		}
		sh, err := shell(ctx)
		if err != nil {
			return err
		}
		if i >= 20 { // the first ones warm up
			times, shells = append(times, took), append(shells, sh)
		}
		time.Sleep(rest)
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	fmt.Printf("no-op build on an idle server, %d builds, host executor, --sandbox %s; one bash takes %.2f ms\n", builds, sandbox, ms(percentile(shells, 0.5)))
	report("request to final state, p50", ms(percentile(times, 0.5)), "≤", 8, " ms")
	report("request to final state, p99", ms(percentile(times, 0.99)), "≤", 50, " ms")
	return nil
}

// benchMany measures many no-op builds that are started at once against as many shells one after another.
func benchMany(ctx context.Context, b *bench) error {
	for _, sandbox := range sandboxes {
		if err := benchManyIn(ctx, b, sandbox); err != nil {
			return err
		}
	}
	return nil
}

func benchManyIn(ctx context.Context, b *bench, sandbox string) error {
	s, err := b.serve(ctx, "many-"+sandbox, "--sandbox", sandbox)
	if err != nil {
		return err
	}
	defer s.stop()
	job, err := s.makeTask(ctx, "many", "true")
	if err != nil {
		return err
	}
	if _, err := s.runBuild(ctx, job); err != nil {
		return err
	}
	for _, n := range []int{200, 1000} {
		var ratios []float64
		for range 3 {
			start := time.Now()
			for range n {
				if _, err := shell(ctx); err != nil {
					return err
				}
			}
			shells := time.Since(start)
			builds, err := s.runMany(ctx, job, n)
			if err != nil {
				return err
			}
			ratios = append(ratios, builds.Seconds()/shells.Seconds())
		}
		fmt.Printf("%d no-op builds, started by 8 clients, --sandbox %s\n", n, sandbox)
		report("builds / shells, wall time", median(ratios), "≤", 3, "")
	}
	return nil
}

// runMany starts n builds and waits until the last one is over.
func (s *server) runMany(ctx context.Context, job string, n int) (time.Duration, error) {
	const clients = 8
	start := time.Now()
	errs := make(chan error, clients)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range n / clients {
				if err := s.call(ctx, http.MethodPost, "/v3/jobs/build", map[string]any{"job_id": job}, nil); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	if err := <-errs; err != nil {
		return 0, err
	}
	for {
		var running struct{ Result bool }
		if err := s.call(ctx, http.MethodGet, "/v3/jobs/"+job+"/status", nil, &running); err != nil {
			return 0, err
		}
		if !running.Result {
			return time.Since(start), nil
		}
		time.Sleep(2 * time.Millisecond)
	}
}
