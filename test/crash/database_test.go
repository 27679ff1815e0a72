package crash_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"atelier/internal/store/postgrestest"
)

// gated prints a line, waits until a file is there, and prints another.
func gated(file string) string {
	return "echo it waits\nuntil [ -e " + file + " ]; do sleep 0.01; done\necho it goes on"
}

// wantUnavailable checks that a start request is refused, for now, in an answer that comes.
func wantUnavailable(t *testing.T, s *life, job string) {
	t.Helper()
	status, answer, err := s.send(s.key, http.MethodPost, "/v1/job/execute", fmt.Appendf(nil, `{"job_id": %q}`, job))
	var fault struct {
		Code string `json:"error_code"`
	}
	if err == nil {
		err = json.Unmarshal(answer, &fault)
	}
	if err != nil || status != http.StatusInternalServerError || fault.Code != "CB.00060100" {
		t.Errorf("a start is answered with %d %s, %v", status, answer, err)
	}
}

// TestDatabaseIsKilled kills PostgreSQL while a build runs, which ends while there is no database.
func TestDatabaseIsKilled(t *testing.T) {
	t.Parallel()
	cluster, gate := postgrestest.NewCluster(t), filepath.Join(t.TempDir(), "gate")
	in := install(t, "--database", cluster.URL())
	s := in.start()
	job, quick := s.makeTask("gated", gated(gate), ""), s.makeTask("quick", "true", "")
	b := s.run(job)
	if _, err := s.follow(b, func(text string) bool { return strings.Contains(text, "] it waits\n") }); err != nil {
		t.Fatal(err)
	}
	cluster.Kill()
	wantUnavailable(t, s, quick)
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// The step is over when nothing of it works in the build's directory any more; what became of it cannot be stored now.
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); len(processesIn(t, filepath.Join(in.dir, "builds"))) > 0; {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the step does not end")
		}
	}
	cluster.Restart(t)
	r := s.awaitEnd(b)
	lost := r.Status == "FAILURE" && strings.Contains(r.ErrMsg, "lost its database") // when the machine took longer for all that than a lease lasts
	if r.Status != "SUCCESS" && !lost || !lost && !slices.Equal(printed(s.log(b)), []string{"it waits", "it goes on"}) {
		t.Errorf("%+v\n%s", r, s.log(b))
	}
	if next := s.run(quick); next.number != 1 || s.awaitEnd(next).Status != "SUCCESS" {
		t.Errorf("the next build is %d, %+v", next.number, s.record(next))
	}
	wantNothingLeft(t, in)
	s.stop()
}

// TestDatabaseIsKilledAtAnyTime kills PostgreSQL again and again, at random moments, under a server that goes on. What was accepted ends, and
// what was not has taken no number.
func TestDatabaseIsKilledAtAnyTime(t *testing.T) {
	t.Parallel()
	cluster := postgrestest.NewCluster(t)
	in := install(t, "--database", cluster.URL())
	s := in.start("--slots", "2")
	job := s.makeTask("plain", steady, "")
	var mu sync.Mutex
	accepted := make(map[int]bool)
	for round := range 5 {
		random := rand.New(rand.NewPCG(5, uint64(round)))
		alarm := time.NewTimer(time.Duration(random.IntN(400)) * time.Millisecond)
		var clients sync.WaitGroup
		for range 3 {
			clients.Go(func() {
				for {
					b, err := s.tryRun(job)
					if err != nil {
						return // the database is gone
					}
					mu.Lock()
					accepted[b.number] = true
					mu.Unlock()
					if _, err := s.follow(b, func(string) bool { return false }); err != nil {
						return
					}
				}
			})
		}
		<-alarm.C
		cluster.Kill()
		clients.Wait()
		cluster.Restart(t)
	}
	// Each connection that the server had to the database may cost a request, which says that it is to be made again.
	again := func(do func() error) {
		t.Helper()
		err := do()
		for range 100 {
			if err == nil || !strings.Contains(err.Error(), "briefly unavailable") {
				break
			}
			err = do()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var last build
	again(func() (err error) { last, err = s.tryRun(job); return err })
	for number := 1; number <= last.number; number++ {
		b := build{job, number}
		var text string
		again(func() (err error) { text, err = s.follow(b, func(string) bool { return false }); return err }) // to its end
		var r record
		again(func() (err error) { r, err = s.tryRecord(b); return err })
		lines := printed(text)
		for i, line := range lines {
			if want := fmt.Sprintf("line %d", i+1); line != want {
				t.Errorf("build %d: line %d is %q", number, i+1, line)
			}
		}
		switch {
		case r.Status == "SUCCESS" && len(lines) == 30:
		case r.Status == "FAILURE" && strings.Contains(r.ErrMsg, "lost its database"): // when the machine took longer to start one than a lease lasts
		default:
			t.Errorf("build %d has ended as %+v, with %d lines", number, r, len(lines))
		}
		delete(accepted, number)
	}
	if len(accepted) > 0 {
		t.Errorf("builds were accepted that are not there: %v", accepted)
	}
	wantNothingLeft(t, in)
	s.stop()
}
