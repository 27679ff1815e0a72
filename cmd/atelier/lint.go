package main

import (
	"fmt"
	"io"

	"atelier/internal/fault"
	"atelier/internal/lint"
	"atelier/internal/plan"
)

// lintCommand checks build files. What is wrong goes to standard output, a line each, and makes the exit status 1.
type lintCommand struct {
	Files      []string `arg:"" name:"file" help:"Build files; - is standard input."`
	Root       string   `help:"Root of the repository, from which a file with several tasks names the files of its jobs (default: the directory above .cloudbuild, else the working directory)." placeholder:"DIR" env:"-"`
	paramFlags `embed:""`
}

// Run implements the command.
func (c *lintCommand) Run(std stdio) error {
	params, err := c.params()
	if err != nil {
		return err
	}
	config := lint.Config{Root: c.Root}
	for _, p := range params {
		config.Params = append(config.Params, plan.Param(p))
	}
	bad := false
	for _, file := range c.Files {
		problems, warnings, err := c.check(config, file, std.In)
		if err != nil {
			return fault.Wrap(err, fault.Invalid, "%s cannot be read", file)
		}
		for _, w := range warnings {
			fmt.Fprintf(std.Out, "%s (warning)\n", w)
		}
		for _, p := range problems {
			fmt.Fprintln(std.Out, p)
			bad = true
		}
	}
	if bad {
		return exitError(1)
	}
	return nil
}

func (c *lintCommand) check(config lint.Config, file string, in io.Reader) (problems, warnings []string, err error) {
	if file != "-" {
		return config.File(file)
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return nil, nil, err
	}
	return config.Data("standard input", data)
}
