package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// benchStart measures the first start, with everything made, the memory of an idle server, and the size of the program.
func benchStart(ctx context.Context, b *bench) error {
	var starts []time.Duration
	var memory float64
	for i := range 5 {
		s := &server{bench: b, data: filepath.Join(b.dir, fmt.Sprintf("start%d", i))}
		if err := os.MkdirAll(s.data, 0o700); err != nil {
			return err
		}
		password := filepath.Join(b.dir, "password")
		if err := os.WriteFile(password, []byte(benchPassword), 0o600); err != nil {
			return err
		}
		begin := time.Now()
		if err := s.start(ctx, "--admin-password-file", password); err != nil {
			return err
		}
		starts = append(starts, time.Since(begin))
		resident, err := residentMiB(s.cmd.Process.Pid)
		if err != nil {
			return err
		}
		memory = max(memory, resident)
		s.stop()
	}
	info, err := os.Stat(b.binary)
	if err != nil {
		return err
	}
	fmt.Println("start, memory and size")
	report("first start to first answer, p50", float64(percentile(starts, 0.5).Milliseconds()), "≤", 100, " ms")
	report("idle memory (resident)", memory, "≤", 64, " MiB")
	report("binary, stripped", float64(info.Size())/1e6, "≤", 80, " MB")
	return nil
}

// residentMiB reads how much memory a process has.
func residentMiB(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		var kb float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f kB", &kb); n == 1 {
			return kb / 1024, nil
		}
	}
	return 0, fmt.Errorf("no VmRSS of process %d", pid)
}
