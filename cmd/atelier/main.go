// Atelier is a self-hosted build service that speaks the CodeArts Build API.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	_ "time/tzdata" // time zones also where the machine has none

	"github.com/alecthomas/kong"

	"atelier/internal/fault"
)

// version is set by the linker in releases.
var version = "dev"

// cli is the command line. Every setting is a flag, an environment variable, ATELIER_ and its name, and a key of the configuration
// file; the command line wins over the environment, and that over the file. Flags about a single run have no variable.
type cli struct {
	Config  configFlag       `help:"Read settings from this YAML file." placeholder:"FILE"`
	Version kong.VersionFlag `help:"Print the version and leave." env:"-"`

	Serve   serveCommand   `cmd:"" help:"Run the server."`
	Demo    demoCommand    `cmd:"" help:"Run a server with a user, a task and a first build, to try things out." set:"kept=a temporary one, removed at the end"`
	Exec    execCommand    `cmd:"" help:"Run a build file in the working directory, without a server."`
	Lint    lintCommand    `cmd:"" help:"Check build files."`
	Convert convertCommand `cmd:"" help:"Turn the steps of a build task into a build file."`
	Admin   adminCommand   `cmd:"" help:"Manage users, projects, roles and access keys."`
}

// stdio is what a command prints to: results to Out, progress to Err.
type stdio struct {
	In       io.Reader
	Out, Err io.Writer
}

// exitError ends the program with a status and no further word.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func main() {
	os.Exit(run(os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr}))
}

// run is main without the process around it.
func run(args []string, std stdio) int {
	parser, exited, err := newParser(std)
	if err != nil {
		fmt.Fprintf(std.Err, "atelier: %v\n", err)
		return 2
	}
	command, err := parser.Parse(args)
	if *exited >= 0 {
		return *exited
	}
	if err != nil {
		fmt.Fprintf(std.Err, "atelier: %v\n", err)
		return 2
	}
	return exitCode(command.Run(std, watchInterrupts()), std)
}

func exitCode(err error, std stdio) int {
	if err == nil {
		return 0
	}
	if code, ok := errors.AsType[exitError](err); ok {
		return int(code)
	}
	// The operator sees the whole error, with its cause. Several at once have a line each.
	fmt.Fprintf(std.Err, "atelier: %s\n", strings.ReplaceAll(err.Error(), "\n", "\natelier: "))
	if fault.Is(err, fault.Invalid) {
		return 2
	}
	return 1
}

// newParser returns the parser of the command line. When --help or --version has been answered, exited is the exit status; until
// then it is negative.
func newParser(std stdio) (parser *kong.Kong, exited *int, err error) {
	code := -1
	var commands cli
	parser, err = kong.New(&commands,
		kong.Name("atelier"),
		kong.Description("A self-hosted build service that speaks the CodeArts Build API."),
		kong.Vars{"version": "atelier " + version, "kept": defaultDataDir, "log_level": "info"},
		kong.DefaultEnvars("ATELIER"),
		kong.Writers(std.Out, std.Err),
		kong.Exit(func(c int) {
			if code < 0 {
				code = c
			}
		}),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Bind(&commands.Config),
	)
	return parser, &code, err
}
