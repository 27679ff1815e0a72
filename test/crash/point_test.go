package crash_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"atelier/internal/crash"
	"atelier/internal/iam/signature"
	"atelier/internal/source/sourcetest"
	"atelier/internal/store/postgrestest"
)

// deaths is how many times the server dies at each point, with each database.
const deaths = 8

// TestKillAtEveryPoint has the server killed at each point of a build's life, again and again with the same data, while builds of all
// kinds are started and stopped, strangers try their luck, and nonsense is sent. In a last life everything that ever was accepted is looked
// at. What is checked is what docs/design.md promises, and each check says so by its name:
//
//	numbers have no gap and no repeat                        checkNumbers
//	what was accepted ends, for a reason that it gives       checkBuild
//	nothing runs twice, or after its end                     checkBuild, checkMarks
//	what was read of a log stays; no secret is anywhere      checkBuild, checkSecret
//	stop ends all processes in time and leaves nothing       checkStop, wantNothingLeft
//	no input makes the server panic or fail                  pester, launch
//	nobody sees or does what they may not                    pester
//	a newer database is refused, and nothing of it lost      checkNewer
func TestKillAtEveryPoint(t *testing.T) {
	t.Parallel()
	for i, point := range crash.Points {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			t.Run("SQLite", func(t *testing.T) {
				newHistory(t).run(point, rand.New(rand.NewPCG(3, uint64(i))))
			})
			t.Run("PostgreSQL", func(t *testing.T) {
				newHistory(t, "--database", postgrestest.New(t)).run(point, rand.New(rand.NewPCG(4, uint64(i))))
			})
		})
	}
}

// before says at which other point a server must have died for one to be reached at all.
var before = map[crash.Point]crash.Point{crash.BuildSeized: crash.StepStored, crash.BuildRequeued: crash.SourceResolved}

// history is what happens to an installation over the lives of its server, as its clients see it.
type history struct {
	t        *testing.T
	in       *installation
	repos    string // the directory of the repositories
	marks    string // the file in which steps note what they do
	secret   string
	stranger signature.Key // of a user without a role
	commands []command

	mu     sync.Mutex
	starts []*start
}

// command is a kind of build that clients start.
type command struct {
	job   string
	steps []string // what its steps are called in the file of marks
	stops bool     // it has to be stopped
}

// start is a request for a build. Its token makes it safe to repeat.
type start struct {
	command
	token string
	build build  // number 0: no answer came
	read  string // what the client saw of the log
}

// script is a step that notes what it does, and prints five lines and something that must not be seen.
func (h *history) script(name string) string {
	return fmt.Sprintf(`mark() { echo "$1 $JOB_NAME/$INCREASENUM/%s" >> %s; }
mark begin
echo "the secret is $SECRET"
i=0
while [ $i -lt 5 ]; do i=$((i+1)); echo "line $i"; mark tick; sleep 0.003; done
head -c 70000 /dev/zero | tr '\0' x | fold -w 1000; echo
echo "build $INCREASENUM" > app
mark end
`, name, h.marks)
}

func newHistory(t *testing.T, flags ...string) *history {
	t.Helper()
	root := t.TempDir()
	h := &history{t: t, repos: root, marks: filepath.Join(root, "marks"), secret: "dont-" + strings.ReplaceAll(uuid.NewString(), "-", "")}
	indent := func(name string) string {
		return strings.ReplaceAll(strings.TrimSpace(h.script(name)), "\n", "\n            ")
	}
	file := func(name string) string {
		return "version: 2.0\nsteps:\n  BUILD:\n    - sh:\n        inputs:\n          command: |\n            " + indent(name) + "\n"
	}
	app := sourcetest.New(t, filepath.Join(root, "app"))
	app.Write(".cloudbuild/build.yml", file("only")+"    - upload_artifact:\n        inputs: {path: app, version: \"v${INCREASENUM}\"}\n")
	app.Commit("init")
	flow := sourcetest.New(t, filepath.Join(root, "flow"))
	flow.Write(".cloudbuild/build.yml", "version: 2.0\nbuildflow:\n  jobs:\n    - {job: A, build_ref: a.yml}\n    - {job: B, build_ref: b.yml, depends_on: A}\n")
	flow.Write("a.yml", file("a"))
	flow.Write("b.yml", file("b"))
	flow.Commit("init")

	h.in = install(t, flags...)
	s := h.serve("")
	secret := parameter("SECRET", h.secret)
	h.commands = []command{
		{job: s.makeTask("plain", h.script("only"), "", secret), steps: []string{"only"}},
		{job: s.makeTask("app", "", app.URL(), secret), steps: []string{"only"}},
		{job: s.makeTask("flow", "", flow.URL(), secret), steps: []string{"a", "b"}},
		{job: s.makeTask("endless", h.script("only")+leftBehind, "", secret), steps: []string{"only"}, stops: true},
	}
	s.stop()
	h.in.admin("user", "create", "stranger")
	h.stranger = h.in.makeKey("stranger")
	return h
}

