package main

import (
	"io"
	"os"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/httpapi"
	"atelier/internal/plan"
)

// convertCommand turns the steps of a task into a build file. What cannot be converted goes to standard error, a line each, and makes the
// exit status 2.
type convertCommand struct {
	ModuleAliases []string `help:"Module ids of steps that this version does not know, as ID=KEYWORD." placeholder:"ID=KEYWORD"`
	File          string   `arg:"" help:"The task as JSON, as ShowJobConfig answers it or CreateNewJob takes it; - is standard input."`
}

// Run implements the command.
func (c *convertCommand) Run(std stdio) error {
	data, err := readInput(c.File, std.In)
	if err != nil {
		return err
	}
	task, err := httpapi.DecodeTask(data)
	if err != nil {
		return err
	}
	if task.EffectiveKind() == build.YAML {
		return fault.Field("build_config_type", "found YAML; the build file of this task is in its repository")
	}
	modules, err := plan.ParseModules(c.ModuleAliases)
	if err != nil {
		return fault.Field("--module-aliases", "%v", err)
	}
	file, err := plan.Convert(task, modules)
	if err != nil {
		return fault.New(fault.Invalid, "%s", err)
	}
	_, err = std.Out.Write(file)
	return err
}

// readInput returns what a file holds; - is standard input.
func readInput(name string, in io.Reader) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(in)
	}
	return os.ReadFile(name)
}
