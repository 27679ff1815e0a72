package crash_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"atelier/internal/source/sourcetest"
	"atelier/internal/store/postgrestest"
)

// TestKillInStep kills the server while a step runs that has left its process group and its session and does not heed signals.
func TestKillInStep(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		killInStep(t)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		killInStep(t, "--database", postgrestest.New(t))
	})
}

// stubborn prints many lines and the ids of its processes.
const stubborn = `
i=0
while [ $i -lt 2000 ]; do i=$((i+1)); echo "line $i"; done
setsid sh -c 'trap "" TERM INT HUP; echo "process $$"; exec sleep 100000' &
trap "" TERM
echo "process $$"
wait
`

var processLine = regexp.MustCompile(`(?m)\] process (\d+)$`)

func killInStep(t *testing.T, flags ...string) {
	in := install(t, flags...)
	s := in.start()
	job := s.makeTask("stubborn", stubborn, "")
	b := s.run(job)
	before, err := s.follow(b, func(text string) bool { return len(processLine.FindAllString(text, -1)) == 2 })
	if err != nil {
		t.Fatal(err)
	}
	var processes []watched
	for _, found := range processLine.FindAllStringSubmatch(before, -1) {
		processes = append(processes, watch(t, found[1]))
	}
	s.kill()

	s = in.start()
	for _, p := range processes {
		p.wantGone(t)
	}
	r := s.awaitEnd(b)
	if r.Status != "FAILURE" || !strings.Contains(r.ErrMsg, "server that ran the build") {
		t.Errorf("the record does not say what happened: %+v", r)
	}
	after := s.log(b)
	if !strings.HasPrefix(after, before) {
		t.Errorf("the log has changed from\n%s\nto\n%s", before, after)
	}
	for i, line := range printed(after)[:2000] {
		if want := fmt.Sprintf("line %d", i+1); line != want {
			t.Fatalf("line %d of the log is %q, want %q", i+1, line, want)
		}
	}
	if !strings.HasSuffix(after, "[ERROR] "+r.ErrMsg+"\n") {
		t.Errorf("the log does not end with the reason: %s", after[len(before):])
	}
	wantNothingLeft(t, in)

	next := s.run(job)
	if next.number != b.number+1 {
		t.Errorf("the next build has the number %d, want %d", next.number, b.number+1)
	}
	s.call("POST", "/v1/job/"+job+"/stop?build_no="+strconv.Itoa(next.number), nil, new(any))
	s.awaitEnd(next)
	if again := s.record(b); again != r {
		t.Errorf("the record has changed from %+v to %+v", r, again)
	}
	wantNothingLeft(t, in)
	s.stop()
}

// watched is a process by more than its id, which another one may get.
type watched struct {
	pid string
	fd  int
}

func watch(t *testing.T, pid string) watched {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(n, 0)
	if err != nil {
		t.Fatalf("process %d does not run: %v", n, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return watched{pid, fd}
}

// wantGone waits for the end of the process.
func (w watched) wantGone(t *testing.T) {
	t.Helper()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
	if err != nil || n == 0 {
		t.Errorf("process %s still runs: %v", w.pid, err)
	}
}

// wantNothingLeft checks that no build has left files or processes. It is called when all builds are over; their files are gone a moment later.
func wantNothingLeft(t *testing.T, in *installation) {
	t.Helper()
	builds := filepath.Join(in.dir, "builds")
	for _, pid := range processesIn(t, builds) {
		t.Errorf("a build has left process %s", pid)
	}
	left := func() []string {
		entries, err := os.ReadDir(builds)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, entry := range entries {
			if !strings.HasPrefix(entry.Name(), "spare-") { // made for a build that is still to come
				names = append(names, entry.Name())
			}
		}
		return names
	}
	for begun := time.Now(); len(left()) > 0; time.Sleep(time.Millisecond) {
		if time.Since(begun) > patience {
			t.Errorf("builds have left %v", left())
			return
		}
	}
}

// processesIn returns the processes that work in a directory.
func processesIn(t *testing.T, dir string) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && strings.HasPrefix(cwd, dir+"/") {
			pids = append(pids, strings.Split(link, "/")[2])
		}
	}
	return pids
}

// TestKillBeforeStep kills the server while one build waits for its repository, and another one for a slot. Both run in its next life.
func TestKillBeforeStep(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	repo := sourcetest.New(t, filepath.Join(root, "app"))
	repo.Write(".cloudbuild/build.yml", "version: 2.0\nsteps:\n  BUILD:\n    - sh:\n        inputs:\n          command: echo it runs\n")
	repo.Commit("init")
	var requests atomic.Int32
	arrived, gone := make(chan struct{}), make(chan struct{})
	address := serveGit(t, root, func(ctx context.Context) {
		if requests.Add(1) == 1 { // which gets no answer
			close(arrived)
			<-ctx.Done()
			close(gone)
		}
	})

	in, flags := install(t), []string{"--slots", "1", "--repository-networks", "127.0.0.1"} // where the repository is
	s := in.start(flags...)
	preparing, queued := s.makeTask("preparing", "", address+"/app"), s.makeTask("queued", "echo it runs", "")
	first := s.run(preparing)
	select {
	case <-arrived:
	case <-time.After(patience):
		t.Fatal("nobody asked for the repository")
	}
	second := s.run(queued)
	for _, b := range []build{first, second} {
		if r := s.record(b); r.Status != "QUEUED" {
			t.Errorf("before the kill: %+v", r)
		}
	}
	s.kill()

	s = in.start(flags...)
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("git still waits for the repository, on behalf of nobody")
	}
	for _, b := range []build{first, second} {
		if r := s.awaitEnd(b); r.Status != "SUCCESS" || r.BuildNo != 1 {
			t.Errorf("after the kill: %+v\n%s", r, s.log(b))
		}
		if lines := printed(s.log(b)); !slices.Contains(lines, "it runs") {
			t.Errorf("the log of the build is %q", lines)
		}
	}
	wantNothingLeft(t, in)
	s.stop()
}

// serveGit serves the repositories in root over HTTP. Every request waits first, with a context that ends when git goes away.
func serveGit(t *testing.T, root string, wait func(ctx context.Context)) (address string) {
	t.Helper()
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait(r.Context())
		backend := cgi.Handler{
			Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"), Stderr: io.Discard,
			Env: append(sourcetest.Environ(os.DevNull), "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1", "GIT_PROTOCOL="+r.Header.Get("Git-Protocol")),
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}
