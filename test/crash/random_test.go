package crash_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"atelier/internal/source/sourcetest"
)

// lives is how many times a server is killed.
const lives = 10

// steady prints numbered lines, for a tenth of a second or so.
const steady = `
i=0
while [ $i -lt 30 ]; do i=$((i+1)); echo "line $i"; sleep 0.003; done
`

// started is a build that the server has accepted, and what a client had read of its log when the server was killed.
type started struct {
	build
	read string
	over bool // the client had read all of it
}

// TestKillAtAnyTime kills the server again and again, at random moments while builds are started, prepared, run and read. After the
// last life everything that was accepted is over, in order and whole.
func TestKillAtAnyTime(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	repo := sourcetest.New(t, filepath.Join(root, "app"))
	repo.Write(".cloudbuild/build.yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh:\n        inputs:\n          command: |"+strings.ReplaceAll(steady, "\n", "\n            ")+"\n")
	repo.Commit("init")
	in := install(t)
	serve := func() *life { return in.start("--slots", "2", "--file-repositories", root) }

	s := serve()
	jobs := []string{s.makeTask("plain", steady, ""), s.makeTask("from-file", "", repo.URL())}
	var all []started
	for round := range lives {
		// The seed is the round: a failure comes again, as far as the machine lets it.
		random := rand.New(rand.NewPCG(1, uint64(round)))
		all = append(all, s.killWhileBusy(jobs, 1+random.IntN(4), time.Duration(random.IntN(250))*time.Millisecond)...)
		s = serve()
	}

	last := make(map[string]int)
	for _, b := range all {
		last[b.job] = max(last[b.job], b.number)
		checkAfterwards(t, s, b)
	}
	for _, job := range jobs {
		// A build whose acceptance was not heard of may be there too. All numbers up to the last one are given.
		next := s.run(job)
		for number := 1; number < next.number; number++ {
			if r := s.awaitEnd(build{job, number}); r.BuildNo != number {
				t.Errorf("build %d has the number %d", number, r.BuildNo)
			}
		}
		if next.number <= last[job] {
			t.Errorf("the number %d was given twice", next.number)
		}
		if r := s.awaitEnd(next); r.Status != "SUCCESS" {
			t.Errorf("a build after all the trouble: %+v", r)
		}
	}
	wantNothingLeft(t, in)
	s.stop()
}

// TestKillAtStart kills a server that is making its data directory. The next one goes on from whatever there is.
func TestKillAtStart(t *testing.T) {
	t.Parallel()
	for round := range 5 {
		in := &installation{t: t, dir: filepath.Join(t.TempDir(), "data")}
		in.flags = []string{"--data-dir", in.dir}
		random := rand.New(rand.NewPCG(2, uint64(round)))
		for range 3 {
			cmd := in.command("serve", "--listen", "127.0.0.1:0", "--tls-self-signed")
			alarm := time.NewTimer(time.Duration(random.IntN(80)) * time.Millisecond)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-alarm.C
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // it was killed
		}
		in.start("--tls-self-signed").stop()
	}
}

// killWhileBusy starts builds, follows their logs, and kills the server after a time, wherever it then is.
func (s *life) killWhileBusy(jobs []string, count int, after time.Duration) []started {
	s.t.Helper()
	var (
		mu      sync.Mutex
		all     []started
		clients sync.WaitGroup
	)
	alarm := time.NewTimer(after)
	for i := range count {
		clients.Go(func() {
			b, err := s.tryRun(jobs[i%len(jobs)])
			if err != nil {
				return // the server is gone
			}
			text, err := s.follow(b, func(string) bool { return false }) // as far as it goes
			mu.Lock()
			defer mu.Unlock()
			all = append(all, started{b, text, err == nil})
		})
	}
	<-alarm.C
	s.kill()
	clients.Wait()
	return all
}

// checkAfterwards checks a build that was accepted in an earlier life.
func checkAfterwards(t *testing.T, s *life, b started) {
	t.Helper()
	r := s.awaitEnd(b.build)
	log := s.log(b.build)
	if !strings.HasPrefix(log, b.read) {
		t.Errorf("build %d: a client had read\n%s\nbut the log is\n%s", b.number, b.read, log)
	}
	lines := slices.DeleteFunc(printed(log), func(line string) bool { return !strings.HasPrefix(line, "line ") }) // git prints too
	for i, line := range lines {
		if want := fmt.Sprintf("line %d", i+1); line != want {
			t.Errorf("build %d: line %d is %q, want %q in\n%s", b.number, i+1, line, want, log)
			break
		}
	}
	switch {
	case b.over && (log != b.read || r.Status != "SUCCESS"):
		t.Errorf("build %d was over, with the log\n%s\nand is now %+v, with the log\n%s", b.number, b.read, r, log)
	case r.BuildNo != b.number:
		t.Errorf("build %d has the number %d", b.number, r.BuildNo)
	case r.Status == "SUCCESS" && (len(lines) != 30 || r.ErrMsg != ""):
		t.Errorf("build %d succeeded with %d lines: %+v", b.number, len(lines), r)
	case r.Status == "FAILURE" && !strings.Contains(r.ErrMsg, "server that ran the build"):
		t.Errorf("build %d does not say why it failed: %+v", b.number, r)
	case r.Status != "SUCCESS" && r.Status != "FAILURE":
		t.Errorf("build %d ended as %+v", b.number, r)
	}
}
