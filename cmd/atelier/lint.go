package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

// lintCommand checks build files as the server does before a build, without one. What it finds goes to standard output, in the form
// of compilers. Its exit status is 1 when a file has problems, and 2 when one cannot be read.
type lintCommand struct {
	Files []string          `arg:"" name:"file" help:"Build files to check, - for standard input. Those that a flow names are checked with it."`
	Param map[string]string `help:"Value of a parameter, as if it were given at the start of the build. May be repeated." placeholder:"NAME=VALUE" mapsep:"none" env:"-"`
	Root  string            `help:"Root of the repository (default: the directory above .cloudbuild for a file in there, else the working directory)." placeholder:"DIR" env:"-"`
}

// Run implements the command.
func (c *lintCommand) Run(std stdio, _ interrupts) error {
	signal.Reset() // there is nothing to stop in order
	l := linter{std: std, root: c.Root, children: make(map[string]bool), said: make(map[string]bool)}
	for _, name := range slices.Sorted(maps.Keys(c.Param)) {
		if why := build.CheckParameterName(name); why != "" {
			return fault.New(fault.Invalid, "--param: %s", why)
		}
		l.params = append(l.params, plan.Param{Name: name, Value: c.Param[name]})
	}
	// Flows come first: the files of their jobs are checked with what the flow gives to them, and not alone.
	alone := slices.DeleteFunc(l.read(c.Files), l.flow)
	for _, file := range alone {
		if !l.children[file.abs] {
			l.tell(plan.New(l.input(file)))
		}
	}
	switch {
	case l.err != nil:
		return l.err
	case l.unreadable:
		return exitError(2)
	case l.problems:
		return exitError(1)
	default:
		return nil
	}
}

// linter checks files and prints what is wrong with them.
type linter struct {
	std        stdio
	root       string
	params     []plan.Param
	children   map[string]bool // absolute paths of the files that were checked as a job's
	said       map[string]bool // lines; a file that two jobs have is told of once
	problems   bool
	unreadable bool
	err        error // of printing
}

// lintFile is a build file that was read.
type lintFile struct {
	plan.File
	abs string // empty for standard input
}

// read reads the files of the command line. What cannot be read is told on standard error.
func (l *linter) read(names []string) []lintFile {
	var files []lintFile
	for _, name := range names {
		var file lintFile
		var err error
		if name == "-" {
			file.Path = "<stdin>"
			file.Data, err = io.ReadAll(l.std.In)
		} else {
			file.Path = name
			if file.abs, err = filepath.Abs(name); err == nil {
				file.Data, err = os.ReadFile(name)
			}
		}
		if err != nil {
			l.cannotRead(err)
			continue
		}
		files = append(files, file)
	}
	return files
}

func (l *linter) cannotRead(err error) {
	fmt.Fprintf(l.std.Err, "atelier: %v\n", err)
	l.unreadable = true
}

// flow checks a file and those of its jobs, if it describes several tasks.
func (l *linter) flow(file lintFile) bool {
	in := l.input(file)
	flow, ok, err := plan.ReadFlow(in)
	if !ok {
		return false
	}
	l.tell(plan.Plan{Warnings: flow.Warnings}, err)
	slices.SortFunc(flow.Jobs, func(a, b plan.FlowJob) int { return cmp.Or(a.At.Line-b.At.Line, a.At.Column-b.At.Column) })
	for _, job := range flow.Jobs {
		l.job(job, l.rootOf(file))
	}
	return true
}

// job checks the build file of a job.
func (l *linter) job(job plan.FlowJob, root string) {
	abs := filepath.Join(root, filepath.FromSlash(job.BuildRef))
	data, err := os.ReadFile(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		problem := job.At
		problem.Message = fmt.Sprintf("there is no file %q below %s", job.BuildRef, shortest(root))
		l.tell(plan.Plan{}, plan.Problems{problem})
		return
	case err != nil:
		l.cannotRead(err)
		return
	}
	l.children[abs] = true
	in := l.input(lintFile{File: plan.File{Path: shortest(abs), Data: data}})
	in.Flow = &job.Context
	l.tell(plan.New(in))
}

// rootOf returns the directory that paths in a file are counted from.
func (l *linter) rootOf(file lintFile) string {
	root := "."
	if l.root != "" {
		root = l.root
	} else {
		for dir := filepath.Dir(file.abs); file.abs != "" && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			if filepath.Base(dir) == ".cloudbuild" {
				return filepath.Dir(dir)
			}
		}
	}
	if abs, err := filepath.Abs(root); err == nil {
		return abs
	}
	return root
}

// shortest is a path as people write it: from the working directory, when it is below that.
func shortest(abs string) string {
	wd, err := os.Getwd()
	if err != nil {
		return abs
	}
	if rel, err := filepath.Rel(wd, abs); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return abs
}

// input is a build of a file. Its repository and what the service sets are made up.
func (l *linter) input(file lintFile) plan.Input {
	in := plan.Input{
		File: &file.File, Params: l.params, Classes: build.Classes,
		Source: plan.Source{URL: "https://git.example.org/team/app.git", Branch: "main", Commit: strings.Repeat("0", 40)},
	}
	for _, name := range build.SystemParameters {
		in.System = append(in.System, plan.Param{Name: name, Value: sampleOf[name]})
	}
	return in
}

// sampleOf has a value of each parameter that the service sets, since some keys take only numbers, or names.
var sampleOf = map[string]string{
	"BUILDNUMBER":       "20060102.1",
	"TIMESTAMP":         "20060102150405",
	"INCREASENUM":       "1",
	"PROJECT_ID":        strings.Repeat("0", 32),
	"WORKSPACE":         "/workspace",
	"GIT_TAG":           "v1.0.0",
	"COMMIT_ID":         strings.Repeat("0", 40),
	"COMMIT_ID_SHORTER": strings.Repeat("0", 8),
	"JOB_NAME":          "job",
	"EXECUTOR":          "user",
}

// tell prints what came of a file.
func (l *linter) tell(p plan.Plan, err error) {
	for _, w := range p.Warnings {
		l.print("warning: " + w)
	}
	if err != nil {
		l.problems = true
		for line := range strings.SplitSeq(err.Error(), "\n") {
			l.print(line)
		}
	}
}

func (l *linter) print(line string) {
	if l.said[line] || l.err != nil {
		return
	}
	l.said[line] = true
	l.err = printed(fmt.Fprintln(l.std.Out, line))
}
