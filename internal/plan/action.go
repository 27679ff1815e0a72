package plan

import (
	"fmt"
	"strconv"
	"strings"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// planActions makes the plan of an ACTION job: its repository, then its enabled steps in order.
func planActions(in Input) (Plan, error) {
	var p Plan
	var problems Problems
	s := newScope(nil, in, func(name string, way []string) {
		problems = append(problems, Problem{Path: "parameters", Message: cycleMessage(name, way)})
	})
	if in.Source.URL != "" {
		p.Steps = append(p.Steps, in.ownCheckout())
	}
	for i, step := range in.Job.Steps {
		if step.Enable != nil && !*step.Enable {
			continue
		}
		path := fmt.Sprintf("steps[%d]", i)
		problem := func(key, message string) { problems = append(problems, Problem{Path: path + key, Message: message}) }
		act, ok := in.Modules.action(step.ModuleID)
		switch {
		case !ok:
			p.Steps = append(p.Steps, Step{Keyword: step.ModuleID, Name: step.Name, IgnoreFail: ignoresFailure(step), Unknown: true})
			continue
		case act.keyword == "checkout", act.keyword == "manifest_checkout":
			problem("", "a task downloads its repository by itself; name another one in a build file")
			continue
		}
		image, _, _ := textProperty(step, "image") // checked when the job was stored; no step depends on it
		switch {
		case act.service:
			image = "" // the vendor's pages send one with every step
		case image != "" && !strings.Contains(image, "/"):
			image = catalogue + image
		}
		planned := Step{
			Keyword: act.keyword, Name: step.Name, Image: s.expand(image), IgnoreFail: ignoresFailure(step),
			Caches: s.cachesAction(act, step, problem),
		}
		switch act.keyword {
		case "upload_artifact":
			planned.Upload = s.uploadAction(step, problem)
		case "download_artifact":
			planned.Download = s.downloadAction(step, problem)
		case "download_file":
			planned.Fetch = s.fetchAction(step, problem)
		case "docker":
			if len(step.Properties) == 0 {
				continue // valid, and nothing to do
			}
			planned.Docker = &Docker{Commands: s.scriptAction(step, problem).Command}
			for _, why := range planned.Docker.problems() {
				problem(".properties.command", why)
			}
		default:
			if act.plain {
				given := s.settings(act, step, problem)
				given.require(act)
				s.plain(act, given, in.Job, &planned)
				break
			}
			planned.Script = s.scriptAction(step, problem)
			planned.Script.Tests = s.testsAction(act.keyword, step, problem)
			if act.keyword == "maven" {
				planned.Script.Repositories = s.repositoriesAction(step, problem)
			}
		}
		p.Steps = append(p.Steps, planned)
	}
	if err := problems.sorted(); err != nil {
		return Plan{}, err
	}
	p.Env = s.env()
	return p, nil
}

func ignoresFailure(step build.ActionStep) bool {
	return fmt.Sprint(step.Properties[ignoreFail]) == "true"
}

// scriptAction reads the command of an ACTION step.
func (s *scope) scriptAction(step build.ActionStep, problem func(key, message string)) *Script {
	script, given, err := textProperty(step, "command")
	switch text, _ := fault.Public(err); {
	case err != nil:
		problem("", text)
	case !given:
		problem(".properties.command", "is missing")
	}
	return &Script{Command: s.commandProperty(script, command, problem)}
}

// commandProperty returns commands of an ACTION step as they are run.
func (s *scope) commandProperty(script string, in input, problem func(key, message string)) string {
	c := s.command(script)
	for _, why := range c.problems {
		problem(".properties."+in.property(), why)
	}
	return c.script
}

// ownCheckout is the step that puts the job's repository into the workspace as the job says.
func (in Input) ownCheckout() Step {
	c := in.Source.checkout()
	source, _ := in.Job.Source()
	c.Depth, _ = strconv.Atoi(source.Depth) // empty stands for the whole history
	c.LFS = source.LFS != nil && *source.LFS
	c.Submodules = in.Job.AutoUpdateSubmodules == "true"
	return Step{Keyword: "checkout", Name: checkoutName, Checkout: &c, EndpointID: source.EndpointID}
}

// cycleMessage says what is wrong with a parameter whose value leads back to itself, or too far.
func cycleMessage(name string, way []string) string {
	return fmt.Sprintf("the value of %s refers to itself, or through more than %d others: %s", shown(name), maxReferences, strings.Join(way, " → "))
}
