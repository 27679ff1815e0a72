package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"
)

// benchRecord measures the first two bars: one record with the check of a token against a bare handler that writes the same bytes,
// in a small and in a large database.
func benchRecord(ctx context.Context, b *bench) error {
	small, err := b.recordServer(ctx, "small", 1000)
	if err != nil {
		return err
	}
	defer small.stop()
	large, err := b.recordServer(ctx, "large", b.records)
	if err != nil {
		return err
	}
	defer large.stop()
	bare, err := startBare(ctx, small)
	if err != nil {
		return err
	}
	defer func() { _ = bare.Close() }()

	// All candidates take turns, so that whatever else the machine does hits all of them.
	candidates := map[string]func() (float64, error){
		"bare":         func() (float64, error) { return rate(ctx, bare.Addr().String(), small.requests(1, 1), b.duration) },
		"small":        func() (float64, error) { return rate(ctx, small.host(), small.requests(1, 1), b.duration) },
		"large":        func() (float64, error) { return rate(ctx, large.host(), large.requests(b.records/2, 1), b.duration) },
		"small recent": func() (float64, error) { return rate(ctx, small.host(), small.requests(901, 100), b.duration) },
		"large recent": func() (float64, error) { return rate(ctx, large.host(), large.requests(b.records-99, 100), b.duration) },
		"large random": func() (float64, error) {
			return rate(ctx, large.host(), large.randomRequests(b.records, 50_000), b.duration)
		},
	}
	rates := make(map[string][]float64)
	for range b.rounds {
		for name, measure := range candidates {
			r, err := measure()
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			rates[name] = append(rates[name], r)
		}
	}
	m := func(name string) float64 { return median(rates[name]) }
	fmt.Printf("record-info, %d connections, median of %d × %s; the bare handler answers %.0f/s\n", connections, b.rounds, b.duration, m("bare"))
	report("one record / bare handler", m("small")/m("bare"), "≥", 0.5, "")
	report(fmt.Sprintf("one record, %d / 1,000 records", b.records), m("large")/m("small"), "≥", 0.9, "")
	report(fmt.Sprintf("the 100 newest, %d / 1,000 records", b.records), m("large recent")/m("small recent"), "≥", 0.9, "")
	fmt.Printf("  %-62s %9.3f   (no bar: nearly every answer is read from the database)\n", "records at random / bare handler", m("large random")/m("bare"))
	return nil
}

// recordServer starts a server whose one task has n finished builds.
func (b *bench) recordServer(ctx context.Context, name string, n int) (*recordServer, error) {
	s, err := b.serve(ctx, name)
	if err != nil {
		return nil, err
	}
	job, err := s.makeTask(ctx, "bench", "true")
	if err != nil {
		return nil, err
	}
	if _, err := s.runBuild(ctx, job); err != nil {
		return nil, err
	}
	s.stop()
	if err := s.copyRecords(ctx, job, n); err != nil {
		return nil, err
	}
	return &recordServer{s, job}, s.start(ctx)
}

// recordServer is a server with a task whose builds are asked for.
type recordServer struct {
	*server
	job string
}

func (s *recordServer) host() string {
	u, err := url.Parse(s.url)
	if err != nil {
		panic(err)
	}
	return u.Host
}

func (s *recordServer) request(number int) []byte {
	return request(fmt.Sprintf("/v3/jobs/%s/%d/record-info", s.job, number), s.token)
}

// requests asks for n builds from the first one on.
func (s *recordServer) requests(first, n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = s.request(first + i)
	}
	return out
}

func (s *recordServer) randomRequests(most, n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = s.request(1 + rand.IntN(most)) //nolint:gosec // any will do
	}
	return out
}

// startBare serves the same bytes as the server does, with nothing around them.
func startBare(ctx context.Context, s *recordServer) (net.Listener, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/v3/jobs/%s/1/record-info", s.url, s.job), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Auth-Token", s.token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	bare := http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body)
	})}
	go func() { _ = bare.Serve(listener) }()
	return listener, nil
}