// leftBehind waits, and so does a process that has left the session of the step.
const leftBehind = `
setsid sh -c 'echo "process $$"; exec sleep 100000' &
echo "process $$"
sleep 100000
`

// parameter is a private parameter of a task.
func parameter(name, value string) map[string]any {
	var params []any
	for k, v := range map[string]string{"name": name, "type": "normalparam", "defaultValue": value, "sensitiveVar": "true"} {
		params = append(params, map[string]any{"name": k, "value": v})
	}
	return map[string]any{"name": "hudson.model.StringParameterDefinition", "params": params}
}

func (h *history) serve(crashAt string) *life {
	h.t.Helper()
	return h.in.launch(crashAt, "--slots", "3", "--file-repositories", h.repos)
}

func (h *history) run(point crash.Point, random *rand.Rand) {
	for range deaths {
		times := 1 + random.IntN(3)
		if first, ok := before[point]; ok {
			times = 1
			h.dieAt(first, 1)
		}
		h.dieAt(point, times)
	}
	s := h.serve("")
	if s.url == "" {
		h.t.Fatal("the server does not start any more")
	}
	ends := h.check(s)
	s.stop()
	h.checkNewer(ends)
}

// dieAt runs a server that is killed when it reaches a point for the given time. Clients keep it busy until then.
func (h *history) dieAt(point crash.Point, times int) {
	h.t.Helper()
	s := h.serve(fmt.Sprintf("%s:%d", point, times))
	var clients sync.WaitGroup
	if s.url != "" { // or it has died already, of what it found
		for _, c := range h.commands {
			clients.Go(func() { h.keepBusy(s, c) })
		}
		clients.Go(func() { h.pester(s) })
	}
	s.await()
	clients.Wait()
	if status := s.cmd.ProcessState; status.ExitCode() != -1 {
		h.t.Fatalf("the server ended with %v before it reached %s", status, point)
	}
}

// keepBusy starts builds, one after another, for as long as the server lives.
func (h *history) keepBusy(s *life, c command) {
	for {
		request := h.request(c)
		var err error
		if request.build, err = s.tryRun(c.job, "X-Client-Token: "+request.token); err != nil {
			return
		}
		request.read, err = s.follow(request.build, func(text string) bool { return c.stops && strings.Contains(text, "] line 5\n") })
		if err != nil {
			return
		}
		if c.stops {
			if s.stopBuild(request.build) != nil {
				return
			}
			if _, err = s.follow(request.build, func(string) bool { return false }); err != nil {
				return
			}
		}
	}
}

// request notes that a build is asked for.
func (h *history) request(c command) *start {
	request := &start{command: c, token: uuid.NewString()}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.starts = append(h.starts, request)
	return request
}

func (s *life) stopBuild(b build) error {
	return s.try("POST", "/v1/job/"+b.job+"/stop?build_no="+strconv.Itoa(b.number), nil, new(any))
}

// check looks at everything in the last life. It returns the builds as they ended.
func (h *history) check(s *life) map[build]record {
	h.t.Helper()
	h.checkNumbers(s)
	for _, request := range h.starts {
		if request.stops {
			_ = s.stopBuild(request.build) // an error: it is over
		}
	}
	ends := make(map[build]record)
	for _, request := range h.starts {
		ends[request.build] = s.awaitEnd(request.build)
	}
	ran := h.readMarks()
	for _, request := range h.starts {
		h.checkBuild(s, request, ends[request.build], ran)
	}
	h.checkFlows(s)
	wantNothingLeft(h.t, h.in)
	h.checkMarks(ran)
	stopped, end := h.checkStop(s)
	ends[stopped] = end
	h.checkSecret()
	response, err := http.Get(s.url + h.starts[0].build.path() + "/record-info")
	if err != nil {
		h.t.Fatal(err)
	}
	if response.Body.Close(); response.StatusCode != http.StatusUnauthorized {
		h.t.Errorf("who does not say who they are gets %s", response.Status)
	}
	return ends
}

