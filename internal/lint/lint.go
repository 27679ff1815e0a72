// Package lint checks build files where they lie, without a server.
package lint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"atelier/internal/build"
	"atelier/internal/plan"
)

// Config says how build files are checked.
type Config struct {
	Root   string       // of the repository, from which flows name the files of their jobs; found by [Root] when empty
	Params []plan.Param // values given at a start
}

// Root returns the root of the repository that a build file lies in: the directory above .cloudbuild, else the working directory.
func Root(file string) string {
	if dir := filepath.Dir(file); filepath.Base(dir) == ".cloudbuild" {
		return filepath.Dir(dir)
	}
	return "."
}

// File checks a build file, and those of its jobs when it describes several tasks. It returns what is wrong and what is doubtful, a
// line each, in the form FILE:LINE:COLUMN: PATH: MESSAGE. The error is that of a file that cannot be read; one that a flow names
// and that is not there is a problem.
func (c Config) File(name string) (problems, warnings []string, err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, err
	}
	return c.Data(name, data)
}

// Data does the same for the content of a build file.
func (c Config) Data(name string, data []byte) (problems, warnings []string, err error) {
	in := c.input(name, data)
	flow, isFlow, wrong := plan.ReadFlow(in)
	warnings = flow.Warnings
	if !isFlow {
		var p plan.Plan
		p, wrong = plan.New(in)
		warnings = p.Warnings
	}
	if problems, err = lines(wrong); err != nil || len(problems) > 0 {
		return problems, warnings, err
	}
	root := c.Root
	if root == "" {
		root = Root(name)
	}
	seen := make(map[string]bool) // a file may be that of several jobs; what is wrong with it is said once
	for _, j := range flow.Jobs {
		wrong, doubtful, err := c.child(filepath.Join(root, filepath.FromSlash(j.BuildRef)), name, j)
		if err != nil {
			return problems, warnings, err
		}
		problems, warnings = unseen(seen, problems, wrong), unseen(seen, warnings, doubtful)
	}
	return problems, warnings, nil
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

// child checks the build file of a job of a flow.
func (c Config) child(file, flow string, j plan.FlowJob) (problems, warnings []string, err error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		p := plan.Problem{File: flow, Line: j.Line, Column: j.Column, Message: fmt.Sprintf("the job %q names the build file %s, which is not there", j.Name, file)}
		return []string{p.String()}, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	in := c.input(file, data)
	in.Flow = &j.Context
	p, wrong := plan.New(in)
	problems, err = lines(wrong)
	return problems, p.Warnings, err
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
		in.System = append(in.System, plan.Param{Name: name, Value: name})
	}
	return in
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
