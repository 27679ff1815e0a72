package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// benchLog measures builds that print much: to the end, with the whole log read back.
func benchLog(ctx context.Context, b *bench) error {
	s, err := b.serve(ctx, "log", "--sandbox", "off", "--log-limit", "0")
	if err != nil {
		return err
	}
	defer s.stop()
	const lines = 100_000
	lined, err := s.makeTask(ctx, "lines", fmt.Sprintf("seq 1 %d", lines))
	if err != nil {
		return err
	}
	var times []float64
	for range b.rounds {
		_, took, err := s.printed(ctx, lined)
		if err != nil {
			return err
		}
		times = append(times, took.Seconds())
	}
	fmt.Printf("a build that prints %d lines, %d times\n", lines, b.rounds)
	report("request to the whole log, p50", median(times), "≤", 0.2, " s")

	const size = 1 << 30
	file := filepath.Join(b.dir, "gigabyte")
	text := fmt.Sprintf("yes '%s' | head -c %d > %s", "a line of a build log that is about as long as lines of build logs are, more or less", size, file)
	if err := exec.CommandContext(ctx, "bash", "-c", text).Run(); err != nil {
		return err
	}
	large, err := s.makeTask(ctx, "gigabyte", "cat "+file)
	if err != nil {
		return err
	}
	var ended, read []float64
	for range b.rounds {
		start := time.Now()
		if err := exec.CommandContext(ctx, "bash", "-c", "cat "+file+" | cat > "+file+".copy").Run(); err != nil {
			return err
		}
		copied := time.Since(start)
		end, all, err := s.printed(ctx, large)
		if err != nil {
			return err
		}
		ended = append(ended, copied.Seconds()/end.Seconds())
		read = append(read, copied.Seconds()/all.Seconds())
		if err := os.Remove(file + ".copy"); err != nil {
			return err
		}
	}
	fmt.Printf("a build that prints 1 GB, %d times: printed bytes a second / cat through a pipe to a file\n", b.rounds)
	report("request to the final state", median(ended), "≥", 0.3, "")
	fmt.Printf("  with the whole log read back, which is larger by its time stamps: %.3f\n", median(read))
	return s.benchBeside(ctx, large, file)
}

// benchBeside measures no-op builds while another build prints much, against the same while somebody else copies as much.
func (s *server) benchBeside(ctx context.Context, large, file string) error {
	noop, err := s.makeTask(ctx, "beside", "true")
	if err != nil {
		return err
	}
	logged, err := s.timeBeside(ctx, noop, func() error {
		_, err := s.runToEnd(ctx, large)
		return err
	})
	if err != nil {
		return err
	}
	copied, err := s.timeBeside(ctx, noop, func() error {
		return exec.CommandContext(ctx, "bash", "-c", "for i in 1 2 3; do cat "+file+" | cat > "+file+".copy; done; rm "+file+".copy").Run()
	})
	if err != nil {
		return err
	}
	fmt.Printf("  a no-op build beside it takes %.1f ms, beside cat through a pipe to a file %.1f ms (p50)\n", 1000*logged, 1000*copied)
	return nil
}

// timeBeside returns the median time of a build, in seconds, while other work goes on.
func (s *server) timeBeside(ctx context.Context, job string, work func() error) (float64, error) {
	var times []float64
	for range s.bench.rounds {
		done := make(chan error, 1)
		go func() { done <- work() }()
		for over := false; !over; {
			took, err := s.runBuild(ctx, job)
			if err != nil {
				return 0, err
			}
			select {
			case err := <-done:
				if err != nil {
					return 0, err
				}
				over = true
			default:
				times = append(times, took.Seconds())
			}
		}
	}
	return median(times), nil
}

// printed runs a build and reads its log. It returns how long the first took, and how long both.
func (s *server) printed(ctx context.Context, job string) (end, all time.Duration, err error) {
	start := time.Now()
	number, err := s.runToEnd(ctx, job)
	if err != nil {
		return 0, 0, err
	}
	end = time.Since(start)
	var info struct {
		Result struct {
			ID string `json:"buildRecordId"`
		}
	}
	if err := s.call(ctx, http.MethodGet, "/v3/jobs/"+job+"/"+number+"/record-info", nil, &info); err != nil {
		return 0, 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/v4/"+info.Result.ID+"/download-log?log_level=DEBUG", nil)
	if err != nil {
		return 0, 0, err
	}
	r.Header.Set("X-Auth-Token", s.token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return end, time.Since(start), err
}
