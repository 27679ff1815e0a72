package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"atelier/internal/store/postgrestest"
)

// testsWithDatabase are the tests of the package and the PostgreSQL that some of them start.
type testsWithDatabase struct{ *testing.M }

func (t testsWithDatabase) Run() int { return postgrestest.Run(t.M) }

// TestMain makes the test program the atelier of the scripts.
func TestMain(m *testing.M) {
	testscript.Main(testsWithDatabase{m}, map[string]func(){"atelier": main})
}

// TestScripts runs the program as its users do. Each file of testdata/script is a test. Beside the usual commands of testscript
// there are those below, and these, of process_test.go, for a server in the background:
//
//	start NAME ARG...    runs atelier in the background
//	await NAME REGEXP    waits until it has printed something, and sets a variable for every named group
//	signal NAME SIGNAL   sends INT, TERM or KILL
//	end NAME STATUS      waits until it has ended with the exit status
//
// What a process has printed until an await or its end is in the files NAME.out and NAME.err. In api_test.go are commands that
// send requests to it.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", "atexit_sleep_ms=0") // or every atelier would take a second to end
			env.Values[testKey{}] = env.T().(testing.TB)
			env.Values[processKey{}] = make(map[string]*process)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"start": startProcess, "await": awaitProcess, "signal": signalProcess, "end": endProcess,
			"call": callAPI, "signin": signIn, "json": checkJSON,
			"mode": checkMode, "postgres": makeDatabase, "source": sourceEnv,
		},
	})
}

type testKey struct{}

// checkMode is the command mode MODE FILE: the file's mode is that one.
func checkMode(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "mode MODE FILE")
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// makeDatabase is the command postgres: it sets DATABASE to the address of an empty PostgreSQL database.
func makeDatabase(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 0, "postgres")
	ts.Setenv("DATABASE", postgrestest.New(ts.Value(testKey{}).(testing.TB)))
}

// sourceEnv is the command source FILE: it sets the variables that a shell has after it has read the file.
func sourceEnv(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1, "source FILE")
	ts.Check(ts.Exec("sh", "-c", `set -aeu; . "$1"; env`, "sh", ts.MkAbs(args[0])))
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok && (strings.HasPrefix(name, "ATELIER_") || strings.HasPrefix(name, "HUAWEICLOUD_")) {
			ts.Setenv(name, value)
		}
	}
}

func usage(ts *testscript.TestScript, ok bool, text string) {
	if !ok {
		ts.Fatalf("usage: %s", text)
	}
}
