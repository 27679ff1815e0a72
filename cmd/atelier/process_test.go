package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience bounds every wait of a script.
const patience = time.Minute

// process is an atelier that runs in the background of a script.
type process struct {
	cmd      *exec.Cmd
	out, err *output
	ended    chan struct{} // closed when it has ended and all its output is there
}

type processKey struct{}

func processes(ts *testscript.TestScript) map[string]*process {
	return ts.Value(processKey{}).(map[string]*process)
}

// startProcess is the command start NAME ARG...
func startProcess(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) >= 2, "start NAME ARG...")
	name := args[0]
	if p := processes(ts)[name]; p != nil && !p.over() {
		ts.Fatalf("%s runs already", name)
	}
	program, err := exec.LookPath("atelier")
	ts.Check(err)
	p := &process{cmd: exec.Command(program, args[1:]...), out: newOutput(), err: newOutput(), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = ts.MkAbs("."), environ(ts)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.err
	ts.Check(p.cmd.Start())
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // ProcessState says it
	}()
	ts.Defer(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
	})
	processes(ts)[name] = p
}

// environ returns the variables of a script: a testscript tells only what it is asked for.
func environ(ts *testscript.TestScript) []string {
	parser, _, err := newParser(stdio{})
	ts.Check(err)
	names := []string{"PATH", "HOME", "TMPDIR", "GORACE", "ATELIER_CONFIG"}
	for _, setting := range settingNames(parser.Model.Node) {
		names = append(names, variableOf(setting))
	}
	var env []string
	for _, name := range names {
		if value := ts.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func findProcess(ts *testscript.TestScript, name string) *process {
	p := processes(ts)[name]
	if p == nil {
		ts.Fatalf("%s was not started", name)
	}
	return p
}

// keep writes what a process has printed so far into the script's directory.
func (p *process) keep(ts *testscript.TestScript, name string) {
	ts.Check(os.WriteFile(ts.MkAbs(name+".out"), p.out.text(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(name+".err"), p.err.text(), 0o600))
}

// awaitProcess is the command await NAME REGEXP. The two outputs come apart from each other: that something stands in one says
// nothing about the other.
func awaitProcess(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "await NAME REGEXP")
	p := findProcess(ts, args[0])
	want, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	late := time.After(patience)
	for {
		more, result := p.err.more(), p.out.more()
		over := p.over()
		found := want.FindSubmatch(p.err.text())
		if found == nil {
			found = want.FindSubmatch(p.out.text())
		}
		if found != nil {
			for i, group := range want.SubexpNames() {
				if group != "" {
					ts.Setenv(group, string(found[i]))
				}
			}
			p.keep(ts, args[0])
			return
		}
		if over {
			ts.Fatalf("%s ended and has not printed %s:\n%s", args[0], want, p.err.text())
		}
		select {
		case <-more:
		case <-result:
		case <-p.ended:
		case <-late:
			ts.Fatalf("%s has not printed %s:\n%s", args[0], want, p.err.text())
		}
	}
}

var signals = map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "KILL": os.Kill}

// signalProcess is the command signal NAME SIGNAL.
func signalProcess(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2 && signals[args[1]] != nil, "signal NAME INT|TERM|KILL")
	ts.Check(findProcess(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

// endProcess is the command end NAME STATUS.
func endProcess(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "end NAME STATUS")
	p := findProcess(ts, args[0])
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	select {
	case <-p.ended:
	case <-time.After(patience):
		ts.Check(p.cmd.Process.Signal(syscall.SIGQUIT)) // it prints what it is about
		<-p.ended
		ts.Fatalf("%s has not ended:\n%s", args[0], p.err.text())
	}
	p.keep(ts, args[0])
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("%s ended with status %d, want %d:\n%s", args[0], got, want, p.err.text())
	}
}

// output is what a process has printed, and an event for every piece.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
	event  chan struct{}
}

func newOutput() *output { return &output{event: make(chan struct{})} }

// Write implements [io.Writer].
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.event)
	o.event = make(chan struct{})
	return o.buffer.Write(p)
}

func (o *output) text() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.buffer.Bytes())
}

// more returns what is closed when more has been printed than now.
func (o *output) more() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.event
}
