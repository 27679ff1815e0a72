package main

import (
	"fmt"
	"io"
	"path/filepath"

	"atelier/internal/lint"
	"atelier/internal/plan"
)

// lintCommand checks build files. What is wrong goes to standard output, a line each, and makes the exit status 1; a file that cannot be
// read makes it 2.
type lintCommand struct {
	Files      []string `arg:"" name:"file" help:"Build files; - is standard input. A file that a flow among them names is checked with that flow only."`
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
	status := 0
	results := make(map[string]lint.Result)
	ofFlow := make(map[string]bool)
	for _, file := range c.Files {
		result, err := c.check(config, file, std.In)
		if err != nil {
			fmt.Fprintf(std.Err, "atelier: %s cannot be read: %v\n", file, err)
			status = 2
			continue
		}
		results[file] = result
		for _, child := range result.Children {
			ofFlow[child] = true
		}
	}
	for _, file := range c.Files {
		abs, err := filepath.Abs(file)
		if err == nil && ofFlow[abs] && len(results[file].Children) == 0 {
			continue // what is wrong with it stands at the flow
		}
		for _, w := range results[file].Warnings {
			fmt.Fprintf(std.Out, "%s (warning)\n", w)
		}
		for _, p := range results[file].Problems {
			fmt.Fprintln(std.Out, p)
			status = max(status, 1)
		}
	}
	if status > 0 {
		return exitError(status)
	}
	return nil
}

func (c *lintCommand) check(config lint.Config, file string, in io.Reader) (lint.Result, error) {
	if file != "-" {
		return config.File(file)
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return lint.Result{}, err
	}
	return config.Data("standard input", data)
}
