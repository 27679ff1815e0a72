package crash_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"atelier/internal/store/postgrestest"
)

// outage is a way in which a database is away: between begin and end.
type outage struct {
	flags      []string // of the server
	begin, end func()
	endless    bool // no outage ends a build, as no other server can have it
}

// outages are the ways that are tried.
var outages = map[string]func(t *testing.T) outage{
	"Killed": func(t *testing.T) outage {
		c := postgrestest.NewCluster(t)
		return outage{flags: []string{"--database", c.URL()}, begin: c.Kill, end: func() { c.Restart(t) }}
	},
	"Paused": func(t *testing.T) outage {
		c := postgrestest.NewCluster(t)
		return outage{flags: []string{"--database", c.URL()}, begin: func() { c.Pause(t) }, end: func() { c.Resume(t) }}
	},
	"Cut": func(t *testing.T) outage {
		r := postgrestest.NewCluster(t).Relay(t)
		return outage{flags: []string{"--database", r.URL()}, begin: r.Cut, end: r.Restore}
	},
	"Silent": func(t *testing.T) outage {
		r := postgrestest.NewCluster(t).Relay(t)
		return outage{flags: []string{"--database", r.URL()}, begin: r.Silence, end: r.Restore}
	},
	"Locked": func(t *testing.T) outage {
		file := filepath.Join(t.TempDir(), "atelier.db")
		w := &foreignWriter{t: t, file: file}
		return outage{flags: []string{"--database", "sqlite:" + file}, begin: w.lock, end: w.unlock, endless: true}
	},
}

// foreignWriter is a process that keeps a SQLite database to itself for too long.
type foreignWriter struct {
	t    *testing.T
	file string
	db   *sql.DB
	tx   *sql.Tx
}

func (w *foreignWriter) lock() {
	var err error
	if w.db, err = sql.Open("sqlite", "file:"+w.file+"?_txlock=immediate&_pragma=busy_timeout(20000)"); err == nil {
		w.tx, err = w.db.BeginTx(context.Background(), nil)
	}
	if err != nil {
		w.t.Errorf("lock the database: %v", err)
	}
}

func (w *foreignWriter) unlock() {
	if err := errors.Join(w.tx.Rollback(), w.db.Close()); err != nil {
		w.t.Error(err)
	}
}

// A database that is away for up to 20 seconds, at any moment, costs no build: none is lost, doubled or failed, and none that could
// not be accepted has taken a number. After a minute every build has ended, and says truly how.
func TestSoakDatabaseIsAway(t *testing.T) {
	t.Parallel()
	for name, make := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			size := soak(t)
			a := newAway(t, make(t), size)
			if !size.long {
				a.round(time.Second, 10)
				a.round(5*time.Second, 10)
				if name == "Killed" {
					a.round(20*time.Second, 5)
				}
				a.finish()
				return
			}
			for range 2 {
				for _, length := range []time.Duration{time.Second, 5 * time.Second, 20 * time.Second, time.Minute} {
					a.round(length, 50)
				}
			}
			a.finish()
		})
	}
}

// away is a server whose database is away now and then.
type away struct {
	*life
	t      *testing.T
	outage outage
	size   size
	fifo   string         // from which nothing comes, so that steps can wait without another process
	tasks  []task         // of builds that run while the database is away
	quick  string         // a task whose builds are started meanwhile
	stay   string         // a task whose builds do not end by themselves
	last   map[string]int // number of each task
	tally  map[string]int // how builds have ended
}

// task is a build task whose two steps print so many lines.
type task struct {
	id    string
	lines int
}

func newAway(t *testing.T, o outage, size size) *away {
	t.Helper()
	a := &away{t: t, outage: o, size: size, fifo: filepath.Join(t.TempDir(), "fifo"), last: make(map[string]int), tally: make(map[string]int)}
	if err := errors.Join(syscall.Mkfifo(a.fifo, 0o600), os.Chmod(a.fifo, 0o666)); err != nil {
		t.Fatal(err)
	}
	a.life = install(t, o.flags...).start("--slots", "60")
	a.quick = a.makeTask("quick", "echo line 1", "")
	a.stay = a.makeTask("stay", "echo line 1; exec sleep 1000", "")
	return a
}

// linesIn returns the task whose builds run for about so long.
func (a *away) linesIn(length time.Duration) task {
	a.t.Helper()
	lines := max(2, int(length/lineTime))
	for _, known := range a.tasks {
		if known.lines == lines {
			return known
		}
	}
	made := task{a.makeSteps(fmt.Sprintf("lines-%d", lines), a.print(0, lines/2), a.print(lines/2, lines)), lines}
	a.tasks = append(a.tasks, made)
	return made
}

// lineTime is how long a step waits after a line.
const lineTime = 250 * time.Millisecond

// print is a script that prints lines, and starts no process.
func (a *away) print(from, to int) string {
	return fmt.Sprintf("exec 3<>%s\ni=%d\nwhile [ $i -lt %d ]; do i=$((i+1)); echo \"line $i\"; read -rt %.2f -u 3 || true; done\n",
		a.fifo, from, to, lineTime.Seconds())
}

// makeSteps creates a task of several steps.
func (s *life) makeSteps(name string, commands ...string) (id string) {
	s.t.Helper()
	var steps []any
	for i, command := range commands {
		steps = append(steps, map[string]any{"module_id": "sh", "name": fmt.Sprint("Step ", i+1), "properties": map[string]any{"command": command}})
	}
	arch := map[string]string{"amd64": "x86-64", "arm64": "arm"}[runtime.GOARCH]
	var made struct {
		Result struct {
			ID string `json:"job_id"`
		}
	}
	s.call("POST", "/v1/job/create", map[string]any{"job_name": name, "project_id": s.project, "arch": arch, "steps": steps, "parameters": []any{}}, &made)
	return made.Result.ID
}

