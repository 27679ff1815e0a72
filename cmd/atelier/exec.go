package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/local"
)

// execCommand runs a build file in the working directory. Standard output carries the log of the build; what is wrong with the
// file goes to standard error.
type execCommand struct {
	File       string `arg:"" optional:"" help:"The build file (default: .cloudbuild/build.yml)."`
	paramFlags `embed:""`
	Private    []string `help:"Set a private parameter, which shows as asterisks. Without a value it has that of the environment variable of its name." placeholder:"NAME[=VALUE]" sep:"none" env:"-"`
	Executor   string   `help:"Where steps run: ${enum}. With container each has a container of its own, of its image." enum:"host,container" default:"host" env:"-"`
	Images     string   `help:"YAML file that says which image a step gets (default: one of public images)." placeholder:"FILE" env:"-"`
	PullPolicy string   `help:"When images are pulled: ${enum}." enum:"missing,always,never" default:"missing" env:"-"`
	Plain      bool     `help:"Show the whole log on a terminal too, instead of the progress." env:"-"`
}

// Exit statuses of the command, beside that of the step that failed.
const (
	exitBadFile     = 2
	exitInterrupted = 130 // as of a program that SIGINT ended
)

// Run implements the command.
func (c *execCommand) Run(std stdio, signals interrupts) error {
	params, err := c.params()
	private, privateErr := c.private()
	containers, errs := containerFlags{Executor: c.Executor, Images: c.Images, PullPolicy: c.PullPolicy}.config()
	if err := errors.Join(append([]error{err, privateErr}, errs...)...); err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	// A reader that goes away is an error, after which things are put in order. To ignore the signal would ignore it in the steps too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	result, err := local.Run(signals.stop, local.Config{
		Dir: dir, File: c.File, Params: params, Private: private, Containers: containers, Display: c.display(std.Out), Hurry: signals.now.Done(),
		Log: slog.New(slog.NewTextHandler(std.Err, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	switch {
	case signals.stop.Err() != nil && (err != nil || result.State == build.Aborted):
		return exitError(exitInterrupted)
	case err != nil:
		return err
	case result.State == build.Succeeded:
		return nil
	case result.State == build.Unschedulable:
		fmt.Fprintln(std.Err, result.Error) // each problem with its place, in the form that editors know
		return exitError(exitBadFile)
	case result.BadJob:
		return exitError(exitBadFile)
	default:
		return exitError(max(1, result.ExitCode))
	}
}

// private returns what --private says, or all that is wrong with it. The words repeat no value.
func (c *execCommand) private() (params []build.NameValue, err error) {
	var errs []error
	for _, p := range c.Private {
		name, value, given := strings.Cut(p, "=")
		if !given {
			value, given = os.LookupEnv(name)
		}
		why := build.CheckParameterName(name)
		switch n := utf8.RuneCountInString(value); {
		case why != "":
			errs = append(errs, fault.Field("--private", "the name %s", why))
		case name == build.BranchParameter:
			errs = append(errs, fault.Field("--private", "%s cannot be private", name))
		case !given:
			errs = append(errs, fault.Field("--private", "%s has no value, and there is no environment variable of that name", name))
		case n < build.MinPrivateValue:
			errs = append(errs, fault.Field("--private", "%s has a value of %d characters, which cannot be hidden in a log; use at least %d", name, n, build.MinPrivateValue))
		case slices.ContainsFunc(params, func(q build.NameValue) bool { return q.Name == name }) || slices.ContainsFunc(c.Param, func(q string) bool { return strings.HasPrefix(q, name+"=") }):
			errs = append(errs, fault.Field("--private", "%s is given twice", name))
		}
		params = append(params, build.NameValue{Name: name, Value: value})
	}
	return params, errors.Join(errs...)
}

// display returns how the build is shown: on a terminal as progress, and elsewhere as its log.
func (c *execCommand) display(out io.Writer) local.Display {
	file, ok := out.(*os.File)
	if !ok || c.Plain || os.Getenv("TERM") == "dumb" {
		return local.Plain{Writer: out}
	}
	rows := func() int {
		size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
		if err != nil {
			return 0
		}
		return int(size.Row)
	}
	if rows() == 0 {
		return local.Plain{Writer: out}
	}
	return local.NewTerminal(out, rows)
}
