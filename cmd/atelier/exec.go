package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"atelier/internal/build"
	"atelier/internal/local"
)

// execCommand runs a build file in the working directory. Standard output carries the log of the build; what is wrong with the
// file goes to standard error.
type execCommand struct {
	File       string `arg:"" optional:"" help:"The build file (default: .cloudbuild/build.yml)."`
	paramFlags `embed:""`
	Plain      bool `help:"Show the whole log on a terminal too, instead of the progress." env:"-"`
}

// Exit statuses of the command, beside that of the step that failed.
const (
	exitBadFile     = 2
	exitInterrupted = 130 // as of a program that SIGINT ended
)

// Run implements the command.
func (c *execCommand) Run(std stdio, signals interrupts) error {
	params, err := c.params()
	if err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	// A reader that goes away is an error, after which things are put in order. To ignore the signal would ignore it in the steps too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	result, err := local.Run(signals.stop, local.Config{
		Dir: dir, File: c.File, Params: params, Display: c.display(std.Out), Hurry: signals.now.Done(),
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