// outlast is how long a database may be away at most without costing a build.
const outlast = 20 * time.Second

// round has the database be away once, while as many builds run as given.
func (a *away) round(length time.Duration, builds int) {
	a.t.Helper()
	expected := make(map[build]task)
	for i := range builds {
		// Some end before the outage, some while it lasts, some behind it.
		run := a.linesIn(time.Duration(1+i%3)*length/2 + time.Duration(i%2)*time.Second)
		expected[a.started(run.id)] = run
	}
	stay := a.started(a.stay)
	if _, err := a.follow(stay, func(text string) bool { return strings.Contains(text, "] line 1\n") }); err != nil {
		a.t.Fatal(err)
	}
	time.Sleep(time.Duration(a.size.random.IntN(1000)) * time.Millisecond) // the moment is random
	began := time.Now()
	a.outage.begin()
	accepted := a.startUntil(began.Add(length))
	time.Sleep(length) // so long it is away
	a.outage.end()
	took := time.Since(began)

	lasting := length <= outlast || a.outage.endless
	a.checkStop(stay, lasting)
	quick := accepted()
	for _, b := range quick {
		expected[b] = task{a.quick, 1}
	}
	for b, run := range expected {
		a.check(b, run, lasting)
	}
	a.t.Logf("soak: %s: away for %s (%s with its begin and end) under %d builds, %d started meanwhile: %v",
		a.t.Name(), length, took.Round(100*time.Millisecond), builds+1, len(quick), a.tally)
	clear(a.tally)
}

// started starts a build, whose number is the next one.
func (a *away) started(job string) build {
	a.t.Helper()
	b := a.run(job)
	if a.last[job]++; b.number != a.last[job] {
		a.t.Errorf("a build has the number %d, not %d", b.number, a.last[job])
	}
	return b
}

// startUntil starts builds until the given moment. Every answer is that a build was started, or that the database is away. It
// returns what waits for the last answer, asks again where nobody knows, and returns the builds.
func (a *away) startUntil(until time.Time) (accepted func() []build) {
	const clients = 3
	answers := make(chan []build, clients)
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			var builds []build
			for i := 0; time.Now().Before(until); i++ {
				token := fmt.Sprintf("%d-%d-%d", until.UnixNano(), client, i)
				b, err := a.tryRun(a.quick, "X-Client-Token: "+token)
				for isAway(err) && time.Since(until) < patience {
					time.Sleep(100 * time.Millisecond) // as a client that was told to try again
					b, err = a.tryRun(a.quick, "X-Client-Token: "+token)
				}
				if err != nil {
					a.t.Errorf("a start while the database is away: %v", err)
					continue
				}
				builds = append(builds, b)
			}
			answers <- builds
		})
	}
	return func() (builds []build) {
		all.Wait()
		for range clients {
			builds = append(builds, <-answers...)
		}
		numbers := make(map[int]bool)
		for _, b := range builds {
			numbers[b.number] = true
		}
		for range builds {
			if a.last[a.quick]++; !numbers[a.last[a.quick]] {
				a.t.Errorf("of the builds that were started while the database was away none has the number %d", a.last[a.quick])
			}
		}
		return builds
	}
}

// isAway reports whether an answer says that the database is away.
func isAway(err error) bool { return err != nil && strings.Contains(err.Error(), "CB.00060100") }

// checkStop stops a build right behind an outage.
func (a *away) checkStop(b build, lasting bool) {
	a.t.Helper()
	began := time.Now()
	err := a.stopBuild(b)
	r := a.ended(b)
	a.tally[r.Status]++
	if lasting && (err != nil || r.Status != "ABORTED" || time.Since(began) > 15*time.Second) {
		a.t.Errorf("a build that was to stop: %v, after %s %+v", err, time.Since(began), r)
	}
	if !lasting && r.Status != "ABORTED" && !saysOutage(r) {
		a.t.Errorf("a build that ended in an outage: %+v", r)
	}
}

// saysOutage reports whether the record of a build says that it ended because the database was away.
func saysOutage(r record) bool {
	return r.Status == "FAILURE" && (strings.Contains(r.ErrMsg, "could not reach its database") || strings.Contains(r.ErrMsg, "lost its database"))
}

// ended waits until a build is over.
func (a *away) ended(b build) record {
	a.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(3 * time.Minute); ; <-tick.C {
		r := a.record(b)
		if r.FinishTime != "" || time.Now().After(late) {
			return r
		}
	}
}

// check checks what a build has come to.
func (a *away) check(b build, run task, lasting bool) {
	a.t.Helper()
	r, text := a.ended(b), a.log(b)
	a.tally[r.Status]++
	lines := slices.DeleteFunc(printed(text), func(line string) bool { return !strings.HasPrefix(line, "line ") })
	for i, line := range lines {
		if want := fmt.Sprintf("line %d", i+1); line != want {
			a.t.Errorf("build %d: line %d is %q in\n%s", b.number, i+1, line, text)
			return
		}
	}
	switch {
	case r.BuildNo != b.number:
		a.t.Errorf("build %d has the number %d", b.number, r.BuildNo)
	case r.Status == "SUCCESS" && len(lines) == run.lines && r.ErrMsg == "":
	case !lasting && saysOutage(r) && strings.Contains(text, r.ErrMsg):
	default:
		a.t.Errorf("build %d of %d lines has ended as %+v with the log\n%s", b.number, run.lines, r, text)
	}
}

// finish checks that the next build goes as if nothing had been, and that nothing is left.
func (a *away) finish() {
	a.t.Helper()
	a.check(a.started(a.quick), task{a.quick, 1}, true)
	wantNothingLeft(a.t, a.installation)
	a.stop()
}
