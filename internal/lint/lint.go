// Package lint checks build files where they lie, without a server.
package lint

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/plan"
)

// Config says how build files are checked.
type Config struct {
	Root   string       // of the repository, from which flows name the files of their jobs; found by [Root] when empty
	Params []plan.Param // values given at a start
}

// Result is what was found out about a build file. Lines have the form FILE:LINE:COLUMN: PATH: MESSAGE.
type Result struct {
	Problems []string
	Warnings []string
	Children []string // absolute paths of the files of its jobs, which were checked with it
}

// Root returns the root of the repository that a build file lies in: the directory above .cloudbuild, else the working directory.
func Root(file string) string {
	dir := filepath.Dir(file)
	abs, err := filepath.Abs(dir)
	for err == nil && abs != filepath.Dir(abs) {
		above := filepath.Join(dir, "..")
		if filepath.Base(abs) == ".cloudbuild" {
			return above
		}
		dir, abs = above, filepath.Dir(abs)
	}
	return "."
}

// File checks a build file, and those of its jobs when it describes several tasks. The error is that of a file that cannot be read; one
// that a flow names and that is not there is a problem.
func (c Config) File(name string) (Result, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return Result{}, err
	}
	return c.Data(name, data)
}

// Data does the same for the content of a build file.
func (c Config) Data(name string, data []byte) (Result, error) {
	in := c.input(name, data)
	flow, isFlow, wrong := plan.ReadFlow(in)
	result := Result{Warnings: flow.Warnings}
	if !isFlow {
		var p plan.Plan
		p, wrong = plan.New(in)
		result.Warnings = slices.Concat(p.Warnings, p.Advice)
	}
	var err error
	if result.Problems, err = lines(wrong); err != nil || len(result.Problems) > 0 {
		return result, err
	}
	root := c.Root
	if root == "" {
		root = Root(name)
	}
	seen := make(map[string]bool) // a file may be that of several jobs; what is wrong with it is said once
	for _, j := range flow.Jobs {
		p, err := j.Plan(in, func(ref string) (*plan.File, error) { return child(root, ref) })
		wrong, err := lines(err)
		if err != nil {
			return result, err
		}
		result.Problems, result.Warnings = unseen(seen, result.Problems, wrong), unseen(seen, result.Warnings, slices.Concat(p.Warnings, p.Advice))
		if abs, err := filepath.Abs(inRoot(root, j.BuildRef)); err == nil {
			result.Children = append(result.Children, abs)
		}
	}
	return result, nil
}

func unseen(seen map[string]bool, all, more []string) []string {
	for _, line := range more {
		if !seen[line] {
			seen[line] = true
			all = append(all, line)
		}
	}
	return all
}

func inRoot(root, ref string) string { return filepath.Join(root, filepath.FromSlash(ref)) }

// child reads the build file of a job of a flow.
func child(root, ref string) (*plan.File, error) {
	file := inRoot(root, ref)
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR) {
		return nil, fault.New(fault.NotFound, "there is no file %s", file)
	}
	return &plan.File{Path: file, Data: data}, err
}

// input is a build of a task with a repository. What only a build knows is made up.
func (c Config) input(name string, data []byte) plan.Input {
	in := plan.Input{
		File:    &plan.File{Path: name, Data: data},
		Params:  c.Params,
		Source:  plan.Source{URL: "https://git.example.com/repository.git", Branch: "main", Commit: "0000000000000000000000000000000000000000"},
		Classes: build.Classes,
	}
	for _, name := range build.SystemParameters {
		in.System = append(in.System, plan.Param{Name: name, Value: sampleOf[name]})
	}
	return in
}

// sampleOf has a value of each parameter that the service sets, since some settings take only numbers, or names.
var sampleOf = map[string]string{
	"BUILDNUMBER":       "20060102.1",
	"TIMESTAMP":         "20060102150405",
	"INCREASENUM":       "1",
	"PROJECT_ID":        "00000000000000000000000000000000",
	"WORKSPACE":         "/workspace",
	"GIT_TAG":           "v1.0.0",
	"COMMIT_ID":         "0000000000000000000000000000000000000000",
	"COMMIT_ID_SHORTER": "00000000",
	"JOB_NAME":          "job",
	"EXECUTOR":          "user",
}

// lines returns problems as they are shown.
func lines(err error) ([]string, error) {
	if err == nil {
		return nil, nil
	}
	problems, ok := errors.AsType[plan.Problems](err)
	if !ok {
		return nil, err
	}
	out := make([]string, len(problems))
	for i, p := range problems {
		out[i] = p.String()
	}
	return out, nil
}
