package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// connections is how many clients ask at a time.
const connections = 32

// rate asks address over and over on all connections for a time, and returns answers per second. The requests are written and
// the answers read with as little work as possible, so that the server is what is measured.
func rate(ctx context.Context, address string, requests [][]byte, duration time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	var answers atomic.Int64
	errs := make(chan error, connections)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range connections {
		wg.Go(func() {
			n, err := ask(ctx, address, requests, i)
			answers.Add(n)
			if err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	close(errs)
	return float64(answers.Load()) / took.Seconds(), <-errs
}

func ask(ctx context.Context, address string, requests [][]byte, offset int) (answers int64, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 16<<10)
	for i := offset; ctx.Err() == nil; i++ {
		if _, err := conn.Write(requests[i%len(requests)]); err != nil {
			return answers, err
		}
		if err := readAnswer(r); err != nil {
			return answers, err
		}
		answers++
	}
	return answers, nil
}

// readAnswer reads one answer with a Content-Length and takes anything but 200 for an error.
func readAnswer(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(line) < 12 || string(line[9:12]) != "200" {
		return fmt.Errorf("the server answered %q", line)
	}
	length := -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		const name = "Content-Length: "
		if len(line) > len(name) && string(line[:len(name)]) == name {
			if length, err = strconv.Atoi(textproto.TrimString(string(line[len(name):]))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("an answer has no length")
	}
	_, err = r.Discard(length)
	return err
}

// median returns the middle value.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// percentile returns the value that the given share of values does not exceed.
func percentile(values []time.Duration, share float64) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

func request(path, token string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: bench\r\nX-Auth-Token: " + token + "\r\nUser-Agent: bench\r\n\r\n")
}