// checkNumbers asks for every build again: the first answer, if there was one, comes again, and the numbers of each task are 1, 2, 3.
func (h *history) checkNumbers(s *life) {
	h.t.Helper()
	numbers := make(map[string][]int)
	for _, request := range h.starts {
		b, err := s.tryRun(request.job, "X-Client-Token: "+request.token)
		if err != nil {
			h.t.Fatal(err)
		}
		if request.build.number != 0 && b != request.build {
			h.t.Errorf("one request has started %v and %v", request.build, b)
		}
		request.build = b
		numbers[b.job] = append(numbers[b.job], b.number)
	}
	for job, given := range numbers {
		slices.Sort(given)
		for i, n := range given {
			if n != i+1 {
				h.t.Fatalf("the numbers of task %s are %v", job, given)
			}
		}
	}
}

// checkMarks checks that no step does anything after all builds have ended.
func (h *history) checkMarks(ran map[string]int) {
	h.t.Helper()
	if after := h.readMarks(); fmt.Sprint(after) != fmt.Sprint(ran) {
		h.t.Errorf("steps went on after the end of their builds")
	}
}

// readMarks counts what steps have noted.
func (h *history) readMarks() map[string]int {
	h.t.Helper()
	data, err := os.ReadFile(h.marks)
	if err != nil {
		h.t.Fatal(err)
	}
	ran := make(map[string]int)
	for line := range strings.Lines(string(data)) {
		ran[strings.TrimSpace(line)]++
	}
	return ran
}

var names = []string{"plain", "app", "flow", "endless"}

// checkBuild checks one build: its end, its log, what its steps did, and what it uploaded.
func (h *history) checkBuild(s *life, request *start, r record, ran map[string]int) {
	h.t.Helper()
	b := request.build
	name := names[slices.IndexFunc(h.commands, func(c command) bool { return c.job == b.job })]
	wrong := func(format string, args ...any) {
		h.t.Helper()
		h.t.Errorf("build %d of %s, %s %q: %s", b.number, name, r.Status, r.ErrMsg, fmt.Sprintf(format, args...))
	}
	log := s.log(b)
	if !strings.HasPrefix(log, request.read) {
		wrong("a client had read\n%s\nbut the log is\n%s", request.read, log)
	}
	if strings.Contains(log+request.read+r.ErrMsg, h.secret) {
		wrong("the secret can be read:\n%s", log)
	}
	switch {
	case r.Status == "SUCCESS" && !request.stops && r.ErrMsg == "":
	case r.Status == "ABORTED" && request.stops:
	case r.Status == "FAILURE" && strings.Contains(r.ErrMsg, "server that ran the build"):
	default:
		wrong("it ought not to end so")
	}
	for _, step := range request.steps {
		id := fmt.Sprintf("%s/%d/%s", name, b.number, step)
		begins, ends := ran["begin "+id], ran["end "+id]
		if begins > 1 || ends > begins || r.Status == "SUCCESS" && ends != 1 {
			wrong("step %s has begun %d times and ended %d times", step, begins, ends)
		}
	}
	lines := slices.DeleteFunc(printed(log), func(line string) bool { return !strings.HasPrefix(line, "line ") })
	for i, line := range lines {
		if want := fmt.Sprintf("line %d", i+1); line != want {
			wrong("line %d of its log is %q", i+1, line)
		}
	}
	if r.Status != "SUCCESS" {
		return
	}
	if name != "flow" && len(lines) != 5 {
		wrong("its log has %d lines", len(lines))
	}
	if name == "app" {
		if got, want := s.artifact(fmt.Sprintf("v%d/app", b.number)), fmt.Sprintf("build %d\n", b.number); got != want {
			wrong("it has uploaded %q", got)
		}
	}
}

// checkFlows checks that no job of a flow goes on.
func (h *history) checkFlows(s *life) {
	for _, c := range h.commands {
		var running struct{ Result bool }
		if s.call("GET", "/v3/jobs/"+c.job+"/status", nil, &running); running.Result {
			h.t.Errorf("task %s still runs", c.job)
		}
	}
}

// checkSecret looks for the secret in everything that the server has stored.
func (h *history) checkSecret() {
	err := filepath.WalkDir(h.in.dir, func(path string, entry fs.DirEntry, err error) error {
		var data []byte
		if err == nil && entry.Type().IsRegular() {
			data, err = os.ReadFile(path)
		}
		if bytes.Contains(data, []byte(h.secret)) {
			h.t.Errorf("the secret is in %s", path)
		}
		if errors.Is(err, fs.ErrNotExist) { // what is there for the next build has another name by now
			return nil
		}
		return err
	})
	if err != nil {
		h.t.Error(err)
	}
	h.checkSecretInTables()
}
